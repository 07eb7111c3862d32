"""device/backups: which backups of a terminal there are."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.backups import BackupFailed
from zkbridge.commands.api.registry import Answer, Body, Context, Params, command
from zkbridge.contract.answers import like
from zkbridge.port.capabilities import Facts


class List(Params):
    """No fields of its own."""


class Row(TypedDict):
    """One backup; its name is the moment at which it was made, in UTC."""

    backup: Annotated[str, like("2030-01-31T08-00-00Z")]
    bytes: Annotated[int, like(81_920, "Size of the file.", ge=0)]
    encrypted: Annotated[bool, like(example=True, description="Whether the file is encrypted (`backup.recipient`).")]
    device_id: Annotated[str, like("principal")]


@command(
    "device/backups",
    params=List,
    code="ok",
    answer=Answer(Row, rows=True, counts={"total": "Backups of this device."}),
    errors=(BackupFailed,),
    disables=False,
    repeatable=True,
    reads=True,
)
def list_backups(_session: Facts, _params: List, context: Context) -> Body:
    """Oldest first."""
    files = context.backups.files()
    rows: list[Row] = [
        {"backup": each.name, "bytes": each.size, "encrypted": each.encrypted, "device_id": context.device.id}
        for each in files
    ]
    return {"total": len(rows), "data": rows}
