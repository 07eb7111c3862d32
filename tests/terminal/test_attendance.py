"""Punches from the log of a terminal, and as they happen."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Self

import pytest

from tests.support.waiting import wait_until
from zkbridge.contract.errors import ConnectionFailure, DeviceRejected, DeviceTimeout
from zkbridge.port.waker import Waker
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.wire.codes import command_name
from zkbridge.terminal.protocol.bulk_read import ReadInterrupted
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.wire import Frame
from zkbridge.terminal.session import Session

NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone
PROFILES = [("tft", "tcp"), ("tft", "udp"), ("face", "tcp"), ("f19", "tcp"), ("bw", "udp"), ("ma300", "udp")]


def asked(terminal: SimulatedTerminal, command: str) -> int:
    return sum(exchange.direction == "in" and command_name(exchange.command) == command for exchange in terminal.log)


@pytest.fixture
def waker() -> Iterator[Waker]:
    with Waker() as made:
        yield made


class Listener(threading.Thread):
    """Listens in a thread of its own, and keeps what it heard and how it ended; asks for the count in silence."""

    def __init__(self, session: Session, waker: Waker, *, idle: float = 30.0) -> None:
        super().__init__(daemon=True)
        self.heard: list[Any] = []
        self.questions = 0
        self.failure: Exception | None = None
        self._session, self._waker, self._idle = session, waker, idle

    def run(self) -> None:
        try:
            self._session.listen()
            while not self._waker.woken:
                punches = self._session.hear(self._idle, self._waker)
                if punches is not None:
                    self.heard += punches
                    self._session.acknowledge()
                elif not self._waker.woken:
                    self._session.sizes()
                    self.questions += 1
        except Exception as failure:  # noqa: BLE001 - the test looks at it
            self.failure = failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waker.wake()
        self.join(10)
        assert not self.is_alive()


class TestLog:
    @pytest.mark.parametrize(("profile", "transport"), PROFILES)
    @pytest.mark.parametrize("count", [0, 1, 3, 500])
    def test_every_profile_s_log_is_read(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        profile: str,
        transport: str,
        count: int,
    ) -> None:
        terminal = start(profile=profile)
        for number in range(9):
            terminal.add_user(str(100 + number), f"U{number}")
        for number in range(count):
            terminal.punch(str(100 + number % 9), verify=1, state=number % 2, when=NINE + timedelta(minutes=number))

        with talk(terminal, transport=transport, disable_for=None) as session:
            punches = session.attendance()

        assert [(punch.user_id, punch.timestamp, punch.status, punch.punch) for punch in punches] == [
            (str(100 + number % 9), NINE + timedelta(minutes=number), 1, number % 2) for number in range(count)
        ]

    def test_punches_of_a_deleted_user_keep_the_uid(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(profile="ma300")
        terminal.add_user("500", "Ana", uid=7)
        terminal.punch("500")
        terminal.delete_user("500")

        with talk(terminal, transport="udp") as session:
            assert [punch.user_id for punch in session.attendance()] == ["7"]

    @pytest.mark.parametrize("frame", range(1, 9))
    def test_datagrams_that_change_places_make_no_false_log(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], frame: int
    ) -> None:
        terminal = start(profile="bw")
        terminal.add_user("5", "Ana")
        for number in range(600):
            terminal.punch("5", when=NINE + timedelta(minutes=number))
        terminal.faults.add("READ_BUFFER", "after", "swap", frame=frame)

        with talk(terminal, transport="udp") as session:
            punches = session.attendance()

        assert [punch.timestamp for punch in punches] == [NINE + timedelta(minutes=number) for number in range(600)]

    @pytest.mark.parametrize(("field", "readings"), [("session", 2), ("index", 1)])
    def test_a_log_whose_clock_was_set_back_is_read_twice_over_datagrams_without_a_number(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], field: str, readings: int
    ) -> None:
        terminal = start(profile="bw", session_field_of_data=field)
        terminal.add_user("5", "Ana")
        for number in range(300, 0, -1):
            terminal.punch("5", when=NINE + timedelta(minutes=number))

        with talk(terminal, transport="udp") as session:
            assert len(session.attendance()) == 300
        assert asked(terminal, "PREPARE_BUFFER") == readings

    def test_a_refused_log_is_an_error(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start()
        terminal.add_user("5", "Ana")
        terminal.punch("5")
        terminal.faults.add("PREPARE_BUFFER", "before", "refuse")

        with talk(terminal) as session, pytest.raises(DeviceRejected) as caught:
            session.attendance()
        assert caught.value.sentence("en").startswith("The attendance log of device")

    def test_a_log_of_no_known_layout_is_an_error(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal.add_user("5", "Ana")
        terminal.punch("5")

        with talk(terminal) as session:
            monkeypatch.setattr(session, "_view", lambda *_args, **_kind: memoryview(b"\x16\0\0\0" + bytes(22)))
            with pytest.raises(DeviceRejected, match="22 bytes are no records of 1"):
                session.attendance()


class TestListening:
    @pytest.mark.parametrize(
        "kind",
        [
            ("tft", "tcp", "32"),
            ("tft", "udp", "36"),
            ("face", "tcp", "37"),
            ("face", "tcp", "52"),
            ("bw", "udp", "12"),
            ("ma300", "udp", "10"),
            ("ma300", "udp", "14"),
        ],
        ids="-".join,
    )
    def test_punches_are_received_as_they_happen(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        waker: Waker,
        kind: tuple[str, str, str],
    ) -> None:
        profile, transport, event = kind
        terminal = start(profile=profile, event=event)
        terminal.add_user("500", "Ana", uid=7)

        with talk(terminal, transport=transport, disable_for=None) as session, Listener(session, waker) as listener:
            wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            for minute in range(3):
                terminal.punch("500", verify=1, state=1, when=NINE + timedelta(minutes=minute))
            wait_until(lambda: len(listener.heard) == 3)

        assert listener.failure is None
        assert [(punch.user_id, punch.timestamp, punch.status, punch.punch) for punch in listener.heard] == [
            ("500", NINE + timedelta(minutes=minute), 1, 1) for minute in range(3)
        ]
        wait_until(lambda: asked(terminal, "OK") == 3)

    def test_a_user_who_is_new_is_known_by_his_uid(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal = start(profile="ma300")
        terminal.add_user("500", "Ana")

        with talk(terminal, transport="udp", disable_for=None) as session, Listener(session, waker) as listener:
            session_knows = wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            terminal.punch("500")
            wait_until(lambda: len(listener.heard) == 1)
            terminal.add_user("777", "Eva")
            terminal.punch("777")
            wait_until(lambda: len(listener.heard) == 2)

        assert session_knows
        assert [punch.user_id for punch in listener.heard] == ["500", "777"]

    def test_a_wait_is_ended_at_once(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        with talk(terminal, disable_for=None) as session, Listener(session, waker):
            wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            began = time.monotonic()
        assert time.monotonic() - began < 5

    def test_after_listening_the_session_serves_requests(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        with talk(terminal, disable_for=None) as session:
            with Listener(session, waker):
                wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            session.extend(Deadline.after(5))
            assert session.count() == 0

    def test_many_punches_at_once_are_received_whole_and_in_order(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None) as session, Listener(session, waker) as listener:
            wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            for second in range(400):
                terminal.punch("5", when=NINE + timedelta(seconds=second))
            wait_until(lambda: len(listener.heard) == 400)

        assert [punch.timestamp for punch in listener.heard] == [NINE + timedelta(seconds=n) for n in range(400)]

    @pytest.mark.parametrize("delivery", ["split-1", "split-9", "coalesced"])
    def test_events_are_whole_however_the_stream_is_cut(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], waker: Waker, delivery: str
    ) -> None:
        terminal = start(delivery=delivery, split_delay=0)
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None) as session, Listener(session, waker) as listener:
            wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            for second in range(5):
                terminal.punch("5", when=NINE + timedelta(seconds=second))
            wait_until(lambda: len(listener.heard) == 5)

    def test_other_events_are_no_punches(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None) as session:
            alarm = Frame(500, 512, 0, bytes((0x37, 0, 0, 0)))
            session._client.events.append(alarm)
            with Listener(session, waker) as listener:
                wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
                terminal.punch("5")
                wait_until(lambda: listener.heard)

        assert [punch.user_id for punch in listener.heard] == ["5"]
        wait_until(lambda: asked(terminal, "OK") == 2)

    def test_an_event_between_request_and_answer_is_received(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal.add_user("5", "Ana")
        terminal.faults.add("GET_FREE_SIZES", "after", "event")

        with talk(terminal, disable_for=None) as session:
            session.count()
            with Listener(session, waker) as listener:
                wait_until(lambda: listener.heard)

        assert [punch.user_id for punch in listener.heard] == ["5"]

    def test_silence_is_broken_by_a_question(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        with talk(terminal, disable_for=None) as session, Listener(session, waker, idle=0.05) as listener:
            wait_until(lambda: listener.questions >= 2)

        assert listener.heard == []

    def test_listening_outlasts_the_session_s_deadline(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None, within=0.3) as session, Listener(session, waker) as listener:
            later_than_the_session_s = Deadline.after(0.3)
            wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            wait_until(lambda: later_than_the_session_s.passed)
            terminal.punch("5")
            wait_until(lambda: len(listener.heard) == 1)

    def test_a_connection_that_died_in_silence_is_noticed(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        with talk(terminal, disable_for=None, timeout=0.3) as session, Listener(session, waker, idle=0.2) as listener:
            wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            terminal.power_off("silent")
            wait_until(lambda: listener.failure is not None)

        assert isinstance(listener.failure, DeviceTimeout)

    @pytest.mark.parametrize("how", ["reset", "close"])
    def test_a_connection_that_ends_is_noticed_at_once(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker, how: str
    ) -> None:
        with talk(terminal, disable_for=None) as session, Listener(session, waker) as listener:
            wait_until(lambda: asked(terminal, "REG_EVENT") == 1)
            terminal.power_off(how)
            wait_until(lambda: listener.failure is not None)

        assert isinstance(listener.failure, ConnectionFailure)

    def test_a_terminal_that_refuses_to_send_events_is_reported(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("REG_EVENT", "before", "refuse")

        with talk(terminal, disable_for=None) as session, pytest.raises(DeviceRejected, match="REG_EVENT"):
            session.listen()


class TestAfterALog:
    def test_a_request_is_answered_although_the_terminal_confirmed_that_it_freed_the_log_while_events_were_awaited(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        """The request waited for that confirmation once more, in vain, and the connection was given up."""
        terminal.add_user("5", "Ana")
        for number in range(500):
            terminal.punch("5", when=NINE + timedelta(seconds=number))

        with talk(terminal, disable_for=None) as session:
            session.listen()
            session.attendance()
            heard = session.hear(0.3, waker)
            terminal.punch("5", when=NINE + timedelta(days=1))

            assert session.sizes().records == 501
            assert (heard, len(session.hear(1, waker) or [])) == (None, 1)
        assert terminal.connections_accepted == 1


class TestGivingUp:
    def test_a_log_that_is_given_up_leaves_the_connection_as_it_was(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.add_user("5", "Ana")
        for number in range(4000):  # three pieces
            terminal.punch("5", when=NINE + timedelta(seconds=number))
        asked_for = []

        def after_one_piece() -> bool:
            asked_for.append(True)
            return len(asked_for) > 1

        with talk(terminal, disable_for=None) as session:
            with pytest.raises(ReadInterrupted):
                session.attendance(give_up=after_one_piece)
            assert session.count() == 1
            assert len(session.attendance()) == 4000
        assert asked(terminal, "FREE_DATA") == 2


class TestWaking:
    def test_who_was_woken_before_does_not_wait(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        waker.wake()

        with talk(terminal, disable_for=None) as session:
            session.listen()
            assert session.hear(30, waker) is None

    def test_waking_often_or_too_late_does_no_harm(self) -> None:
        waker = Waker()
        for _ in range(100_000):
            waker.wake()
        waker.close()
        waker.wake()
        waker.close()

        assert waker.woken
