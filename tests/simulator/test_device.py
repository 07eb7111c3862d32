"""Options, time, display, voice and door."""

from collections.abc import Callable

# ruff: noqa: DTZ001  a terminal knows no time zone
from datetime import datetime, timedelta

import pytest

from tests.simulator.raw import RawClient
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal


@pytest.mark.parametrize("name", [b"~SerialNumber", b"~SerialNumber\0"])
def test_an_option_is_read_with_or_without_nul(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], name: bytes
) -> None:
    assert raw(terminal).ask(11, name).data == b"~SerialNumber=A8N5184260172\0"


def test_an_unknown_option_is_an_error(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    answer = raw(terminal).ask(11, b"~Nonsense\0")

    assert (answer.code, answer.data) == (2001, b"")


@pytest.mark.parametrize("text", [b"SDKBuild=1", b"SDKBuild=1\0"])
def test_an_option_is_written_with_or_without_nul(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], text: bytes
) -> None:
    client = raw(terminal)

    assert client.ask(12, text).code == 2000
    assert client.ask(1014).code == 2000

    assert client.ask(11, b"SDKBuild\0").data == b"SDKBuild=1\0"


def test_an_option_without_a_value_is_refused(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    assert raw(terminal).ask(12, b"SDKBuild\0").code == 2001


def test_the_clock_runs_and_is_set(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    assert abs(terminal.time - datetime.now()) < timedelta(seconds=2)  # noqa: DTZ005  as on the wall

    assert client.ask(202, bytes.fromhex("31b16823") + bytes(28)).code == 2000

    assert abs(terminal.time - datetime(2018, 6, 25, 17, 41, 5)) < timedelta(seconds=5)
    assert client.ask(201).data[:3].endswith(b"\x68") or client.ask(201).data[3] == 0x23


def test_a_day_that_no_calendar_has_is_not_set(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    thirtieth_of_february = ((26 * 12 + 1) * 31 + 29) * 86400

    assert raw(terminal).ask(202, thirtieth_of_february.to_bytes(4, "little")).code == 2001


def test_version_and_pin_width(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    assert client.ask(1100).data == b"Ver 6.60 May 25 2018\0"
    assert client.ask(69, b"\x20\x50").data == b"\x09"


def test_the_state_stands_in_the_session_field(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    assert client.ask(64).session == 0
    client.ask(1003)
    assert client.ask(64).session == 4


def test_the_lcd_shows_what_is_written(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    assert client.ask(66, b"\2\0\0 Hello\0").code == 2000
    assert terminal.display == "Hello"
    assert client.ask(67).code == 2000
    assert terminal.display != "Hello"


def test_a_voice_message_is_played_and_shown_and_an_unknown_one_refused(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    assert client.ask(1017, b"\2\0").code == 2000
    assert terminal.display == "Access denied"
    assert client.ask(1017, (99).to_bytes(4, "little")).code == 2001


def test_the_door_opens_for_as_long_as_asked(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    assert client.ask(75).data == b"\0"

    assert client.ask(31, (3).to_bytes(4, "little")).code == 2000

    assert client.ask(75).data == b"\1"
    wait_until(lambda: not terminal.door_open)


@pytest.mark.parametrize("command", [1001, 1002, 1003, 1013, 1502, 1014, 57, 60, 62, 15, 20])
def test_bare_acknowledgements_carry_no_data(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], command: int
) -> None:
    answer = raw(terminal).ask(command)

    assert (answer.code, answer.data) == (2000, b"")
