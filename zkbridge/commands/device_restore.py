"""device/restore: bring the users of a backup, with their fingers, back to a terminal or to its replacement."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, NamedTuple

from pydantic import Field
from typing_extensions import TypedDict

from zkbridge.commands.api.age import BackupEncrypted
from zkbridge.commands.api.backups import BackupDamaged, BackupFailed, BackupName, BackupNotFound
from zkbridge.commands.api.fields import Flag
from zkbridge.commands.api.registry import Answer, Body, Context, HandOver, Onward, Params, command
from zkbridge.commands.backup_content import Content, parsed
from zkbridge.commands.transfer import WRITE, AlgorithmDiffers, CopyIncomplete, Write
from zkbridge.commands.users_delete import Delete
from zkbridge.contract.answers import like
from zkbridge.contract.errors import DeviceFull, Forbidden, InvalidField, UserExists
from zkbridge.port.capabilities import Terminal
from zkbridge.port.fingers import TAIL


class Restore(Params):
    """Which backup, the latest if it is not named; without `apply` the answer is only the difference."""

    backup: BackupName | None = None
    apply: Flag = Field(False, description="true: write; false: only answer the difference.")
    replace: Flag = Field(
        False, description="true: overwrite users who differ, and delete users and fingers not in the backup."
    )


class Compared(TypedDict):
    """What is different; nothing was written."""

    backup: Annotated[str, like("2030-01-31T08-00-00Z")]
    same_terminal: Annotated[bool, like(example=True, description="Whether the serial number is that of the backup.")]
    added: Annotated[list[str], like(["123"], "Users of the backup who are not on the terminal.")]
    completed: Annotated[list[str], like([], "Users who only lack fingers there.")]
    changed: Annotated[list[str], like([], "Users with another record or another finger; written with `replace` only.")]
    unfit: Annotated[list[str], like([], "Users of the backup who do not fit this terminal.")]
    extra: Annotated[list[str], like([], "Users who are not in the backup; deleted with `replace` only.")]
    extra_fingers: Annotated[
        list[str], like([], "Users with fingers that are not in the backup; these are deleted with `replace` only.")
    ]
    unchanged: Annotated[int, like(36, "Users who are the same.", ge=0)]
    device_id: Annotated[str, like("principal")]


class _Difference(NamedTuple):
    """Users of a backup by what is to be done for them, and user_ids of the terminal that are not in it.

    Who has more fingers on the terminal is in `extra_fingers`, and perhaps in another list too.
    """

    added: list[Write]
    completed: list[Write]
    changed: list[Write]
    unfit: list[Write]
    extra: list[str]
    extra_fingers: list[Write]

    def by_user(self) -> dict[str, Write]:
        """Everybody of the backup who is not on the terminal as the backup has it."""
        lists = self.added, self.completed, self.changed, self.unfit, self.extra_fingers
        return {user.user_id: user for each in lists for user in each}


@command(
    "device/restore",
    params=Restore,
    code="compared",
    answer=Answer(Compared),
    errors=(
        BackupNotFound,
        BackupDamaged,
        BackupEncrypted,
        BackupFailed,
        AlgorithmDiffers,
        CopyIncomplete,
        DeviceFull,
        UserExists,
    ),
    disables=False,
    repeatable=True,
    hands_over=True,
)
def restore(session: Terminal, params: Restore, context: Context) -> Body | HandOver:
    """Tell the difference, or leave it to requests of their own: one for each user who is written or deleted."""
    name, raw = context.backups.read(params.backup)
    content = parsed(name, raw)
    found = _compare(session, content)
    asked = _asked(found, replace=params.replace) if params.apply else []
    if asked:
        if not context.policy.administrators and any(
            user.copy_of_user().role for user in (*found.added, *found.changed)
        ):
            raise Forbidden("administrators")
        return HandOver(WRITE, (context.device.id,), tuple(asked))
    kinds = "added", "completed", "changed", "unfit", "extra_fingers"
    lists: dict[str, list[str]] = {kind: [user.user_id for user in getattr(found, kind)] for kind in kinds}
    lists |= {"extra": found.extra, "extra_fingers": lists.pop("extra_fingers")}  # in the order of the answer
    same = bool(content.serial_number) and content.serial_number == session.info().serial_number
    said = {**lists, "unchanged": len(content.users) - len(found.by_user())}
    return {"data": {"backup": name, "same_terminal": same, **said, "device_id": context.device.id}}


def _asked(found: _Difference, *, replace: bool) -> list[Onward]:
    """What is deleted comes first: it makes room."""
    deletes = [Onward(each, Delete(user_id=each).stored(), "users/delete") for each in found.extra] if replace else []
    gently = (*found.added, *found.completed, *found.unfit)
    how = {"overwrite": replace, "exact": replace}
    wanted = found.by_user().values() if replace else gently
    writes = [Onward(user.user_id, user.model_copy(update=how).stored()) for user in wanted]
    return [*deletes, *writes]


def _compare(session: Terminal, content: Content) -> _Difference:
    table = session.users()
    held: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
    for finger in session.all_fingers():
        held[finger.uid][finger.index] = finger.template.rstrip(TAIL)
    found = _Difference([], [], [], [], [], [])
    for each in content.users:
        user = table.by_user_id(each.user_id)
        try:
            record = session.copied(each.copy_of_user(), 1 if user is None else user.uid)
        except InvalidField:
            found.unfit.append(each)
            continue
        if user is None:
            found.added.append(each)
            continue
        fingers = held[user.uid]
        wanted = {finger.index: finger.finger(user.uid).template.rstrip(TAIL) for finger in each.fingers}
        if fingers.keys() - wanted.keys():
            found.extra_fingers.append(each)
        if not record.is_held_by(user) or any(fingers.get(index, wanted[index]) != wanted[index] for index in wanted):
            found.changed.append(each)
        elif wanted.keys() - fingers.keys():
            found.completed.append(each)
    known = {each.user_id for each in content.users} | set(content.left_out)
    found.extra.extend(dict.fromkeys(user.user_id for user in table if user.user_id and user.user_id not in known))
    return found
