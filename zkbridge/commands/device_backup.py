"""device/backup: write a terminal's users, with their fingers, into a file of the bridge's machine."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.backups import BackupFailed
from zkbridge.commands.api.registry import Answer, Body, Context, Params, command
from zkbridge.commands.backup_content import read_all
from zkbridge.contract.answers import like
from zkbridge.port.capabilities import Terminal


class Backup(Params):
    """No fields of its own."""


class BackedUp(TypedDict):
    """What the file holds."""

    backup: Annotated[str, like("2030-01-31T08-00-00Z")]
    users: Annotated[int, like(37, "Users in the file.", ge=0)]
    fingers: Annotated[int, like(52, "Fingers in the file.", ge=0)]
    left_out: Annotated[list[str], like([], "Users whose records cannot be told apart: they are not in the file.")]
    device_id: Annotated[str, like("principal")]


@command(
    "device/backup",
    params=Backup,
    code="backed_up",
    answer=Answer(BackedUp, says=("Copia de seguridad '{backup}' hecha.", "Backup '{backup}' made.")),
    errors=(BackupFailed,),
    disables=False,
    repeatable=True,
)
def backup(session: Terminal, _params: Backup, context: Context) -> Body:
    """Read everything first, then write the file."""
    content = read_all(session, context)
    name = context.backups.write(content.model_dump_json().encode(), context.clock.now())
    fingers = sum(len(user.fingers) for user in content.users)
    counts = {"users": len(content.users), "fingers": fingers, "left_out": list(content.left_out)}
    return {"data": {"backup": name, **counts, "device_id": context.device.id}}
