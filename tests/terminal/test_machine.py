"""What a terminal is, its clock and its door."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.support.frames import asked
from tests.support.waiting import wait_until
from zkbridge.contract.errors import DeviceRejected, DeviceUnreachable
from zkbridge.port.facts import Sizes
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.protocol.sizes import parse_sizes
from zkbridge.terminal.protocol.wire import Frame
from zkbridge.terminal.session import Session

WHEN = datetime(2026, 2, 28, 23, 59, 50)  # noqa: DTZ001 - a terminal's clock has no zone


def words(**values: Any) -> bytes:
    """An answer to GET_FREE_SIZES, made of its 23 words by index."""
    return b"".join(values.get(f"w{index}", 0).to_bytes(4, "little", signed=True) for index in range(23))


class TestSizes:
    def test_a_captured_answer_is_read(self) -> None:
        """An F18 (fananimi/pyzk#111)."""
        values = {
            4: 3,
            6: 3,
            8: 58,
            10: 90,
            12: 2,
            13: 2,
            14: 3000,
            15: 5000,
            16: 100_000,
            17: 2997,
            18: 4997,
            19: 99942,
        }

        sizes = parse_sizes(words(**{f"w{index}": value for index, value in values.items()}))

        assert sizes == Sizes(
            users=3,
            users_capacity=5000,
            users_free=4997,
            fingers=3,
            fingers_capacity=3000,
            fingers_free=2997,
            records=58,
            records_capacity=100_000,
            records_free=99942,
            faces=0,
            faces_capacity=0,
        )

    @pytest.mark.parametrize(
        ("length", "users", "records"), [(0, None, None), (19, None, None), (20, 7, None), (36, 7, 9)]
    )
    def test_a_short_answer_holds_what_it_holds(self, length: int, users: int | None, records: int | None) -> None:
        sizes = parse_sizes(words(w4=7, w8=9)[:length])

        assert (sizes.users, sizes.records, sizes.faces) == (users, records, None)

    def test_a_negative_count_is_none(self) -> None:
        assert parse_sizes(words(w4=-1)).users is None

    @pytest.mark.parametrize(
        ("sizes", "added", "full"),
        [
            (Sizes(users=5, users_capacity=5, users_free=0), 0, True),
            (Sizes(users=3, users_capacity=5, users_free=2), 1, False),
            (Sizes(users=3, users_capacity=5, users_free=2), 2, True),
            (Sizes(users=5, users_capacity=5), 0, True),
            (Sizes(users=4, users_capacity=5), 0, False),
            (Sizes(users=0, users_capacity=0, users_free=0), 0, False),
            (Sizes(), 9, False),
        ],
    )
    def test_a_terminal_is_full_when_no_more_users_fit(self, sizes: Sizes, added: int, full: bool) -> None:
        assert sizes.is_full(added=added) is full


class TestInfo:
    @pytest.mark.parametrize(("profile", "transport"), [("tft", "tcp"), ("tft", "udp"), ("ma300", "udp")])
    def test_a_terminal_reports_what_it_is(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], profile: str, transport: str
    ) -> None:
        terminal = start(profile=profile, serial="SN 1")
        terminal.fill_users(2)

        with talk(terminal, transport=transport, disable_for=None) as session:
            info = session.info()

        assert info.serial_number == "SN 1"
        assert info.platform == terminal.option("~Platform")
        assert info.mac == terminal.option("MAC")
        assert info.sizes.users == 2

    def test_a_value_may_hold_what_separates_it_from_its_name(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.set_option("~SerialNumber", "A=B")

        with talk(terminal) as session:
            assert session.option("~SerialNumber") == "A=B"

    def test_an_option_that_is_not_known_is_none(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal) as session:
            assert session.option("NoSuchThing") is None


class TestClock:
    @pytest.mark.parametrize("transport", ["tcp", "udp"])
    def test_the_clock_is_set_and_read(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], transport: str
    ) -> None:
        with talk(terminal, transport=transport) as session:
            session.set_time(WHEN)
            shown = session.time()

        assert 0 <= (shown - WHEN).total_seconds() < 10

    def test_a_clock_that_shows_no_date_is_none(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with talk(terminal) as session:
            _answer(session, monkeypatch, ((31 + 30) * 86400).to_bytes(4, "little"))  # 31 February
            assert session.time() is None

    def test_an_empty_answer_of_the_clock_is_garbled(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with talk(terminal) as session:
            _answer(session, monkeypatch, b"")
            with pytest.raises(DeviceUnreachable) as caught:
                session.time()
        assert caught.value.reason == "garbled"

    def test_a_refused_clock_is_an_error(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        for command in ("SET_TIME", "GET_TIME"):
            terminal.faults.add(command, "before", "refuse")

        with talk(terminal) as session:
            with pytest.raises(DeviceRejected, match="SET_TIME"):
                session.set_time(WHEN)
            with pytest.raises(DeviceRejected, match="GET_TIME"):
                session.time()


class TestDoor:
    @pytest.mark.parametrize("transport", ["tcp", "udp"])
    def test_the_door_opens_for_a_time(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], transport: str
    ) -> None:
        with talk(terminal, transport=transport, disable_for=None) as session:
            assert session.door_open() is False
            session.unlock(1)
            assert terminal.door_open
            assert session.door_open() is True
            wait_until(lambda: not terminal.door_open, timeout=5)

    @pytest.mark.parametrize("transport", ["tcp", "udp"])
    @pytest.mark.parametrize(
        "case",
        [("tft", "tenths", "3 s"), ("f19", "seconds", "3 s"), ("f19", "tenths", "30 s"), ("tft", "seconds", "0.3 s")],
    )
    def test_the_time_of_the_door_is_sent_in_the_unit_of_the_device(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        transport: str,
        case: tuple[str, ...],
    ) -> None:
        profile, unit, opened = case
        terminal = start(profile=profile)
        said: list[str] = []
        terminal.listen(said.append)

        with talk(terminal, transport=transport, disable_for=None, door={"unit": unit}) as session:
            session.unlock(3)

        assert f"door open for {opened}" in said

    def test_a_door_that_does_not_open_is_an_error(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("UNLOCK", "before", "refuse")

        with talk(terminal, disable_for=None) as session, pytest.raises(DeviceRejected, match="UNLOCK"):
            session.unlock(3)
        assert not terminal.door_open

    @pytest.mark.parametrize(
        ("switches", "detail"),
        [
            ({"lacks": "DOORSTATE_RRQ"}, "answer 65535"),
            ({"door_state": "none"}, "state absent"),
            ({"door_state": "2"}, "state 02"),
        ],
    )
    def test_a_terminal_that_does_not_report_its_door_is_not_taken_for_shut(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], switches: dict[str, str], detail: str
    ) -> None:
        terminal.switches.update(switches)

        with talk(terminal, disable_for=None) as session, pytest.raises(DeviceRejected, match=detail):
            session.door_open()

    def test_the_door_is_asked_to_open_once(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        terminal.faults.add("UNLOCK", "after", "reset")

        with pytest.raises(DeviceUnreachable), talk(terminal, disable_for=None) as session:
            session.unlock(1)

        assert asked(terminal).count("UNLOCK") == 1


def _answer(session: Session, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let the terminal answer whatever it is asked next by this."""
    ask = session._client.request

    def answer(command: Any, _data: bytes = b"") -> Frame:
        monkeypatch.undo()
        return ask(command)._replace(data=data)

    monkeypatch.setattr(session._client, "request", answer)
