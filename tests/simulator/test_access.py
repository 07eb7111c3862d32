"""Time zones, groups and unlock combinations, byte for byte as zk-protocol's access.md shows them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulator.raw import RawClient
from zkbridge.simulator import SimulatedTerminal

Start = Callable[..., SimulatedTerminal]
Raw = Callable[..., RawClient]


def test_a_time_zone_is_written_and_read(terminal: SimulatedTerminal, raw: Raw) -> None:
    # The document's reply: D007 2FA5 1263 2700 | 3000 110C110D ... A71C.
    client = raw(terminal)
    days = bytes.fromhex("110c110d112511251125112511251125112511251125112511231124")

    assert client.ask(28, (48).to_bytes(4, "little") + days).code == 2000
    answer = client.ask(27, (48).to_bytes(4, "little"))

    assert answer.data.hex() == "3000" + days.hex() + "a71c"
    assert len(answer.data) == 32


def test_the_captured_time_zone_has_the_captured_checksum(start: Start, raw: Raw) -> None:
    terminal = start(session_id=0x6312)
    client = raw(terminal)
    days = bytes.fromhex("110c110d112511251125112511251125112511251125112511231124")
    client.ask(28, (48).to_bytes(4, "little") + days)
    client.reply_id = 0x27

    captured = "d0072fa5126327003000110c110d" + "1125" * 10 + "11231124a71c"
    assert client.ask(27, (48).to_bytes(4, "little")).raw.hex() == captured


def test_an_unlock_combination_has_the_captured_bytes(start: Start, raw: Raw) -> None:
    # access.md: D007 B593 1263 5D00 | 07 01 02 00 00 00 02 00.
    terminal = start(session_id=0x6312)
    client = raw(terminal)
    assert client.ask(30, bytes.fromhex("0701020000000200")).code == 2000
    client.reply_id = 0x5D

    assert client.ask(29, b"\7".ljust(8, b"\0")).raw.hex() == "d007b59312635d000701020000000200"


def test_a_group_has_the_captured_bytes(start: Start, raw: Raw) -> None:
    # access.md: D007 79F1 1263 5600 | 4D 0800 0700 0600 8E.
    terminal = start(session_id=0x6312)
    client = raw(terminal)
    assert client.ask(26, bytes.fromhex("4d0800070006008e")).code == 2000
    client.reply_id = 0x56

    assert client.ask(25, b"\x4d".ljust(8, b"\0")).raw.hex() == "d00779f1126356004d0800070006008e"


def test_a_user_follows_the_group_or_has_zones_of_their_own(terminal: SimulatedTerminal, raw: Raw) -> None:
    terminal.add_user("1001", uid=13, group=2)
    client = raw(terminal)
    uid = (13).to_bytes(4, "little")

    assert client.ask(21, uid).data == b"\2"
    assert client.ask(23, uid).data.hex() == "0100000000000000"
    own = uid + b"".join(word.to_bytes(4, "little") for word in (1, 1, 2, 0))
    assert client.ask(24, own).code == 2000
    assert client.ask(23, uid).data.hex() == "0000010002000000"
    # The same in the record: flag and zones at 40 (data-user.md, the user Ned).
    assert terminal.users()[0].raw[39:48].hex() == "020100010002000000"
    assert client.ask(24, uid + bytes(16)).code == 2000
    assert client.ask(23, uid).data.hex() == "0100000000000000"
    assert client.ask(23, (404).to_bytes(4, "little")).code == 2001


@pytest.mark.parametrize(
    ("command", "number", "first"),
    [
        (27, (1).to_bytes(4, "little"), "0100" + "0000173b" * 7 + "a71c"),
        (25, b"\1".ljust(8, b"\0"), "0101000000000000"),
        (29, b"\1".ljust(8, b"\0"), "0101000000000100"),
    ],
)
def test_the_first_of_each_is_there_and_others_were_never_set(
    terminal: SimulatedTerminal, raw: Raw, command: int, number: bytes, first: str
) -> None:
    client = raw(terminal)
    second = b"\2" + number[1:]

    assert client.ask(command, number).data.hex() == first
    assert client.ask(command, second).code == 4993
    terminal.switches.unset_slot_code = 2001
    assert client.ask(command, second).code == 2001


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (27, bytes(4)),
        (27, (51).to_bytes(4, "little")),
        (28, (51).to_bytes(4, "little") + bytes(28)),
        (28, (1).to_bytes(4, "little") + bytes(27)),
        (25, b"\0"),
        (26, bytes(8)),
        (29, b"\x0b"),
        (30, b"\1"),
        (24, b"\1"),
    ],
)
def test_a_number_or_a_length_that_does_not_exist_is_refused(
    terminal: SimulatedTerminal, raw: Raw, command: int, data: bytes
) -> None:
    terminal.add_user("1")

    assert raw(terminal).ask(command, data).code == 2001


@pytest.mark.parametrize("command", [23, 24, 25, 26, 27, 28, 29, 30])
def test_firmware_without_access_control_does_not_know_these_commands(start: Start, raw: Raw, command: int) -> None:
    assert raw(start(profile="bw", transport="both")).ask(command, bytes(32)).code == 65535


def test_records_of_28_bytes_have_no_zones(start: Start, raw: Raw) -> None:
    terminal = start(profile="bw", transport="both", access_control=True)
    terminal.add_user("1")

    assert raw(terminal).ask(23, b"\1\0\0\0").code == 2001


def test_what_was_set_is_kept_in_the_state_file(start: Start, raw: Raw, tmp_path: Path) -> None:
    state = tmp_path / "tables"
    client = raw(start(state_file=state))
    client.ask(30, bytes.fromhex("0701020000000200"))

    again = raw(start(state_file=state))

    assert again.ask(29, b"\7").data.hex() == "0701020000000200"
