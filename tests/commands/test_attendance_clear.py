"""attendance/clear: only punches that were read or published are deleted, and the answer is true after a crash."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Site, said
from tests.live.conftest import House
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

TOPIC = "zk/p/attendance/clear"
NINE = datetime(2026, 3, 2, 9)  # noqa: DTZ001 - a terminal's wall clock has no time zone


def punch(terminal: SimulatedTerminal, count: int, *, first: int = 0) -> None:
    for minute in range(first, first + count):
        terminal.punch("700", when=NINE + timedelta(minutes=minute))


@pytest.fixture
def log(terminal: SimulatedTerminal) -> Iterator[SimulatedTerminal]:
    """A terminal with three punches in its log; its firmware is left as it was."""
    before = terminal.switches.as_dict()
    terminal.machine.terminal.clear("attendance")
    punch(terminal, 3)
    yield terminal
    terminal.switches.update(before)
    terminal.machine.terminal.clear("attendance")


def test_a_log_that_was_read_is_deleted(site: Site, kind: str, log: SimulatedTerminal) -> None:
    total = site.ask(kind, "attendance/list", {"limit": 1})["total"]

    answer = site.ask(kind, "attendance/clear", {"total": total})

    assert answer == {
        "success": True,
        "message": said(site, "Registro de asistencia borrado (3).", "Attendance log cleared (3)."),
        "data": {"cleared": 3, "device_id": kind},
        "status": 200,
        "code": "cleared",
    }
    assert log.attendance() == []
    wait_for_session_end(log)
    assert not log.disabled
    assert len(log.users()) == 1
    assert site.ask(kind, "attendance/clear", {"total": 0})["data"]["cleared"] == 0


@pytest.mark.parametrize("total", [0, 2, 4])
def test_a_log_with_another_number_of_punches_is_not_touched(
    site: Site, kind: str, log: SimulatedTerminal, total: int
) -> None:
    answer = site.ask(kind, "attendance/clear", {"total": total})

    assert (answer["status"], answer["code"], answer["count"], answer["error"]) == (
        409,
        "log_changed",
        3,
        said(
            site,
            f"El registro de '{kind}' tiene 3 marcaciones, no {total}; no se borró nada.",
            f"The log of '{kind}' has 3 punches, not {total}; nothing was deleted.",
        ),
    )
    assert len(log.attendance()) == 3


def test_without_published_punches_a_total_is_required(site: Site, kind: str, log: SimulatedTerminal) -> None:
    answer = site.ask(kind, "attendance/clear", {})

    assert (answer["status"], answer["code"], [fault["field"] for fault in answer["errors"]]) == (
        400,
        "invalid_field",
        ["total"],
    )
    assert len(log.attendance()) == 3


@pytest.mark.parametrize(
    ("switches", "operation"), [({"lacks": "CLEAR_ATTLOG"}, "CLEAR_ATTLOG"), ({"sizes_length": 8}, "GET_FREE_SIZES")]
)
def test_a_terminal_that_cannot_clear_or_count_its_log_is_unsupported(
    site: Site, kind: str, log: SimulatedTerminal, switches: dict[str, Any], operation: str
) -> None:
    log.switches.update(switches)

    answer = site.ask(kind, "attendance/clear", {"total": 3})

    assert (answer["status"], answer["code"]) == (501, "unsupported")
    assert operation in answer["error"]
    assert "effect" not in answer
    assert len(log.attendance()) == 3


def test_firmware_that_confirms_and_keeps_the_log_is_reported(site: Site, kind: str, log: SimulatedTerminal) -> None:
    log.faults.add("CLEAR_ATTLOG", "before", "refuse", code=2000)

    answer = site.ask(kind, "attendance/clear", {"total": 3})

    assert (answer["code"], answer["effect"]) == ("device_rejected", "unknown")
    assert len(log.attendance()) == 3


def test_a_punch_that_a_disabled_terminal_takes_all_the_same_keeps_the_log(
    site: Site, kind: str, log: SimulatedTerminal
) -> None:
    log.faults.add("GET_FREE_SIZES", "after", lambda _: log.add_punch(log.attendance()[-1]))

    answer = site.ask(kind, "attendance/clear", {"total": 3})

    assert answer["code"] == "log_changed"
    assert len(log.attendance()) == 4


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("frame", ["CONNECT", "DISABLE", "CLEAR_ATTLOG", "REFRESHDATA", "EXIT"])
def test_a_kill_at_any_frame_leaves_one_answer_that_is_true(
    tmp_path: Path, broker: Mosquitto, frame: str, when: str
) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.add_user("700", "Ana")
        punch(terminal, 3)
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal, timeout=1)}, covered=False)
        with daemon, Caller(broker.port) as caller:
            caller.subscribe(f"{TOPIC}/reply")
            terminal.faults.add(on=frame, when=when, do=lambda _: daemon.pause())
            caller.publish(TOPIC, {"total": 3, "request_id": "r"})
            wait_until(lambda: not terminal.faults.waiting(), what="the frame")
            daemon.kill()
            daemon.start()
            answer = caller.wait_for(f"{TOPIC}/reply", timeout=20).json

        # Killed after the note on disk and before the request, it does not know; then nothing was deleted.
        left = len(terminal.attendance())
        assert (answer["code"], answer.get("data", {}).get("cleared"), left) in [
            ("cleared", 3, 0),
            ("outcome_unknown", None, 3),
        ]


@pytest.mark.parametrize("kind", ["big-tcp", "small-tcp"], indirect=True)
@pytest.mark.parametrize(("when", "expected"), [("before", ("outcome_unknown", 3)), ("after", ("cleared", 0))])
def test_a_lost_answer_is_settled_by_the_count(
    site: Site, kind: str, log: SimulatedTerminal, when: str, expected: tuple[str, int]
) -> None:
    log.faults.add("CLEAR_ATTLOG", when, "reset")

    answer = site.ask(kind, "attendance/clear", {"total": 3})

    assert (answer["code"], len(log.attendance())) == expected


def test_a_log_that_may_have_been_filled_again_is_not_cleared_twice(tmp_path: Path, broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.add_user("700", "Ana")
        punch(terminal, 2)
        before = terminal.attendance()
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal, timeout=1)})
        with daemon, Caller(broker.port) as caller:
            caller.subscribe(f"{TOPIC}/reply")
            terminal.faults.add(on="CLEAR_ATTLOG", when="after", do=lambda _: daemon.pause())
            caller.publish(TOPIC, {"total": 2, "request_id": "r"})
            wait_until(lambda: not terminal.faults.waiting(), what="the frame")
            daemon.kill()
            for each in before:  # as if the terminal had let people in again
                terminal.add_punch(each)
            daemon.start()
            answer = caller.wait_for(f"{TOPIC}/reply", timeout=20).json

        assert answer["code"] == "outcome_unknown"
        assert len(terminal.attendance()) == 2


class TestLive:
    """With `attendance: live` the bridge knows what was published."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> Iterator[House]:
        with Simulator() as simulator:
            terminal = simulator.add(TerminalConfig(profile="tft"))
            terminal.add_user("700", "Ana")
            home = House(tmp_path, terminal)
            home.listens()
            yield home
            home.close()

    @staticmethod
    def clear(home: House, **fields: Any) -> dict[str, Any]:
        before = len(home.answers())
        home.ask("attendance/clear", **fields)
        wait_until(lambda: len(home.answers()) > before, what="the answer")
        answer: dict[str, Any] = home.answers()[-1]
        return answer

    @staticmethod
    def confirm_all(home: House) -> None:
        home.ledger.punches.forget(punch.id for punch in home.ledger.punches.unsent(100))

    def test_punches_that_the_broker_has_not_confirmed_keep_the_log(self, home: House) -> None:
        punch(home.terminal, 3)
        home.wait_for(3)

        answer = self.clear(home)

        assert (answer["status"], answer["code"], answer["unsent"], answer["retryable"]) == (
            409,
            "punches_unsent",
            3,
            True,
        )
        assert len(home.terminal.attendance()) == 3

    def test_a_published_log_is_deleted_and_later_punches_are_published_once(self, home: House) -> None:
        punch(home.terminal, 3)
        home.wait_for(3)
        self.confirm_all(home)

        assert self.clear(home)["data"]["cleared"] == 3
        assert home.terminal.attendance() == []
        wait_until(lambda: not home.terminal.disabled, what="people to be let in")
        punch(home.terminal, 2, first=20)

        told = home.wait_for(2)
        assert [event["timestamp"] for event in told] == ["2026-03-02T09:20:00", "2026-03-02T09:21:00"]
        home.stop()
        home.start()
        home.listens()
        assert len(home.events) == 2

    def test_the_same_request_again_deletes_no_later_punch(self, home: House) -> None:
        punch(home.terminal, 1)
        home.wait_for(1)
        self.confirm_all(home)
        self.clear(home)
        home.stop()
        punch(home.terminal, 1, first=20)  # as many as before, and nobody has heard it
        home.start()

        answer = self.clear(home)

        assert answer["code"] in ("log_changed", "punches_unsent")
        assert len(home.terminal.attendance()) == 1
        assert [event["timestamp"] for event in home.wait_for(1)] == ["2026-03-02T09:20:00"]

    def test_a_total_that_is_given_counts_here_too(self, home: House) -> None:
        punch(home.terminal, 1)
        home.wait_for(1)
        self.confirm_all(home)

        assert self.clear(home, total=2)["code"] == "log_changed"

    def test_a_full_log_is_compared_with_what_was_published(self, home: House) -> None:
        home.terminal.switches.update({"record_capacity": 2, "log_full": "overwrite"})
        punch(home.terminal, 2)
        home.wait_for(2)
        self.confirm_all(home)
        home.stop()
        punch(home.terminal, 1, first=20)
        home.start()

        answer = self.clear(home)

        assert answer["code"] in ("log_changed", "punches_unsent")
        assert len(home.terminal.attendance()) == 2
