"""What replaces a value has its length and kind; what no document knows is replaced byte by byte."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reports
from zkbridge.simulator import Simulator
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.report import tables
from zkbridge.terminal.report.layouts import Layouts
from zkbridge.terminal.report.pseudonyms import Pseudonyms
from zkbridge.terminal.report.recording import Exchange, Packet, Recording
from zkbridge.terminal.report.redaction import StillThere, redacted

KEY = b"a key for tests"


def names() -> Pseudonyms:
    return Pseudonyms(KEY)


@given(st.text(max_size=24).filter(lambda text: "\0" not in text))
def test_utf_8_stays_utf_8_of_the_same_lengths(text: str) -> None:
    made = names().text(text.encode()).decode()

    assert [len(sign.encode()) for sign in made] == [len(sign.encode()) for sign in text]
    assert [sign.isascii() and sign.isdigit() for sign in made] == [sign.isascii() and sign.isdigit() for sign in text]


@given(st.text(min_size=1, max_size=20), st.sampled_from(["cp1256", "gbk", "cp1252"]))
def test_other_encodings_keep_their_length(text: str, encoding: str) -> None:
    raw = text.encode(encoding, "ignore")

    assert len(names().text(raw)) == len(raw)


@given(st.lists(st.integers(1, 0xFFFFFFFF), unique=True, max_size=50))
def test_cards_stay_different_and_as_long(cards: list[int]) -> None:
    given_names = names()
    made = [given_names.card(card) for card in cards]

    assert len(set(made)) == len(cards)
    assert [len(str(card)) for card in made] == [len(str(card)) for card in cards]
    assert max(made, default=0) <= 0xFFFFFFFF


@given(st.lists(st.from_regex(r"[0-9A-Za-z]{1,9}", fullmatch=True), unique=True, max_size=40))
def test_user_ids_stay_different_and_keep_a_first_zero(user_ids: list[str]) -> None:
    given_names = names()
    made = [given_names.user_id(user_id) for user_id in user_ids]

    assert len(set(made)) == len(user_ids)
    for old, new in zip(user_ids, made, strict=True):
        assert len(new) == len(old)
        assert [sign.isdigit() for sign in new] == [sign.isdigit() for sign in old]
        assert old[0] not in "0123456789" or (new[0] == "0") == (old[0] == "0")


@pytest.mark.parametrize("size", [18, 120, 73])
def test_records_of_an_unknown_size_are_replaced_whole(size: int) -> None:
    body = bytes(range(1, 256)) * 10
    table = (len(body) // size * size).to_bytes(4, "little") + body[: len(body) // size * size]

    made = Layouts(names(), {"users": len(body) // size}).table("users", table, len(table) - 4)

    assert made[:4] == table[:4]
    assert sum(a == b for a, b in zip(made[4:], table[4:], strict=True)) < len(table) // 50


def test_a_record_with_what_no_document_knows_is_replaced_whole() -> None:
    row = bytearray(72)
    row[0], row[2], row[48:52] = 1, 0x31, b"4711"  # a privilege that nobody knows: perhaps it is another layout
    table = (72).to_bytes(4, "little") + bytes(row)

    made = Layouts(names(), {"users": 1}).table("users", table, 72)

    assert made[4 + 2] != 0x31


def test_a_serial_number_is_replaced_wherever_a_terminal_sends_it() -> None:
    serial = b"QXJ7193852604"
    asked = Exchange("tcp", "option ~SerialNumber", Packet(11, 1, 1, b"~SerialNumber\0"))
    told = replace(asked, answers=(Packet(Code.OK, 1, 1, b"~SerialNumber=" + serial + b"\0"),))
    version = Exchange(
        "tcp", "version", Packet(Command.GET_VERSION, 1, 0), (Packet(Code.OK, 1, 0, b"Ver 6 " + serial),)
    )

    made = redacted(Recording("2026-11-29", (version, told)), KEY)

    assert serial not in made.exchanges[0].data
    assert made.exchanges[0].data.startswith(b"Ver 6 ")
    assert made.exchanges[0].data[6:] == made.exchanges[1].data[14:-1]


def test_a_report_that_would_hold_something_of_the_original_is_not_made() -> None:
    """A name that stands in a request, where nothing is replaced."""
    with Simulator() as simulator:
        recording = reports.probe(reports.staffed(simulator, {"transport": "tcp"}).terminal)
    at = next(at for at, each in enumerate(recording.exchanges) if each.asks(Command.READ_BUFFER))
    asked = recording.exchanges[at].ask
    assert asked is not None
    secret = replace(recording.exchanges[at], ask=asked.with_data(b"Quxfoobar3"))
    spoilt = replace(recording, exchanges=(*recording.exchanges[:at], secret, *recording.exchanges[at + 1 :]))

    with pytest.raises(StillThere):
        redacted(spoilt, KEY)


def test_a_uid_is_the_same_in_all_tables() -> None:
    given_names = names()
    layouts = Layouts(given_names, {"users": 1, "punches": 1})
    uid = (48_213).to_bytes(2, "little")
    user = uid + bytes(46) + b"4711" + bytes(20)
    punch = uid + b"4711" + bytes(34)

    made_user = layouts.table(tables.USERS.name, (72).to_bytes(4, "little") + user, 72)[4:]
    made_punch = layouts.table(tables.PUNCHES.name, (40).to_bytes(4, "little") + punch, 40)[4:]

    assert made_user[:2] == made_punch[:2] != uid
    assert made_user[48:52] == made_punch[2:6] != b"4711"
