"""A report of a real terminal (`zkbridge report`) as a profile: settings, behaviour, tables, and odd answers.

The format is described in docs/reports.md; this reader shares no code with the program that writes it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.device import report_tables
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire.codes import Code, Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zkbridge.simulator.wire.tables import Change

VERSION = 1
#: Requests that are answered as the report has it, whatever the simulator would say: nothing that the bridge does
#: changes these answers.
_CONSTANT = frozenset({Command.GET_VERSION, Command.GET_PINWIDTH, Code.ERROR, Code.UNKNOWN, 21, 23, 25, 27, 29, 80})
#: And these where they are refused: otherwise they return stored data, or a state.
_STATES = frozenset({Command.STATE_RRQ, Command.DOORSTATE_RRQ, Command.PREPARE_BUFFER, Command.GET_FREE_SIZES})
_GOOD = frozenset({Code.OK, Command.DATA})
#: Requests that read a table without preparing it.
_DIRECT = frozenset({(Command.USERTEMP_RRQ, b"\x05"), (Command.ATTLOG_RRQ, b"")})
_PREPARE_BYTES = 11
_TEMPLATES_BY_NINE = struct.pack("<Hi", Command.USERTEMP_RRQ, 2)
#: What the name of a connection ends in on which a report has tried changes: answers there depend on them.
_TRIAL = " trial"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a report knows of a terminal beyond a profile.

    `changes` are its tables. `tables` has, by command and by what the simulator would send of a table, what the
    terminal sent of it. `answers` has a code and data by command and data.
    """

    changes: tuple[Change, ...] = ()
    tables: Mapping[tuple[int, bytes], bytes] = field(default_factory=dict)
    answers: Mapping[tuple[int, bytes], tuple[int, bytes]] = field(default_factory=dict)


#: Of a terminal that no report describes.
NOT_RECORDED = Recorded()


@dataclass(frozen=True, slots=True)
class Asked:
    """One exchange of a report. `parts` are the packets of the answer; `data` is that of a simple one, or all bulk."""

    line: str
    step: str
    command: int
    request: bytes
    parts: tuple[wire.Frame, ...]

    @property
    def data(self) -> bytes:
        """The data of the only packet, or of all DATA packets."""
        if len(self.parts) == 1:
            return self.parts[0].data
        return b"".join(part.data for part in self.parts if part.command == Command.DATA)

    @property
    def code(self) -> int:
        """The first packet's number; -1 without an answer."""
        return self.parts[0].command if self.parts else -1


def is_report(text: str) -> bool:
    """Whether a file's text is that of a report."""
    return any(line.startswith('{"zkbridge_report"') for line in text.splitlines() if not line.startswith("#"))


def content(text: str) -> tuple[dict[str, Any], Recorded]:
    """A report as the content of a profile's file, and what goes beyond that. Raises ValueError."""
    try:
        return _content([json.loads(line) for line in text.splitlines() if line and not line.startswith("#")])
    except (AttributeError, LookupError, StopIteration, TypeError, struct.error) as error:
        raise ValueError(f"damaged: {type(error).__name__} {error}") from error


def _content(rows: list[dict[str, Any]]) -> tuple[dict[str, Any], Recorded]:
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no JSON object")
    if rows[0].get("zkbridge_report") != VERSION:
        raise ValueError(f"not a report of version {VERSION}")
    findings = next(row["findings"] for row in rows if "findings" in row)
    asked = [_asked(row) for row in rows if "ask" in row]
    settings, odd = _settings(asked)
    described = {
        "title": settings.get("~DeviceName", "a reported terminal"),
        "firmware": _text(_first(asked, Command.GET_VERSION)),
        "record": findings["record"] or 72,
        "switches": findings["switches"],
        "options": settings,
    }
    rows_of = report_tables.rows(asked_tables(asked), described["record"], findings["switches"].get("attendance", ""))
    changes = [*rows_of.changes, ["clock", float(rows[0]["clock_offset_s"] or 0)]]
    return described, Recorded(tuple(changes), rows_of.verbatim, odd | _answers(asked))


def asked_tables(asked: list[Asked]) -> dict[int, report_tables.Sent]:
    """What was sent of each table on the first connection that read it, by the command that names it to 1503."""
    sent: dict[int, report_tables.Sent] = {}
    counts = next((each.data for each in asked if each.command == Command.GET_FREE_SIZES), b"")
    reading: tuple[str, int] | None = None
    for each in asked:
        table = _table_asked(each)
        if table is not None and not sent.get(table, _NOTHING).data:
            reading = (each.line, table)
            sent[table] = report_tables.Sent(_table_data(each), report_tables.count(counts, table))
        elif each.command == Command.READ_BUFFER and reading and each.line == reading[0]:
            known = sent[reading[1]]
            sent[reading[1]] = report_tables.Sent(known.data + each.data, known.count)
        elif each.command != Command.READ_BUFFER and reading and each.line == reading[0]:
            reading = None
    return sent


_NOTHING = report_tables.Sent(b"", 0)


def _table_asked(each: Asked) -> int | None:
    """The command that names the table which this request prepares or reads directly; None for other requests.

    That for templates by 9 and 2 only shows whether they are there: none of it is read.
    """
    if each.command == Command.PREPARE_BUFFER and each.request[1:7] == _TEMPLATES_BY_NINE:
        return None
    if each.command == Command.PREPARE_BUFFER and len(each.request) == _PREPARE_BYTES:
        return int.from_bytes(each.request[1:3], "little")
    direct = (each.command, each.request) in _DIRECT and each.code == Command.PREPARE_DATA
    return each.command if direct else None


def _table_data(each: Asked) -> bytes:
    return each.data if each.code in (Command.DATA, Command.PREPARE_DATA) else b""


def _asked(row: dict[str, Any]) -> Asked:
    ask = _frame(row["ask"])
    answers = [_frame(each) for each in row["answers"]]
    own = tuple(each for each in answers if each.reply_id == ask.reply_id and each.command != Command.REG_EVENT)
    return Asked(str(row["line"]), str(row["step"]), ask.command, ask.data, own)


def _frame(written: str | list[Any]) -> wire.Frame:
    raw = bytes.fromhex(written if isinstance(written, str) else written[0])
    frame = wire.parse_packet(raw)
    if frame is None:
        raise ValueError(f"a packet of {len(raw)} bytes")
    return frame


def _first(asked: Iterable[Asked], command: int) -> bytes:
    return next((each.data for each in asked if each.command == command and each.code == Code.OK), b"")


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")


def _settings(asked: Iterable[Asked]) -> tuple[dict[str, str], dict[tuple[int, bytes], tuple[int, bytes]]]:
    """The settings by name, and the answers that are not `name=value` NUL."""
    settings: dict[str, str] = {}
    odd: dict[tuple[int, bytes], tuple[int, bytes]] = {}
    for each in asked:
        if each.command != Command.OPTIONS_RRQ or not each.parts:
            continue
        name, data = _text(each.request), each.data
        told, equals, value = _text(data).partition("=")
        if each.code == Code.OK and told == name and equals and data == f"{name}={value}".encode() + b"\0":
            settings[name] = value
        elif each.code != Code.ERROR:
            odd[each.command, each.request] = (each.code, data)
    return settings, odd


def _answers(asked: Iterable[Asked]) -> dict[tuple[int, bytes], tuple[int, bytes]]:
    return {
        (each.command, each.request): (each.code, each.data)
        for each in asked
        if each.parts
        and not each.line.endswith(_TRIAL)
        and (each.command in _CONSTANT or (each.command in _STATES and each.code not in _GOOD))
    }
