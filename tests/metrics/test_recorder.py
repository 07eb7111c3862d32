"""From events to figures, without a bridge."""

import threading
from typing import Any, NamedTuple

import pytest
from prometheus_client import generate_latest

from tests.support.scrape import Scrape
from zkbridge.metrics.catalogue import EVENTS, STATES
from zkbridge.metrics.recorder import Recorder
from zkbridge.telemetry.events import Answered, Failed, Known, SessionEnded
from zkbridge.telemetry.snapshot import BridgeSnapshot, LedgerStats, Terminal

STATS = LedgerStats(size=4096, unfinished=3, oldest_unfinished_s=7.5, unsent=2, oldest_unsent_s=90)
TERMINALS = (
    Terminal("principal", 3, True, 1_700_000_000.0, False, overdue_dates=2, backup_at=1_700_000_100.0, drift=4),
    Terminal("entrada", waiting=0, online=False, seen_at=None, pending_enable=True),
    Terminal("nueva", waiting=0, online=None, seen_at=None, pending_enable=False),
)


def snapshot(**changes: Any) -> BridgeSnapshot:
    fields = {
        "version": "9.8.7",
        "uptime_s": 1.0,
        "connected": True,
        "reconnects": 4,
        "unserved_subscriptions": ("zk/+/ping",),
        "queue_limit": 1000,
        "terminals": TERMINALS,
        "ledger": STATS,
    }
    return BridgeSnapshot(**{**fields, **changes})


class Source(NamedTuple):
    """A bridge in a certain state."""

    states: list[BridgeSnapshot]
    devices: set[str]

    def snapshot(self) -> BridgeSnapshot:
        return self.states[0]

    def device_ids(self) -> set[str]:
        return self.devices


@pytest.fixture
def devices() -> set[str]:
    return {"principal", "entrada", "nueva"}


@pytest.fixture
def recorder(devices: set[str]) -> Recorder:
    return Recorder(Source([snapshot()], devices))


def read(recorder: Recorder) -> Scrape:
    return Scrape(generate_latest(recorder.registry).decode())


def test_an_answer_counts_once_and_its_copies_apart(recorder: Recorder) -> None:
    recorder.tell(Answered("principal", "users/create", "created", 0.3))
    recorder.tell(Answered("principal", "users/create", "created", again=True))
    recorder.tell(Known("principal", "users/create"))

    said = read(recorder)

    labels = {"device": "principal", "command": "users/create"}
    assert said.get("zkbridge_requests_total", code="created", **labels) == 1
    assert said.get("zkbridge_copies_total", **labels) == 2


def test_only_what_waited_for_a_terminal_has_a_duration(recorder: Recorder) -> None:
    recorder.tell(Answered("principal", "users/create", "missing_fields"))
    recorder.tell(Answered("principal", "users/create", "created", 0.3))

    said = read(recorder)

    assert said.get("zkbridge_request_duration_seconds_count", command="users/create") == 1
    assert said.get("zkbridge_request_duration_seconds_sum", command="users/create") == 0.3
    assert said.get("zkbridge_request_duration_seconds_bucket", command="users/create", le="0.25") == 0
    assert said.get("zkbridge_request_duration_seconds_bucket", command="users/create", le="0.5") == 1


def test_sessions_and_the_time_of_disabling_are_apart(recorder: Recorder) -> None:
    recorder.tell(SessionEnded("principal", 2.0, 1.5))
    recorder.tell(SessionEnded("principal", 4.0, None))

    said = read(recorder)

    assert said.get("zkbridge_session_duration_seconds_sum", device="principal") == 6
    assert said.get("zkbridge_disabled_duration_seconds_count", device="principal") == 1
    assert said.get("zkbridge_disabled_duration_seconds_sum", device="principal") == 1.5


def test_an_attempt_that_is_made_again_is_no_failure_yet(recorder: Recorder) -> None:
    recorder.tell(Failed("entrada", "device_timeout", final=False))
    recorder.tell(Failed("entrada", "device_timeout", final=False))
    recorder.tell(Failed("entrada", "device_timeout", final=True))

    said = read(recorder)

    assert said.get("zkbridge_retries_total", device="entrada", code="device_timeout") == 2
    assert said.get("zkbridge_failures_total", device="entrada", code="device_timeout") == 1


def test_what_callers_invent_is_one_label(recorder: Recorder) -> None:
    for number in range(1000):
        recorder.tell(Answered(f"invented-{number}", "ping", "device_not_found"))

    said = read(recorder)

    assert said.get("zkbridge_requests_total", device="(unknown)", command="ping", code="device_not_found") == 1000
    assert said.values("device") == {"(unknown)", "principal", "entrada", "nueva"}


def test_a_device_that_was_removed_is_forgotten_and_counts_anew_when_it_comes_back(
    recorder: Recorder, devices: set[str]
) -> None:
    recorder.tell(Answered("entrada", "ping", "pong", 0.1))
    recorder.tell(SessionEnded("entrada", 1.0, 0.5))
    recorder.tell(Answered("principal", "ping", "pong", 0.1))

    devices.remove("entrada")
    without = read(recorder)
    recorder.tell(Answered("entrada", "ping", "pong", 0.1))  # a late one
    devices.add("entrada")
    recorder.tell(Answered("entrada", "ping", "pong", 0.1))

    assert without.total("zkbridge_requests_total", device="entrada") == 0
    assert without.total("zkbridge_session_duration_seconds_count", device="entrada") == 0
    assert without.total("zkbridge_requests_total", device="principal") == 1
    assert read(recorder).total("zkbridge_requests_total", device="entrada") == 1
    assert read(recorder).total("zkbridge_requests_total", device="(unknown)") == 1


def test_how_the_bridge_stands_is_looked_up_with_each_reading() -> None:
    now = [snapshot()]
    recorder = Recorder(Source(now, {"principal"}))

    said = read(recorder)
    now[0] = snapshot(connected=False, unserved_subscriptions=(), ledger=None)
    later = read(recorder)

    assert said.get("zkbridge_build_info", version="9.8.7") == 1
    assert (said.get("zkbridge_broker_connected"), later.get("zkbridge_broker_connected")) == (1, 0)
    assert said.get("zkbridge_broker_reconnects_total") == 4
    assert said.get("zkbridge_broker_deaf_subscriptions") == 1
    assert said.get("zkbridge_queue_limit") == 1000
    assert said.get("zkbridge_queue_requests", device="principal") == 3
    assert said.get("zkbridge_terminal_owes_enable", device="entrada") == 1
    assert said.get("zkbridge_terminal_last_seen_timestamp_seconds", device="principal") == 1_700_000_000
    assert said.get("zkbridge_terminal_last_seen_timestamp_seconds", device="entrada") is None
    assert said.get("zkbridge_terminal_overdue_dates", device="principal") == 2
    assert said.get("zkbridge_terminal_overdue_dates", device="entrada") == 0
    assert said.get("zkbridge_desired_drift_users", device="principal") == 4
    assert said.get("zkbridge_backup_last_timestamp_seconds", device="principal") == 1_700_000_100
    assert said.get("zkbridge_backup_last_timestamp_seconds", device="entrada") is None
    up = {each.device: said.get("zkbridge_terminal_up", device=each.device) for each in TERMINALS}
    assert up == {"principal": 1, "entrada": 0, "nueva": None}
    ledger = [f"zkbridge_ledger_{name}" for name in ("bytes", "unfinished_requests", "owed_answers")]
    assert [said.get(name) for name in ledger] == [4096, 3, 2]
    assert said.get("zkbridge_ledger_oldest_unfinished_seconds") == 7.5
    assert said.get("zkbridge_ledger_oldest_owed_seconds") == 90
    assert not [name for name in later.names if "ledger" in name]


def test_threads_that_count_at_once_lose_nothing(recorder: Recorder) -> None:
    def count() -> None:
        for _ in range(500):
            recorder.tell(Answered("principal", "ping", "pong", 0.1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        read(recorder)
    for thread in threads:
        thread.join()

    assert read(recorder).total("zkbridge_requests_total", device="principal") == 2000


def test_every_metric_of_the_catalogue_is_scraped_and_no_other(recorder: Recorder) -> None:
    recorder.tell(Answered("principal", "ping", "pong", 0.1))
    recorder.tell(Known("principal", "ping"))
    recorder.tell(Failed("principal", "device_timeout", final=True))
    recorder.tell(Failed("principal", "device_timeout", final=False))
    recorder.tell(SessionEnded("principal", 1.0, 1.0))

    wanted = set()
    for metric in (*EVENTS, *STATES):
        ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        wanted |= {metric.name + end for end in ends}

    assert {name for name in read(recorder).names if not name.startswith("process_")} == wanted
    assert "process_resident_memory_bytes" in read(recorder).names
