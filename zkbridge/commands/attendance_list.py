"""attendance/list: who was at the terminal, and when."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.fields import LocalTime
from zkbridge.commands.api.paging import COUNTS, Part, part_of
from zkbridge.commands.api.registry import Answer, Body, Context, command
from zkbridge.commands.api.text_fields import UserId
from zkbridge.commands.chosen import Chosen
from zkbridge.config.models import Device
from zkbridge.contract.answers import like
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import FieldFault
from zkbridge.port.capabilities import PunchLog
from zkbridge.port.punches import Punch


class List(Part):
    """All punches, or those of one user, from one moment to another; both are the terminal's wall clock."""

    user_id: UserId | None = None
    since: LocalTime | None = None
    until: LocalTime | None = None

    def surely_wrong(self, _device: Device) -> tuple[FieldFault, ...]:
        """An end before the beginning."""
        since, until = self.bounds()
        return (FieldFault("until", "before_since"),) if until < since else ()

    def bounds(self) -> tuple[datetime, datetime]:
        """The first and the last moment; a date as the end is that whole day."""
        since = datetime.min if self.since is None else datetime.fromisoformat(self.since)  # noqa: DTZ901 - wall clock
        if self.until is None:
            return since, datetime.max  # noqa: DTZ901 - wall clock
        until = datetime.fromisoformat(self.until)
        return since, until if "T" in self.until else datetime.combine(until, time.max)

    def wants(self, punch: Punch) -> bool:
        """Whether a punch is one of those asked for; one without a date is in no span, an empty record is none."""
        if punch.is_empty:
            return False
        if self.user_id is not None and punch.user_id not in (self.user_id, id_spelling(self.user_id)):
            return False
        if self.since is None and self.until is None:
            return True
        since, until = self.bounds()
        return punch.timestamp is not None and since <= punch.timestamp <= until


class Row(TypedDict):
    """One punch of the terminal's log."""

    user_id: Annotated[str, like("123")]
    timestamp: Annotated[
        str | None, like("2030-01-31T08:00:00", "The terminal's local time; null where the log holds no date.")
    ]
    status: Annotated[int, like(1)]
    punch: Annotated[int, like(0)]
    device_id: Annotated[str, like("principal")]


@command(
    "attendance/list",
    params=List,
    code="ok",
    answer=Answer(Row, rows=True, counts=COUNTS),
    disables=False,
    repeatable=True,
    reads=True,
)
def list_punches(session: PunchLog, params: List, context: Context) -> Body:
    """Tell the punches as the terminal's log has them, oldest first."""

    def row(punch: Punch) -> Row:
        return {
            "user_id": punch.user_id or "",
            "timestamp": None if punch.timestamp is None else punch.timestamp.isoformat(),
            "status": punch.status,
            "punch": punch.punch,
            "device_id": context.device.id,
        }

    return part_of(Chosen(session.attendance(), params.wants), params, context, row)
