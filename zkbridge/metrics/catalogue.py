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
    "zkbridge_requests_total", "counter", ("device", "command", "code"), "Requests that have their answer, each once."
)
COPIES = Metric(
    "zkbridge_copies_total",
    "counter",
    ("device", "command"),
    "Messages that brought what was known: copies of a request, and a broker's redeliveries.",
)
REQUEST_SECONDS = Metric(
    "zkbridge_request_duration_seconds",
    "histogram",
    ("command",),
    "From the moment that a request is kept until its answer is.",
    _REQUEST_BUCKETS,
)
RETRIES = Metric(
    "zkbridge_retries_total", "counter", ("device", "code"), "Conversations that failed and were tried again."
)
FAILURES = Metric(
    "zkbridge_failures_total",
    "counter",
    ("device", "code"),
    "Conversations that were given up; all requests that waited got this code.",
)
SESSION_SECONDS = Metric(
    "zkbridge_session_duration_seconds", "histogram", ("device",), "How long a session lasted.", _SESSION_BUCKETS
)
DISABLED_SECONDS = Metric(
    "zkbridge_disabled_duration_seconds",
    "histogram",
    ("device",),
    "For how long a session kept people off the terminal; without its confirmation, until it enables itself.",
    _SESSION_BUCKETS,
)

# Gauges of the present state.
BUILD = Metric("zkbridge_build_info", "gauge", ("version",), "1, with the version of zkbridge.")
CONNECTED = Metric("zkbridge_broker_connected", "gauge", (), "1 while the broker hears the bridge.")
RECONNECTS = Metric(
    "zkbridge_broker_reconnects_total", "counter", (), "Connections to the broker since the start, less the first."
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
    "1 if the bridge has run out of it in the last 5 minutes, 0 if not: `descriptors`, `threads`.",
)
DEAF = Metric(
    "zkbridge_broker_deaf_subscriptions",
    "gauge",
    (),
    "Subscriptions that the broker granted and does not serve; anything but 0 means unheard requests.",
)
WAITING = Metric("zkbridge_queue_requests", "gauge", ("device",), "Requests that wait for a terminal, or are in hand.")
QUEUE_LIMIT = Metric("zkbridge_queue_limit", "gauge", (), "`queue_limit`: above it requests are answered busy.")
UP = Metric("zkbridge_terminal_up", "gauge", ("device",), "1 if the terminal answered when last asked, 0 if not.")
LAST_SEEN = Metric(
    "zkbridge_terminal_last_seen_timestamp_seconds", "gauge", ("device",), "When the terminal last answered."
)
OWES_ENABLE = Metric(
    "zkbridge_terminal_owes_enable", "gauge", ("device",), "1 while the terminal may still be disabled by the bridge."
)
OVERDUE_DATES = Metric(
    "zkbridge_terminal_overdue_dates",
    "gauge",
    ("device",),
    "Users whose `valid_from` or `valid_until` passed over a minute ago, and who are not blocked or unblocked yet.",
)
LAST_BACKUP = Metric(
    "zkbridge_backup_last_timestamp_seconds", "gauge", ("device",), "When the latest backup of the terminal was made."
)
DRIFT = Metric(
    "zkbridge_desired_drift_users",
    "gauge",
    ("device",),
    "Users in which the terminal differed from its document of desired users when it was last compared.",
)
LEDGER_BYTES = Metric("zkbridge_ledger_bytes", "gauge", (), "The ledger on disk, with its write-ahead log.")
UNFINISHED = Metric("zkbridge_ledger_unfinished_requests", "gauge", (), "Requests on disk that have no answer yet.")
OLDEST_UNFINISHED = Metric(
    "zkbridge_ledger_oldest_unfinished_seconds", "gauge", (), "For how long the oldest of them has waited."
)
OWED = Metric("zkbridge_ledger_owed_answers", "gauge", (), "Answers on disk that the broker has not confirmed.")
OLDEST_OWED = Metric("zkbridge_ledger_oldest_owed_seconds", "gauge", (), "For how long the oldest of them is owed.")

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
