"""A recorded conversation of pyzk 0.9 with a terminal, replayed frame by frame."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulator.raw import RawClient
from zkbridge.simulator import Punch, SimulatedTerminal

TRANSCRIPT = Path(__file__).with_name("golden.txt")
TEMPLATE = bytes(range(1, 13))
#: The recorded device was a program; no capture shows bulk answers like its.
BULK = {
    "session_field_of_data": "session",
    "session_field_of_closing_ack": "session",
    "direct_packet": 0xFFC0,
    "tcp_packet": 0xFFC0,
    "template_tail": "zeros",
}
#: What the recorded device answered whatever it held: operation records, administrators, users with a password.
CONSTANT_WORDS = {"10": 0x5A, "12": 2, "13": 1}


def expanded(text: str) -> bytes:
    """Bytes from hexadecimal, where `00*n` stands for n zeros."""
    parts = [token.partition("*") for token in text.split()]
    return b"".join(bytes.fromhex(byte) * int(times or 1) for byte, _star, times in parts)


def sections() -> list[tuple[str, list[tuple[str, bytes]]]]:
    """Each title with its frames: `C` from the client, `S` from the terminal."""
    found: list[tuple[str, list[tuple[str, bytes]]]] = []
    for line in TRANSCRIPT.read_text("utf-8").splitlines():
        if line.startswith("# "):
            found.append((line[2:], []))
        else:
            side, _, frame = line.partition(" ")
            found[-1][1].append((side, expanded(frame)))
    return found


@pytest.fixture
def recorded(start: Callable[..., SimulatedTerminal]) -> SimulatedTerminal:
    """The terminal of the recording: key 1234, session 0x1f2e, two users, one finger, one punch."""
    terminal = start(comm_key=1234, session_id=0x1F2E, buffer_word=0x12345678, sizes_words=CONSTANT_WORDS, **BULK)
    terminal.add_user("1001", "Ana", password="99", privilege=14, card=123456)
    terminal.add_user("0042", "Bob")
    terminal.add_template("1001", 3, TEMPLATE)
    terminal.add_punch(Punch(uid=1, user_id="1001", verify=1, state=0, time=0x2368B36B))
    return terminal


def prepare(terminal: SimulatedTerminal, title: str) -> None:
    """What happened at the recorded device in the stretches that the transcript leaves out."""
    if title == "users 1504":
        terminal.switches.inline_max = 100
    elif title == "att":
        terminal.switches.inline_max = 1024
    elif title == "delete user gone":
        terminal.delete_user("777")
    elif title == "ext missing":
        terminal.set_option("~ExtendFmt", None)
    elif title in {"enroll", "save tmpl"}:
        terminal.machine.terminal.enable()
        terminal.machine.terminal.fingers.delete(1, None)


def test_the_recording_has_all_its_packets() -> None:
    assert sum(len(frames) for _title, frames in sections()) == 98


def test_every_frame_of_the_terminal_is_as_recorded(recorded: SimulatedTerminal) -> None:
    with RawClient(recorded) as client:
        for title, frames in sections():
            prepare(recorded, title)
            for side, frame in frames:
                if side == "C":
                    client.send_packet(frame)
                else:
                    assert client.read_packet().hex() == frame.hex(), title

    assert [user.user_id for user in recorded.users()] == ["1001", "0042"]
    assert {key: stored.data for key, stored in recorded.templates().items()} == {(1, 3): TEMPLATE}
