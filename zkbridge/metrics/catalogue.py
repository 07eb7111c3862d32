"""Every metric by its name, its labels and its meaning."""

from __future__ import annotations

from typing import Literal, NamedTuple

#: The label of all devices that the configuration does not name: a caller must not be able to make new labels.
UNKNOWN_DEVICE = "(unknown)"

_REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
_SESSION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 60)


class Metric(NamedTuple):
    """One metric as it is scraped. A histogram is scraped as `…_bucket`, `…_sum` and `…_count`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str
    buckets: tuple[float, ...] = ()


# Counters of events.
REQUESTS = Metric(
    "zkbridge_requests_total",
    "counter",
    ("device", "command", "code"),
    "Answered requests; a repeated request counts once.",
)
COPIES = Metric(
    "zkbridge_copies_total",
    "counter",
    ("device", "command"),
    "Messages that repeat a request: copies from the caller, and redeliveries from the broker.",
)
REQUEST_SECONDS = Metric(
    "zkbridge_request_duration_seconds",
    "histogram",
    ("command",),
    "Time from storing a request to storing its answer.",
    _REQUEST_BUCKETS,
)
RETRIES = Metric("zkbridge_retries_total", "counter", ("device", "code"), "Failed sessions that were tried again.")
FAILURES = Metric(
    "zkbridge_failures_total",
    "counter",
    ("device", "code"),
    "Sessions that failed for good; all requests of the session were answered with this code.",
)
SESSION_SECONDS = Metric(
    "zkbridge_session_duration_seconds", "histogram", ("device",), "Length of a session.", _SESSION_BUCKETS
)
DISABLED_SECONDS = Metric(
    "zkbridge_disabled_duration_seconds",
    "histogram",
    ("device",),
    "Time for which a session disabled the terminal; if no enable was confirmed, until the terminal enables itself.",
    _SESSION_BUCKETS,
)

# Gauges of the present state.
BUILD = Metric("zkbridge_build_info", "gauge", ("version",), "Always 1; the label has the version of zkbridge.")
CONNECTED = Metric(
    "zkbridge_broker_connected", "gauge", (), "1 while the bridge is connected to the broker, 0 otherwise."
)
RECONNECTS = Metric(
    "zkbridge_broker_reconnects_total", "counter", (), "Connections to the broker since the start, without the first."
)
SET_ASIDE = Metric(
    "zkbridge_set_aside_messages_total",
    "counter",
    (),
    "Messages since the start that could not be read or kept; `set-aside.jsonl` in the state directory names them.",
)
SHORT_OF = Metric(
    "zkbridge_short_of",
    "gauge",
    ("resource",),
    "1 if the bridge ran out of this resource in the last 5 minutes (`descriptors`, `threads`), 0 otherwise.",
)
DEAF = Metric(
    "zkbridge_broker_deaf_subscriptions",
    "gauge",
    (),
    "Subscriptions that the broker granted and does not deliver; if not 0, requests are lost.",
)
WAITING = Metric(
    "zkbridge_queue_requests", "gauge", ("device",), "Requests that wait for a terminal or are being executed."
)
QUEUE_LIMIT = Metric(
    "zkbridge_queue_limit",
    "gauge",
    (),
    "`queue_limit`: the number of waiting requests from which the bridge answers busy.",
)
UP = Metric(
    "zkbridge_terminal_up",
    "gauge",
    ("device",),
    "1 if the terminal answered when the bridge last connected to it, 0 otherwise.",
)
LAST_SEEN = Metric(
    "zkbridge_terminal_last_seen_timestamp_seconds", "gauge", ("device",), "Time of the terminal's last answer."
)
OWES_ENABLE = Metric(
    "zkbridge_terminal_owes_enable",
    "gauge",
    ("device",),
    "1 while the bridge may have left the terminal disabled, 0 otherwise.",
)
OVERDUE_DATES = Metric(
    "zkbridge_terminal_overdue_dates",
    "gauge",
    ("device",),
    "Users whose `valid_from` or `valid_until` passed more than a minute ago, not yet blocked or unblocked.",
)
LAST_BACKUP = Metric(
    "zkbridge_backup_last_timestamp_seconds", "gauge", ("device",), "Time of the terminal's latest backup."
)
DRIFT = Metric(
    "zkbridge_desired_drift_users",
    "gauge",
    ("device",),
    "Users in which the terminal differed from its document of desired users at the last comparison.",
)
LEDGER_BYTES = Metric("zkbridge_ledger_bytes", "gauge", (), "Size of the ledger on disk, with its write-ahead log.")
UNFINISHED = Metric(
    "zkbridge_ledger_unfinished_requests", "gauge", (), "Requests in the ledger that have no answer yet."
)
OLDEST_UNFINISHED = Metric(
    "zkbridge_ledger_oldest_unfinished_seconds",
    "gauge",
    (),
    "Age of the oldest request in the ledger that has no answer yet.",
)
OWED = Metric("zkbridge_ledger_owed_answers", "gauge", (), "Answers in the ledger that the broker has not confirmed.")
OLDEST_OWED = Metric(
    "zkbridge_ledger_oldest_owed_seconds", "gauge", (), "Age of the oldest answer that the broker has not confirmed."
)

EVENTS = (REQUESTS, COPIES, REQUEST_SECONDS, RETRIES, FAILURES, SESSION_SECONDS, DISABLED_SECONDS)
STATES = (
    BUILD,
    CONNECTED,
    RECONNECTS,
    SET_ASIDE,
    SHORT_OF,
    DEAF,
    WAITING,
    QUEUE_LIMIT,
    UP,
    LAST_SEEN,
    OWES_ENABLE,
    OVERDUE_DATES,
    LAST_BACKUP,
    DRIFT,
    LEDGER_BYTES,
    UNFINISHED,
    OLDEST_UNFINISHED,
    OWED,
    OLDEST_OWED,
)


def markdown() -> str:
    """The table in docs/metrics.md."""
    rows = ["| metric | kind | labels | |", "|---|---|---|---|"]
    for metric in (*EVENTS, *STATES):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(rows)
