"""device/delete-backup: delete one backup of a terminal."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.backups import BackupFailed, BackupName, BackupNotFound
from zkbridge.commands.api.registry import Answer, Body, Context, Params, command
from zkbridge.contract.answers import like
from zkbridge.port.capabilities import Facts


class Delete(Params):
    """Which one."""

    backup: BackupName


class Deleted(TypedDict):
    """The backup that is gone."""

    backup: Annotated[str, like("2030-01-31T08-00-00Z")]
    device_id: Annotated[str, like("principal")]


@command(
    "device/delete-backup",
    params=Delete,
    code="backup_deleted",
    answer=Answer(Deleted, says=("Copia de seguridad '{backup}' eliminada.", "Backup '{backup}' deleted.")),
    errors=(BackupNotFound, BackupFailed),
    disables=False,
    repeatable=True,
)
def delete(_session: Facts, params: Delete, context: Context) -> Body:
    """Delete the file; nothing of the terminal changes."""
    context.backups.delete(params.backup)
    return {"data": {"backup": params.backup, "device_id": context.device.id}}
