"""A report holds nothing of the people, the terminal and its network, in no encoding of a number or a text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import reports
from tests.support.reports import COMM_KEY, KINDS, Staffed
from zkbridge.simulator import Simulator
from zkbridge.terminal.report import contents, report_file, tables
from zkbridge.terminal.report.redaction import redacted

#: A shorter value stands in every file by chance.
SHORTEST = 4


def encodings(text: str) -> Iterator[bytes]:
    """A text as it may stand among bytes."""
    yield text.encode()
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    if text.isdecimal():
        for size in (4, 8):
            if int(text) >= 1 << 20 and int(text) < 1 << 8 * size:
                yield int(text).to_bytes(size, "little")
                yield int(text).to_bytes(size, "big")
    packed = bytes(int(part) for part in text.split(".")) if text.count(".") == 3 else b""
    hexed = bytes.fromhex(text.replace(":", "")) if text.count(":") == 5 else b""
    for raw in (packed, hexed):
        if raw:
            yield raw
            yield raw[::-1]


def written_forms(raw: bytes) -> Iterator[str]:
    """How bytes may stand in a text: as they are, in hex, in base64 at each of its three places."""
    yield raw.decode("latin-1")
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw).decode()
        yield whole[(before * 8 + 5) // 6 : len(whole) - 4]


def opened(path: Path) -> tuple[str, bytes]:
    """The file's text without its packets, and all bytes of the packets behind their headers.

    Packets are not searched as text: their hex digits hold every short number by chance.
    """
    lines = path.read_text("ascii").splitlines()
    rows = [json.loads(line) for line in lines if line and not line.startswith("#")]
    packets = [row.pop("ask", None) for row in rows] + [each for row in rows for each in row.pop("answers", [])]
    text = "\n".join([line for line in lines if line.startswith("#")] + [json.dumps(row) for row in rows])
    data = [bytes.fromhex(each if isinstance(each, str) else each[0])[8:] for each in packets if each]
    return text, b"\xff\xff\xff".join(data)


def originals(staff: Staffed) -> Iterator[str]:
    yield from staff.personal
    for person in staff.people:
        yield from (person.user_id, person.name, person.password, str(person.card))
        yield from person.name.split()


def traces(path: Path, values: list[str], templates: list[bytes]) -> list[str]:
    """What of these values a report still holds."""
    text, data = opened(path)
    found = [value for value in values if any(_stands_in(raw, text, data) for raw in encodings(value))]
    for template in templates:
        pieces = [template[at : at + 8] for at in range(8, len(template) - 8, 8)]
        found += [f"template at {piece.hex()}" for piece in pieces if piece in data]
    return found


def _stands_in(raw: bytes, text: str, data: bytes) -> bool:
    """Whether bytes stand among the packets' data or in the file's text, as they are or written in some form."""
    forms = [form for form in written_forms(raw) if len(form) > 5]
    return len(raw) >= SHORTEST and (
        raw in data or any(form in text or form.encode("latin-1") in data for form in forms)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_holds_nothing_of_the_original(kind: str, tmp_path: Path) -> None:
    with Simulator() as simulator:
        staff = reports.staffed(simulator, KINDS[kind])
        recording = reports.probe(staff.terminal, KINDS[kind].get("comm_key", 0))
        report = reports.write_report(recording, tmp_path / "report.jsonl")
        templates = [each.data for each in staff.terminal.templates().values()]

    assert len(recording.exchanges) > 50
    values = [value for value in originals(staff) if len(value) >= SHORTEST]
    assert traces(report, [*values, str(COMM_KEY)], templates) == []


def test_the_search_finds_what_was_not_replaced(tmp_path: Path) -> None:
    with Simulator() as simulator:
        staff = reports.staffed(simulator, {})
        recording = reports.probe(staff.terminal)
        path = tmp_path / "report.jsonl"
        path.write_text(report_file.written(recording, {}, []), "ascii")
        templates = [each.data for each in staff.terminal.templates().values()]

    values = [value for value in originals(staff) if len(value) >= SHORTEST]
    found = traces(path, values, templates)
    assert {staff.people[0].user_id, staff.people[0].name, str(staff.people[0].card)} <= set(found)
    assert set(staff.personal) <= set(found)
    assert any(each.startswith("template") for each in found)


def test_one_value_becomes_one_other_and_two_stay_two() -> None:
    with Simulator() as simulator:
        staff = reports.staffed(simulator, {})
        recording = reports.probe(staff.terminal)

    made = redacted(recording, reports.KEY)
    users = list(tables.user_keys(contents.table_of(made, tables.USERS), 72))
    assert len({key.user_id for key in users}) == len(staff.people)
    assert all(key.user_id.isdecimal() and len(key.user_id) == 8 for key in users)
    punches = contents.table_of(made, tables.PUNCHES)[4:]
    punched = [punches[at + 2 : at + 26].split(b"\0")[0].decode() for at in range(0, len(punches), 40)]
    assert punched[:7] == [key.user_id for key in users[:7]]
    assert redacted(recording, reports.KEY) == made
    assert redacted(recording, b"another key") != made
