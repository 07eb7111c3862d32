"""Punches as they happen, and from the log what nobody heard: each once, in order."""

import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import House
from tests.support.waiting import wait_until
from zkbridge.attendance import follower, live_events, log_reader, names, punch_count
from zkbridge.attendance import listener as listening
from zkbridge.attendance.bookmark import COMPARED
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.device.person import Attempt
from zkbridge.simulator.wire.frames import encode_time
from zkbridge.simulator.wire.records import Punch
from zkbridge.terminal.line import FRESH_S
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import reach

NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone
ACKNOWLEDGED = 2000
KINDS = [
    ("tft", "tcp", {}),
    ("tft", "udp", {"event": "36"}),
    ("face", "tcp", {}),
    ("bw", "udp", {}),
    ("bw", "tcp", {"transport": "both"}),
    ("ma300", "udp", {}),
    ("ma300", "udp", {"attendance": "8", "event": "14"}),
]


def ids(events: list[dict[Any, Any]]) -> list[Any]:
    return [event["id"] for event in events]


def lates(events: list[dict[Any, Any]]) -> list[Any]:
    return [event.get("late", False) for event in events]


def minutes(first: int, last: int) -> list[datetime]:
    return [NINE + timedelta(minutes=number) for number in range(first, last)]


def test_a_punch_has_user_time_and_kind(terminal: SimulatedTerminal, house: Callable[..., House]) -> None:
    terminal.add_user("123", "Juan Pérez")
    home = house(terminal)

    terminal.punch("123", verify=1, state=4, when=NINE)

    assert home.wait_for(1) == [
        {
            "user_id": "123",
            "name": "Juan Pérez",
            "timestamp": "2026-03-02T09:00:00",
            "status": 1,
            "punch": 4,
            "device_id": "p",
            "id": "p/2026-03-02T09:00:00/123/1/4/0",
        }
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join([*kind[:2], *kind[2].values()]))
def test_live_and_from_the_log_it_is_the_same_punch(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], kind: tuple[str, str, dict[str, Any]]
) -> None:
    profile, transport, switches = kind
    terminal = start(profile, **switches)
    home = house(terminal, transport=transport)
    for number, when in enumerate(minutes(0, 5)):
        terminal.punch(str(1 + number), state=[0, 255][number % 2], when=when)
    live = home.wait_for(5)

    home.stop()
    for sentence in ("DELETE FROM traces", "UPDATE places SET count = 0"):
        home.ledger.database.write(lambda db, sentence=sentence: db.execute(sentence))
    home.start()
    told = home.wait_for(10)

    assert lates(told) == [False] * 5 + [True] * 5
    assert [{**event, "late": True} for event in live] == told[5:]


def test_at_the_first_start_the_old_log_is_not_published(
    terminal: SimulatedTerminal, house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    for when in minutes(0, 3):
        terminal.punch("1", when=when)

    with caplog.at_level("INFO"):
        home = house(terminal)
    terminal.punch("2", when=NINE + timedelta(hours=1))

    home.wait_for(1)
    assert home.users == ["2"]
    assert "punches are told from now on, not the 3 in its log" in caplog.text


def test_what_happened_while_the_bridge_was_away_comes_late_and_in_order(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    home.stop()
    for number, when in enumerate(minutes(1, 6)):
        terminal.punch(str(2 + number), when=when)

    home.start()
    home.wait_for(6)
    terminal.punch("9", when=NINE + timedelta(hours=1))

    told = home.wait_for(7)
    assert home.users == ["1", "2", "3", "4", "5", "6", "9"]
    assert lates(told) == [False, *[True] * 5, False]


def test_a_restart_without_news_reads_no_long_log(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "SHORT_LOG", 5)
    terminal = start()
    for when in minutes(0, 20):
        terminal.punch("1", when=when)
    home = house(terminal)
    terminal.punch("1", when=NINE + timedelta(hours=1))
    home.wait_for(1)
    reads = home.asked("PREPARE_BUFFER")

    home.stop()
    home.start()
    home.listens()
    home.ask("ping")
    wait_until(home.answers)
    terminal.punch("1", when=NINE + timedelta(hours=2))
    home.wait_for(2)

    assert home.asked("PREPARE_BUFFER") - reads == 1  # what the user is called, and no more
    assert lates(home.events) == [False, False]


@pytest.mark.parametrize("how", ["reset", "close", "silent"])
@pytest.mark.usefixtures("quick")
def test_the_events_of_a_restarted_terminal_are_received_again(
    terminal: SimulatedTerminal, house: Callable[..., House], how: str
) -> None:
    home = house(terminal, timeout=0.5)
    terminal.punch("1", when=NINE)
    home.wait_for(1)

    terminal.power_off(how)
    terminal.power_on()
    for number, when in enumerate(minutes(1, 4)):
        terminal.punch(str(2 + number), when=when)
    home.wait_for(4)
    wait_until(lambda: terminal.sessions_open == 1)
    home.listens()
    terminal.punch("10", when=NINE + timedelta(hours=1))
    home.wait_for(5)

    assert home.users == ["1", "2", "3", "4", "10"]
    assert len(set(ids(home.events))) == 5


@pytest.mark.usefixtures("quick")
def test_a_connection_that_died_in_silence_is_noticed(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start()
    home = house(terminal, timeout=0.3)

    terminal.power_off("silent")
    wait_until(lambda: "Connection timeout" in (home.states[-1] or ""))
    terminal.power_on()
    terminal.punch("1", when=NINE)

    assert home.wait_for(1)[0]["late"]
    wait_until(lambda: home.states[-1] is None)


def test_silence_is_noticed_within_thirty_seconds_whatever_the_terminal_s_timeout() -> None:
    assert follower.QUIET_S + follower.LOOK_S + punch_count.ANSWER_S < 30


def test_a_command_in_the_middle_of_a_rush_loses_nothing(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    terminal.latency = 0.002
    stop = threading.Event()

    def rush() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            terminal.punch(str(1 + number % 10), when=NINE + timedelta(seconds=number))
            time.sleep(0.002)

    people = threading.Thread(target=rush)
    people.start()
    try:
        for number in range(12):
            home.ask("users/list" if number % 2 else "users/create", **({} if number % 2 else new_user(number)))
        wait_until(lambda: len(home.answers()) == 12, timeout=30)
    finally:
        stop.set()
        people.join()
    recorded = [(punch.user_id, punch.time) for punch in terminal.attendance()]

    told = home.wait_for(len(recorded))
    assert [(event["user_id"], encode_time(datetime.fromisoformat(event["timestamp"]))) for event in told] == recorded
    assert terminal.connections_accepted == 1
    assert all(answer["success"] for answer in home.answers())


def new_user(number: int) -> dict[str, str]:
    return {"user_id": str(500 + number), "name": "Nuevo"}


def test_a_command_uses_the_connection_that_is_held(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start(second_connection="refuse")
    home = house(terminal)

    home.ask("users/create", **new_user(1))
    wait_until(home.answers)
    terminal.punch("501", when=NINE)

    assert home.wait_for(1)[0]["name"] == "Nuevo"
    assert terminal.connections_accepted == 1
    wait_until(lambda: not terminal.disabled)


def test_a_command_finds_a_dead_connection_out_and_makes_a_new_one(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zkbridge.terminal.line.FRESH_S", 0.0)
    monkeypatch.setattr("zkbridge.terminal.line.TRIAL_S", 0.3)
    terminal = start(silent_restart=True)
    home = house(terminal)
    terminal.restart()

    home.ask("door/unlock")  # forbidden here, but asked on a connection that answers
    home.ask("users/create", **new_user(1))
    wait_until(lambda: len(home.answers()) == 2)

    assert {answer["code"] for answer in home.answers()} == {"forbidden", "created"}
    assert terminal.connections_accepted == 2


def test_a_connection_that_has_just_received_something_is_not_tested(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    before = home.asked("GET_TIME")

    home.ask("users/list")
    wait_until(home.answers)

    assert home.asked("GET_TIME") == before
    assert FRESH_S <= 1


def test_equal_punches_have_different_ids(terminal: SimulatedTerminal, house: Callable[..., House]) -> None:
    home = house(terminal)
    for _ in range(3):
        terminal.punch("1", when=NINE)
    home.wait_for(3)
    home.stop()
    terminal.punch("1", when=NINE)
    home.start()

    assert [each[-1] for each in ids(home.wait_for(4))] == ["0", "1", "2", "3"]


def test_a_repeated_event_is_not_taken_for_the_next_punch(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    """As when a punch was just read from the log, its event is still on the way, and somebody punches meanwhile."""
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    terminal.add_punch(Punch(2, "2", 1, 0, encode_time(NINE + timedelta(minutes=1))))
    again = Attempt(1, 1, Punch(1, "1", 1, 0, encode_time(NINE)))
    terminal._loop.call_soon_threadsafe(terminal.machine.events.announce, again)

    home.wait_for(2)
    assert home.users == ["1", "2"]
    wait_until(lambda: terminal.counts[ACKNOWLEDGED] == 2)
    assert len(home.events) == 2


def test_a_clock_that_is_set_back_makes_no_punch_old(terminal: SimulatedTerminal, house: Callable[..., House]) -> None:
    """As at the end of summer time: the same hour once more."""
    home = house(terminal)
    terminal.punch("1", when=NINE)
    terminal.punch("2", when=NINE + timedelta(minutes=59))
    home.wait_for(2)
    home.stop()
    terminal.punch("1", when=NINE)
    terminal.punch("3", when=NINE + timedelta(minutes=1))
    home.start()
    home.wait_for(4)
    terminal.punch("2", when=NINE - timedelta(days=9000))

    told = home.wait_for(5)
    assert home.users == ["1", "2", "1", "3", "2"]
    assert len(set(ids(told))) == 5


def test_a_log_that_was_cleared_without_a_connection_is_published_from_its_beginning(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    for when in minutes(0, 3):
        terminal.punch("1", when=when)
    home.wait_for(3)
    home.stop()
    clear(terminal)
    for when in minutes(10, 13):
        terminal.punch("2", when=when)
    home.start()

    assert lates(home.wait_for(6)) == [False] * 3 + [True] * 3
    assert home.users == ["1"] * 3 + ["2"] * 3


def test_a_log_that_was_cleared_before_a_punch_of_it_was_published_is_published_from_its_beginning(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    for when in minutes(0, 3):
        terminal.punch("1", when=when)
    home = house(terminal)
    home.listens()
    home.stop()
    clear(terminal)
    for when in minutes(10, 15):
        terminal.punch("2", when=when)
    home.start()

    home.wait_for(5)
    assert home.users == ["2"] * 5


@pytest.mark.usefixtures("quick")
def test_punches_without_an_event_that_fill_the_log_are_published(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start(record_capacity=3)
    home = house(terminal)
    home.listens()
    for when in minutes(0, 3):
        terminal.add_punch(Punch(1, "1", 1, 0, encode_time(when)))

    assert lates(home.wait_for(3)) == [True] * 3


@pytest.mark.usefixtures("quick")
def test_a_log_that_is_cleared_meanwhile_does_no_harm(terminal: SimulatedTerminal, house: Callable[..., House]) -> None:
    home = house(terminal)
    for when in minutes(0, 5):
        terminal.punch("1", when=when)
    home.wait_for(5)
    clear(terminal)
    terminal.punch("2", when=NINE + timedelta(hours=1))
    home.wait_for(6)
    wait_until(lambda: home.ledger.punches.place("p").count == 1)
    terminal.punch("3", when=NINE + timedelta(hours=2))

    assert lates(home.wait_for(7)) == [False] * 7
    wait_until(lambda: home.ledger.punches.place("p").count == 2)
    assert len(home.events) == 7


def clear(terminal: SimulatedTerminal) -> None:
    terminal.machine.terminal.clear("attendance")


def test_a_full_log_that_loses_its_oldest_is_followed(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start(record_capacity=20, log_full="overwrite")
    for when in minutes(0, 20):
        terminal.punch("1", when=when)
    home = house(terminal)
    for when in minutes(20, 25):
        terminal.punch("2", when=when)
    home.wait_for(5)
    home.stop()
    for when in minutes(25, 28):
        terminal.punch("3", when=when)
    home.start()
    home.wait_for(8)
    home.listens()
    terminal.punch("4", when=NINE + timedelta(hours=1))

    home.wait_for(9)
    assert home.users == ["2"] * 5 + ["3"] * 3 + ["4"]
    assert lates(home.events) == [False] * 5 + [True] * 3 + [False]


def test_the_log_of_another_terminal_at_the_same_address_is_not_published(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    home.stop()
    terminal.set_option("~SerialNumber", "ANOTHER")
    terminal.punch("1", when=NINE + timedelta(minutes=1))
    home.start()
    home.listens()
    terminal.punch("2", when=NINE + timedelta(minutes=2))

    home.wait_for(2)
    assert home.users == ["1", "2"]


@pytest.mark.parametrize("silent", ["at first", "later"])
def test_a_terminal_that_does_not_report_its_serial_number_once_is_no_other(
    terminal: SimulatedTerminal, house: Callable[..., House], silent: str
) -> None:
    if silent == "at first":
        terminal.faults.add("OPTIONS_RRQ", "before", "refuse")
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    home.stop()
    terminal.punch("2", when=NINE + timedelta(minutes=1))
    if silent == "later":
        terminal.faults.add("OPTIONS_RRQ", "before", "refuse")
    home.start()
    home.listens()
    terminal.punch("3", when=NINE + timedelta(minutes=2))

    home.wait_for(3)
    assert home.users == ["1", "2", "3"]
    assert terminal.faults.waiting() == ()
    home.stop()
    terminal.set_option("~SerialNumber", "ANOTHER")
    terminal.punch("4", when=NINE + timedelta(minutes=3))
    home.start()
    home.listens()
    terminal.punch("5", when=NINE + timedelta(minutes=4))
    home.wait_for(4)
    assert home.users == ["1", "2", "3", "5"], "and another is still known"


def test_a_user_who_is_not_in_the_table_has_no_name(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start("ma300")
    home = house(terminal, transport="udp")
    home.stop()
    terminal.punch("3", when=NINE)
    terminal.delete_user("3")
    home.start()

    assert [(event["user_id"], event["name"]) for event in home.wait_for(1)] == [("3", "")]


def test_a_user_added_at_the_keypad_has_a_name_at_once(
    terminal: SimulatedTerminal, house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "STRANGER_S", 0.0)
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    terminal.add_user("777", "Eva")
    terminal.punch("777", when=NINE + timedelta(minutes=1))

    assert home.wait_for(2)[1]["name"] == "Eva"


def test_a_name_that_a_command_has_changed_is_the_new_one(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    home.ask("users/update", user_id="1", name="Renata")
    wait_until(home.answers)
    terminal.punch("1", when=NINE + timedelta(minutes=1))

    assert home.wait_for(2)[1]["name"] == "Renata"


def test_an_event_is_acknowledged_once_it_is_on_disk(
    terminal: SimulatedTerminal, house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(terminal)
    tell, broken = home.ledger.punches.add, threading.Event()

    def full_disk(*arguments: Any, **more: Any) -> None:
        if not broken.is_set():
            broken.set()
            raise LedgerUnavailable("disk full")
        return tell(*arguments, **more)

    monkeypatch.setattr(listening, "DISK_PAUSE_S", 0.1)
    monkeypatch.setattr(home.ledger.punches, "add", full_disk)
    terminal.punch("1", when=NINE)
    wait_until(broken.is_set)
    assert terminal.counts[ACKNOWLEDGED] == 0

    assert home.wait_for(1)[0]["late"]
    terminal.punch("2", when=NINE + timedelta(minutes=1))
    home.wait_for(2)
    assert home.users == ["1", "2"]


@pytest.mark.usefixtures("quick")
def test_lost_doubled_and_mixed_up_datagrams_make_no_false_punch(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start("bw", udp_loss=0.1, udp_duplicate=0.2, udp_reorder=0.2)
    home = house(terminal, transport="udp", timeout=0.3)
    for number in range(60):
        terminal.punch(str(1 + number % 10), when=NINE + timedelta(seconds=number))
        home.wait_for(number - 20)
    told = home.wait_for(60)

    assert [event["timestamp"] for event in told] == [(NINE + timedelta(seconds=n)).isoformat() for n in range(60)]
    assert {each[-1] for each in ids(told)} == {"0"}


@pytest.mark.usefixtures("quick")
def test_the_log_of_a_terminal_that_sends_no_events_is_read(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    terminal.faults.add("REG_EVENT", "before", "refuse", count=100)
    home = house(terminal)

    terminal.punch("1", when=NINE)

    assert home.wait_for(1)[0]["late"]


@pytest.mark.usefixtures("quick")
def test_a_log_that_cannot_be_read_does_not_end_the_listening(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    terminal = start()
    home = house(terminal)
    home.stop()
    terminal.punch("1", when=NINE)
    terminal.faults.add("PREPARE_BUFFER", "before", "refuse", count=log_reader.REFUSALS)
    home.start()
    wait_until(lambda: "punches that came without an event are not published" in caplog.text)
    terminal.punch("2", when=NINE + timedelta(minutes=1))

    home.wait_for(1)
    assert home.users == ["2"]


def with_history(terminal: SimulatedTerminal, count: int) -> None:
    for number in range(count):
        terminal.add_punch(Punch(1, "1", 1, 0, encode_time(NINE + timedelta(minutes=number))))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("shown", [0, 1, 250, 500])
def test_a_log_that_reads_shorter_than_the_count_does_not_move_the_place(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], caplog: pytest.LogCaptureFixture, shown: int
) -> None:
    terminal = start()
    with_history(terminal, 500)
    home = house(terminal)
    terminal.switches.attendance_shown = shown
    with_history(terminal, 1)
    wait_until(lambda: "are no records of 501" in caplog.text)

    assert home.ledger.punches.place("p").count == 500
    terminal.switches.attendance_shown = -1
    home.wait_for(1)
    wait_until(lambda: home.ledger.punches.place("p").count == 501)
    assert len(home.events) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("shown", [0, 250])
def test_a_log_that_stays_short_is_read_again_later(
    start: Callable[..., SimulatedTerminal],
    house: Callable[..., House],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    shown: int,
) -> None:
    monkeypatch.setattr(log_reader, "READ_AGAIN_S", 0.5)
    terminal = start()
    with_history(terminal, 500)
    home = house(terminal)
    terminal.switches.attendance_shown = shown
    with_history(terminal, 1)
    wait_until(lambda: "punches that came without an event are not published" in caplog.text)
    place = home.ledger.punches.place("p").count
    terminal.switches.attendance_shown = -1

    assert (place, lates(home.wait_for(1))) == (500, [True])
    terminal.punch("2", when=NINE + timedelta(days=3))
    home.wait_for(2)
    assert home.users == ["1", "2"]


@pytest.mark.usefixtures("quick")
def test_a_count_of_0_is_a_cleared_log_only_if_the_next_connection_has_it_too(
    terminal: SimulatedTerminal,
    house: Callable[..., House],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE_S", 1.0)
    with_history(terminal, 300)
    home = house(terminal)
    terminal.switches.sizes_words = {"8": 0}
    wait_until(lambda: "it reads as 0 punches where 300 were told" in caplog.text)
    terminal.switches.sizes_words = {}
    home.listens()
    terminal.punch("2", when=NINE + timedelta(days=3))

    home.wait_for(1)
    assert home.users == ["2"]
    assert home.ledger.punches.place("p").count == 301


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("history", [3, 230, 500])
def test_a_log_that_looked_empty_before_a_first_punch_was_published_is_not_published_when_it_is_complete_again(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], transport: str, history: int
) -> None:
    terminal = start()
    with_history(terminal, history)
    home = house(terminal, transport=transport)
    terminal.switches.sizes_words = {"8": 0}
    wait_until(lambda: home.ledger.punches.place("p").count == 0, what="a log that counts as cleared")
    terminal.switches.sizes_words = {}
    wait_until(lambda: home.ledger.punches.place("p").count == history, what="the whole log")
    terminal.punch("2", when=NINE + timedelta(days=3))

    home.wait_for(1)
    assert home.users == ["2"]


def test_the_end_of_a_long_log_that_could_not_be_read_at_first_is_remembered_on_the_next_connection(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start()
    with_history(terminal, 500)
    home = house(terminal)
    home.stop()
    home.ledger.database.write(lambda db: db.execute("DELETE FROM traces"))
    with_history(terminal, 1)
    reads = home.asked("READ_BUFFER")
    home.start()

    assert lates(home.wait_for(1)) == [True]
    home.listens()
    assert len(home.ledger.punches.place("p").traces) == COMPARED + 1
    assert (home.ledger.punches.place("p").count, home.asked("READ_BUFFER") - reads) == (501, 1)


@pytest.mark.usefixtures("quick")
def test_live_punches_are_published_of_a_terminal_that_never_sends_its_long_log(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start()
    with_history(terminal, 500)
    terminal.faults.add("PREPARE_BUFFER", "before", "refuse", count=1000)
    home = house(terminal)
    terminal.punch("2", when=NINE + timedelta(days=3))

    home.wait_for(1)
    assert home.users == ["2"]


@pytest.mark.usefixtures("quick")
def test_a_terminal_that_does_not_count_must_read_short_several_times_before_its_log_was_cleared(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    terminal = start(sizes_length=16)
    with_history(terminal, 300)
    home = house(terminal)
    terminal.switches.attendance_shown = 250
    home.stop()
    home.start()
    wait_until(lambda: "it reads as 250 punches where 300 were told" in caplog.text)

    terminal.switches.attendance_shown = -1
    home.listens()
    assert home.ledger.punches.place("p").count == 300
    terminal.punch("2", when=NINE + timedelta(days=3))
    home.wait_for(1)
    assert home.users == ["2"]
    clear(terminal)
    home.stop()
    home.start()
    wait_until(lambda: home.ledger.punches.place("p").count == 0)


@pytest.mark.usefixtures("quick")
def test_an_empty_record_is_no_event_and_keeps_its_place(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start()
    home = house(terminal)
    terminal.add_punch(Punch(0, "", 0, 0, 0))
    wait_until(lambda: home.ledger.punches.place("p").count == 1)
    terminal.add_punch(Punch(1, "1", 1, 0, encode_time(NINE)))

    home.wait_for(1)
    wait_until(lambda: home.ledger.punches.place("p").count == 2)
    assert home.users == ["1"]


@pytest.mark.usefixtures("quick")
def test_a_punch_with_an_event_is_published_while_the_log_cannot_be_read(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    terminal = start()
    with_history(terminal, 300)
    home = house(terminal)
    terminal.switches.attendance_shown = 250
    with_history(terminal, 1)
    wait_until(lambda: "punches that came without an event are not published" in caplog.text)
    terminal.punch("2", when=NINE + timedelta(days=3))

    home.wait_for(1)
    assert home.users == ["2"]


@pytest.mark.usefixtures("quick")
def test_a_count_that_disagrees_with_the_log_is_asked_of_the_log_a_few_times_only(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start()
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    terminal.switches.sizes_words = {"8": 90}
    wait_until(lambda: home.listener._follower._log_reader.off_by == 89)
    reads = home.asked("PREPARE_BUFFER")
    asked = home.asked("GET_FREE_SIZES")
    wait_until(lambda: home.asked("GET_FREE_SIZES") > asked + 3)

    assert home.asked("PREPARE_BUFFER") == reads
    assert len(home.events) == 1


@pytest.mark.usefixtures("quick")
def test_a_record_without_an_event_is_found_when_the_terminal_is_quiet(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    terminal.add_punch(Punch(1, "1", 1, 0, encode_time(NINE)))

    assert home.wait_for(1)[0]["late"]


@pytest.mark.usefixtures("quick")
def test_who_else_wants_the_terminal_gets_it(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], tmp_path: Path
) -> None:
    terminal = start(second_connection="refuse")
    home = house(terminal)

    for _ in range(3):
        info = reach(home.config.devices["p"], deadline=Deadline.after(10), lock_dir=tmp_path / "locks")
        assert info.sizes.users == 10
    terminal.punch("1", when=NINE)

    home.wait_for(1)


@pytest.mark.usefixtures("quick")
def test_while_another_process_has_the_terminal_no_punch_is_lost(
    terminal: SimulatedTerminal, house: Callable[..., House], tmp_path: Path
) -> None:
    home = house(terminal)
    address = f"{terminal.host}:{terminal.port}"
    with hold(address, lock_dir=tmp_path / "locks", deadline=Deadline.after(10)):
        wait_until(lambda: terminal.sessions_open == 0)
        terminal.punch("1", when=NINE)

    assert home.wait_for(1)[0]["late"]


def test_reading_a_long_log_makes_way_for_a_command(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LOOK_S", 0.05)
    terminal = start(piece_delay=0.3)
    home = house(terminal)
    home.stop()
    for number in range(3500):  # three pieces
        terminal.punch("1", when=NINE + timedelta(seconds=number))
    home.start()
    wait_until(lambda: home.asked("READ_BUFFER") >= 1)
    home.ask("ping")
    wait_until(home.answers)
    assert home.events == []

    wait_until(lambda: home.ledger.punches.count_unsent() == 3500, timeout=30)
    assert lates(home.events) == [True] * 3500


def test_reading_a_long_log_does_not_hold_up_the_end(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    terminal = start(piece_delay=0.4)
    home = house(terminal)
    home.stop()
    for number in range(9000):  # six pieces
        terminal.punch("1", when=NINE + timedelta(seconds=number))
    home.start()
    home.listener._follower._log_reader._made_way = log_reader.MAKES_WAY
    wait_until(lambda: home.asked("READ_BUFFER") >= 1)

    home.stop()

    assert home.asked("READ_BUFFER") < 6
    terminal.switches.piece_delay = 0.0
    home.start()


def test_of_a_long_log_only_the_end_is_read(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "SHORT_LOG", 5)
    terminal = start()
    for number in range(4000):  # three pieces
        terminal.punch("1", when=NINE + timedelta(seconds=number))
    home = house(terminal)
    at_first = home.asked("READ_BUFFER")
    for number in range(4000, 4070):
        terminal.punch("2", when=NINE + timedelta(seconds=number))
    home.wait_for(70)
    home.stop()
    for number in range(4070, 4073):
        terminal.punch("3", when=NINE + timedelta(seconds=number))
    home.start()

    home.wait_for(73)
    assert home.users == ["2"] * 70 + ["3"] * 3
    assert (at_first, home.asked("READ_BUFFER") - at_first) == (1, 1)


def test_a_log_that_was_cleared_and_is_longer_than_before_is_published_whole(
    terminal: SimulatedTerminal, house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "SHORT_LOG", 5)
    home = house(terminal)
    for number in range(100):
        terminal.punch("1", when=NINE + timedelta(seconds=number))
    home.wait_for(100)
    home.stop()
    clear(terminal)
    for number in range(1000, 1150):
        terminal.punch("2", when=NINE + timedelta(seconds=number))
    home.start()

    home.wait_for(250)
    assert home.users == ["1"] * 100 + ["2"] * 150


def test_a_flood_of_requests_does_not_keep_punches_back(
    terminal: SimulatedTerminal, house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HUNGRY_S", 0.1)
    home = house(terminal)
    terminal.punch("1", when=NINE)
    home.wait_for(1)
    terminal.latency = 0.05
    home.config.__dict__["session_budget"] = 0.1
    for _ in range(200):
        home.ask("ping")
    wait_until(home.answers)
    terminal.punch("1", when=NINE + timedelta(minutes=1))

    home.wait_for(2)
    assert len(home.answers()) < 200
    assert terminal.connections_accepted == 1


@pytest.mark.usefixtures("quick")
def test_no_more_is_kept_than_there_is_room_for(terminal: SimulatedTerminal, house: Callable[..., House]) -> None:
    home = house(terminal, ledger={"max_punches": 100})
    home.stop()
    for number in range(450):
        terminal.punch("1", when=NINE + timedelta(seconds=number))
    home.start()
    told: list[Any] = []
    while len(told) < 450:
        wait_until(home.ledger.punches.count_unsent)
        waiting = home.ledger.punches.unsent(1000)
        assert len(waiting) < 100 + live_events.BATCH
        told += [json.loads(punch.body) for punch in waiting]
        home.ledger.punches.forget([punch.id for punch in waiting])

    assert [event["timestamp"] for event in told] == [(NINE + timedelta(seconds=n)).isoformat() for n in range(450)]


def test_the_end_comes_at_once(terminal: SimulatedTerminal, house: Callable[..., House]) -> None:
    home = house(terminal)
    began = time.monotonic()
    home.stop()

    assert time.monotonic() - began < 5
    wait_until(lambda: terminal.sessions_open == 0)
    home.start()


def test_the_watchdog_notices_a_step_that_does_not_end(
    terminal: SimulatedTerminal, house: Callable[..., House]
) -> None:
    home = house(terminal)
    assert not home.worker.overdue()

    home.listener._watch._due = time.monotonic() - 1

    assert home.listener.overdue()


@pytest.mark.usefixtures("quick")
def test_a_terminal_that_knows_the_session_no_more_when_it_is_asked_for_events_again_is_connected_to_again(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    """It was restarted (answer 2005); before, the bridge read its log from then on and heard no events."""
    terminal = start()
    home = house(terminal)
    home.listens()
    terminal.faults.add("REG_EVENT", "before", "refuse", code=2005)

    home.ask("ping", request_id="1")
    wait_until(lambda: home.listener.line.number == 2, what="another connection")
    home.listens()
    terminal.punch("1", when=NINE)

    assert [event["user_id"] for event in home.wait_for(1)] == ["1"]
    assert "late" not in home.events[0]
    assert home.asked("ATTLOG_RRQ") == 0


@pytest.mark.usefixtures("quick")
def test_a_terminal_that_answers_2005_on_a_new_connection_just_sends_no_events(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    terminal = start()
    terminal.faults.add("REG_EVENT", "before", "refuse", code=2005, count=100)
    home = house(terminal)
    wait_until(lambda: "punches are fetched from its log instead" in caplog.text)

    home.ask("ping", request_id="1")
    wait_until(lambda: home.asked("REG_EVENT") == 2, what="the listening after the request")
    terminal.punch("1", when=NINE)

    assert [event["user_id"] for event in home.wait_for(1)] == ["1"]
    assert home.asked("CONNECT") == 1


@pytest.mark.usefixtures("quick")
def test_over_datagrams_a_restart_without_a_word_does_not_end_the_punches(
    start: Callable[..., SimulatedTerminal], house: Callable[..., House]
) -> None:
    """It refuses whatever is asked in a session from before (answer 2005), its count too, and sends no events."""
    terminal = start()
    home = house(terminal, transport="udp")
    terminal.punch("1", when=NINE)
    home.wait_for(1)

    terminal.restart()
    for number, when in enumerate(minutes(1, 4)):
        terminal.punch(str(2 + number), when=when)

    assert [event["user_id"] for event in home.wait_for(4)] == ["1", "2", "3", "4"]
