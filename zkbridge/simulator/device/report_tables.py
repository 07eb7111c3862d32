"""The tables of a reported terminal as the simulator keeps them; what a report left out is made up behind it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import Command
from zkbridge.simulator.wire.records import Punch, Template
from zkbridge.simulator.wire.tables import punch_change, template_change, user_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkbridge.simulator.wire.tables import Change

#: Which word of the sizes counts a table.
_WORDS = {Command.USERTEMP_RRQ: 4, Command.DB_RRQ: 6, Command.ATTLOG_RRQ: 8, Command.OPLOG_RRQ: 10}
_ENTRY = struct.Struct("<HHBB")
_OPERATION_BYTES = 16
_FINGERS = 10
_MINUTE = 60
#: 600,000 punches of 49 bytes.
_MOST_BYTES = 30_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """What a terminal sent of a table, its length first, and how many records it counts."""

    data: bytes
    count: int


@dataclass
class Rows:
    """The tables as changes; `verbatim` has what the terminal sent where that is not what the simulator would send."""

    changes: list[Change] = field(default_factory=list)
    verbatim: dict[tuple[int, bytes], bytes] = field(default_factory=dict)


def count(sizes: bytes, command: int) -> int:
    """How many records of a table the sizes count; 0 where they do not reach so far."""
    at = 4 * _WORDS.get(Command(command), 0)
    return int.from_bytes(sizes[at : at + 4], "little") if command in _WORDS and len(sizes) >= at + 4 else 0


def rows(sent: Mapping[int, Sent], record: int, layout: str) -> Rows:
    """All tables of a report. `record` is the size of a user record, `layout` that of a punch, or "" if not known."""
    made = Rows()
    readers: dict[int, Callable[[bytes, Sent], tuple[list[Change], bytes]]] = {
        Command.USERTEMP_RRQ: lambda body, table: _users(body, table, record),
        Command.DB_RRQ: _templates,
        Command.ATTLOG_RRQ: lambda body, table: _punches(body, table, layout),
        Command.OPLOG_RRQ: _operations,
    }
    for command, reader in readers.items():
        table = sent.get(command, Sent(b"", 0))
        total, body = int.from_bytes(table.data[:4], "little"), table.data[4:]
        if total > _MOST_BYTES:
            raise ValueError(f"a table of {total} bytes, which is more than a terminal holds")
        changes, simulated = reader(body, table)
        made.changes += changes
        whole = (body + simulated[len(body) :])[: max(total, len(body))].ljust(total, b"\0")
        if whole != simulated:
            made.verbatim[command, simulated] = whole
    return made


def _users(body: bytes, table: Sent, record: int) -> tuple[list[Change], bytes]:
    if not _fits(table, record):
        return [], b""
    kept = {records.user_uid(raw): raw for raw in _cut(body, record)}
    for _ in range(table.count - len(body) // record):
        uid = max(kept, default=0) + 1
        kept[uid] = records.pack_user(
            record, uid=uid, user_id=str(uid), name=b"", password=b"", privilege=0, card=0, group=1
        )
    return [user_change(uid, raw) for uid, raw in kept.items()], b"".join(kept.values())


def _templates(body: bytes, table: Sent) -> tuple[list[Change], bytes]:
    kept: dict[tuple[int, int], Template] = {}
    at = 0
    while at + _ENTRY.size <= len(body):
        size, uid, finger, flag = _ENTRY.unpack_from(body, at)
        if size < _ENTRY.size or at + size > len(body) or finger >= _FINGERS:
            break
        kept[uid, finger] = Template(flag, body[at + _ENTRY.size : at + size])
        at += size
    total = int.from_bytes(table.data[:4], "little")
    missing = table.count - len(kept)
    for place in range(missing if total > at else 0):
        uid = max((uid for uid, _finger in kept), default=0) + 1
        left = total - at
        size = left // (missing - place)
        kept[uid, 0] = Template(1, bytes(max(size - _ENTRY.size, 0)))
        at += size
    changes = [template_change(*key, template) for key, template in kept.items()]
    return changes, b"".join(records.template_entry(*key, template) for key, template in kept.items())


def _punches(body: bytes, table: Sent, layout: str) -> tuple[list[Change], bytes]:
    size = int(layout.rstrip("b") or 0)
    if not size or not _fits(table, size):
        return [], b""
    kept = [_PUNCH[layout](raw) for raw in _cut(body, size)]
    for _ in range(table.count - len(kept) if kept else 0):
        last = kept[-1]
        kept.append(Punch(last.uid, last.user_id, last.verify, last.state, last.time + _MINUTE))
    return [punch_change(punch) for punch in kept], b"".join(records.attendance_record(each, layout) for each in kept)


def _operations(body: bytes, table: Sent) -> tuple[list[Change], bytes]:
    if not _fits(table, _OPERATION_BYTES):
        return [], b""
    kept = _cut(body, _OPERATION_BYTES)
    kept += kept[-1:] * (table.count - len(kept))
    return [["operation", raw.hex()] for raw in kept], b"".join(kept)


def _fits(table: Sent, size: int) -> bool:
    """Whether size x count is the length that the terminal announced."""
    return table.count * size == int.from_bytes(table.data[:4], "little")


def _cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body) - size + 1, size)]


def _punch_40(raw: bytes) -> Punch:
    uid, user_id, verify, when, state = struct.unpack_from("<H24sBIB", raw)
    return Punch(uid, user_id.split(b"\0", 1)[0].decode("utf-8", "replace"), verify, state, when)


def _punch_16(raw: bytes) -> Punch:
    user_id, when, verify, state = struct.unpack_from("<IIBB", raw)
    return Punch(0, str(user_id), verify, state, when)


def _punch_8(raw: bytes) -> Punch:
    uid, verify, when, state = struct.unpack("<HBIB", raw)
    return Punch(uid, "", verify, state, when)


def _punch_8b(raw: bytes) -> Punch:
    uid, verify, state, when = struct.unpack("<HBBI", raw)
    return Punch(uid, "", verify, state, when)


_PUNCH: dict[str, Callable[[bytes], Punch]] = {
    "8": _punch_8,
    "8b": _punch_8b,
    "16": _punch_16,
    "40": _punch_40,
    "49": _punch_40,
}
