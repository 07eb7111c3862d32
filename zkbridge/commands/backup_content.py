"""What stands in a backup: each user with the fingers as `users/copy/write` takes them, and what the whole is of."""

from __future__ import annotations

from collections import defaultdict

from pydantic import BaseModel, ConfigDict, ValidationError

from zkbridge.commands.api.backups import BackupDamaged
from zkbridge.commands.api.registry import Context
from zkbridge.commands.transfer import Person, Write
from zkbridge.contract.moments import moment
from zkbridge.port.capabilities import Terminal
from zkbridge.port.fingers import Finger

FORMAT = 1


class Content(BaseModel):
    """A backup. `left_out` are the user_ids of users whose records cannot be distinguished."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    format: int = FORMAT
    device_id: str
    serial_number: str
    made_at: str
    algorithm: str | None
    users: tuple[Write, ...]
    left_out: tuple[str, ...] = ()


def read_all(session: Terminal, context: Context) -> Content:
    """Every user of a terminal with the fingers. Raises DeviceRejected where they cannot be read."""
    table = session.users()
    alone = [
        user
        for user in table
        if user.user_id and len(table.all_by_user_id(user.user_id)) == 1 and len(table.owners(user.uid)) == 1
    ]
    known = {user.uid for user in alone}
    fingers = session.all_fingers()
    by_uid: defaultdict[int, list[Finger]] = defaultdict(list)
    for finger in fingers:
        by_uid[finger.uid].append(finger)
    algorithm = session.finger_algorithm() if fingers else None
    people = [Person(session.copy_of(user), by_uid[user.uid], context.dates.of(user.user_id)) for user in alone]
    return Content(
        device_id=context.device.id,
        serial_number=session.info().serial_number,
        made_at=moment(context.clock.now()),
        algorithm=algorithm,
        users=tuple(person.write(algorithm=algorithm, overwrite=False) for person in people),
        left_out=tuple(dict.fromkeys(user.user_id for user in table if user.uid not in known)),
    )


def parsed(name: str, content: bytes) -> Content:
    """The content of a backup. Raises BackupDamaged."""
    try:
        found = Content.model_validate_json(content, strict=False)
    except ValidationError:
        raise BackupDamaged(backup=name) from None
    if found.format != FORMAT:
        raise BackupDamaged(backup=name)
    return found
