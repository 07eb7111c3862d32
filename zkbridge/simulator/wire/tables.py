"""What a terminal keeps without power: users, templates, logs, options and the clock's difference.

Every change has one form, a list that JSON can hold; what a file keeps and what memory does are the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.wire.records import Punch, Template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Change = list[Any]

_OPERATIONS_KEPT = 10_000
_TABLES = ("users", "templates", "attendance", "operations")


@dataclass
class Tables:
    """Users by uid as the records that were written, templates by uid and finger, logs oldest first."""

    options: dict[str, str]
    users: dict[int, bytes] = field(default_factory=dict)
    templates: dict[tuple[int, int], Template] = field(default_factory=dict)
    attendance: deque[Punch] = field(default_factory=deque)
    operations: deque[bytes] = field(default_factory=lambda: deque(maxlen=_OPERATIONS_KEPT))
    clock_offset_s: float = 0.0
    #: What commands 25 to 30 read and write, by kind (zone, group, combination) and number.
    access: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def apply(self, changes: Iterable[Change]) -> None:
        """Carry changes out in their order. Raises ValueError for what is not a change."""
        for change in changes:
            try:
                self._apply(change)
            except (IndexError, KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{str(change)[:60]} is not a change of a terminal's tables") from error

    def changes(self, before: dict[str, str]) -> Iterator[Change]:
        """What makes empty tables with the options `before` into these."""
        for uid, raw in self.users.items():
            yield user_change(uid, raw)
        for key, template in self.templates.items():
            yield template_change(*key, template)
        for punch in self.attendance:
            yield punch_change(punch)
        for line in self.operations:
            yield ["operation", line.hex()]
        for name, value in self.options.items():
            yield ["option", name, value]
        for name in before.keys() - self.options.keys():
            yield ["option", name, None]
        for (kind, number), data in self.access.items():
            yield ["access", kind, number, data.hex()]
        yield ["clock", self.clock_offset_s]

    def _apply(self, change: Change) -> None:
        match change:
            case ["user", uid, raw]:
                _put(self.users, uid, raw and bytes.fromhex(raw))
            case ["template", uid, finger, flag, data]:
                _put(self.templates, (uid, finger), None if data is None else Template(flag, bytes.fromhex(data)))
            case ["punch", *values]:
                self.attendance.append(Punch(*values))
            case ["forget punch"]:
                self.attendance.popleft()
            case ["operation", line]:
                self.operations.append(bytes.fromhex(line))
            case ["clear", table] if table in _TABLES:
                getattr(self, table).clear()
            case ["option", name, value]:
                _put(self.options, name, value)
            case ["access", kind, number, data]:
                self.access[kind, number] = bytes.fromhex(data)
            case ["clock", seconds]:
                self.clock_offset_s = float(seconds)
            case _:
                raise ValueError


def user_change(uid: int, raw: bytes | None) -> Change:
    """A user written, or removed with None."""
    return ["user", uid, None if raw is None else raw.hex()]


def template_change(uid: int, finger: int, template: Template | None) -> Change:
    """A finger stored, or removed with None."""
    if template is None:
        return ["template", uid, finger, 0, None]
    return ["template", uid, finger, template.flag, template.data.hex()]


def punch_change(punch: Punch) -> Change:
    """A line more in the attendance log."""
    return ["punch", *astuple(punch)]


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
