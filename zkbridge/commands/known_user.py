"""The shared parts of commands about one user of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, NotRequired

from typing_extensions import TypedDict

from zkbridge.commands.api.registry import Body, Change, Context, Params
from zkbridge.commands.api.text_fields import UserId
from zkbridge.config.models import Device
from zkbridge.contract.answers import like
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import DeviceRejected, FieldFault, UserNotFound
from zkbridge.port.capabilities import UserReader, UserStore
from zkbridge.port.fit import surely_unfit
from zkbridge.port.users import User, UserChanges, UserFields, UserTable, shortage


class OneUser(Params):
    """A user who should be on the terminal."""

    user_id: UserId

    @property
    def key(self) -> str:
        """The user."""
        return id_spelling(self.user_id)

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """The fault of a user_id that no terminal can hold in any spelling."""
        return self._unfit(self.user_id, device) and self._unfit(id_spelling(self.user_id), device)

    def _unfit(self, user_id: str, device: Device) -> tuple[FieldFault, ...]:
        fields = UserFields(user_id, "")
        return surely_unfit(fields, encoding=device.encoding, name_overflow=device.name_overflow)


class KnownUser(TypedDict):
    """Whose record it was."""

    user_id: Annotated[str, like("123")]
    records: NotRequired[Annotated[int, like(2, "How many records hold this user_id, only where they are several.")]]
    device_id: Annotated[str, like("principal")]


def find_all(session: UserReader, user_id: str, device: Device) -> list[User]:
    """Every record with this user_id: scripts that choose their own uid leave several.

    Raises UserNotFound, or DeviceRejected where the user may be one whom the terminal does not show.
    """
    table = session.users()
    users = table.all_by_user_id(spelled(table, user_id))
    if not users:
        must_be_whole(table, device)
        raise UserNotFound(user_id=user_id)
    return users


def must_be_whole(table: UserTable, device: Device) -> None:
    """Raise DeviceRejected where the terminal counts more users than it shows: any user may be one of them."""
    if table.hidden:
        raise DeviceRejected("table", host=device.host, port=device.port, detail=shortage(table))


def spelled(table: UserTable, user_id: str) -> str:
    """The user_id as it is, if a user has it; else as `users/create` spells it."""
    return user_id if table.by_user_id(user_id) is not None else id_spelling(user_id)


def must_be_alone(table: UserTable, users: Iterable[User], device: Device) -> None:
    """Raise DeviceRejected where a uid belongs to another user too: terminals write and delete by uid."""
    for uid in {user.uid for user in users}:
        if len(table.owners(uid)) > 1:
            raise DeviceRejected("shared_uid", host=device.host, port=device.port, uid=uid)


def how_many(records: int) -> dict[str, int]:
    """What an answer says of the number of a user's records: nothing where it is one."""
    return {"records": records} if records > 1 else {}


def change_all(
    session: UserStore, users: Sequence[User], changes: UserChanges, body: Body, context: Context
) -> Body | Change:
    """Plan the changes of every record of a user, or answer with `body` where the terminal holds them already.

    Raises DeviceRejected, InvalidField.
    """
    user_id = users[0].user_id
    others = [user for user in users if session.changed(user, changes) != user.record]
    if not others:
        return body
    must_be_alone(session.users(), users, context.device)

    def apply() -> Body:
        for user in others:
            session.change_user(user, changes)
        return body

    def kept(table: UserTable) -> bool:
        now = table.all_by_user_id(user_id)
        return len(now) == len(users) and all(session.changed(user, changes).is_held_by(user) for user in now)

    return Change(intent={"uids": [user.uid for user in users]}, apply=apply, kept=kept, lost="not_changed")


def set_blocked(session: UserStore, user_id: str, context: Context, *, blocked: bool) -> Body | Change:
    """Plan that a user is blocked, or let in again; a user who is blocked is not let in by a date to come.

    Raises UserNotFound, DeviceRejected.
    """
    users = find_all(session, user_id, context.device)
    user_id = users[0].user_id
    if blocked:
        context.dates.keep(user_id, context.dates.of(user_id)._replace(valid_from=None))
    body: Body = {"data": {"user_id": user_id, **how_many(len(users)), "device_id": context.device.id}}
    return change_all(session, users, UserChanges(blocked=blocked), body, context)


def write_blocked(session: UserStore, user_id: str, device: Device, *, blocked: bool) -> bool:
    """Block or unblock every record of a user, outside of a request; whether one was written. Raises DeviceRejected."""
    table = session.users()
    users = table.all_by_user_id(user_id)
    others = [user for user in users if user.blocked != blocked]
    if others:
        must_be_alone(table, users, device)
    for user in others:
        session.change_user(user, UserChanges(blocked=blocked))
    return bool(others)
