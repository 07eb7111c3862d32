"""users/delete: take a user off the terminal; the templates go with the user."""

from __future__ import annotations

from typing import Any

from zkbridge.commands.known_user import KnownUser, OneUser
from zkbridge.commands.registry import Answer, Change, Context, Lasting, command
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import UserNotFound
from zkbridge.terminal.records.users import UserTable
from zkbridge.terminal.session import Session


class Delete(OneUser, Lasting):
    """The user who shall go."""


@command(
    "users/delete",
    params=Delete,
    code="deleted",
    answer=Answer(KnownUser, says=("Usuario '{user_id}' eliminado.", "User '{user_id}' deleted.")),
    errors=(UserNotFound,),
    disables=True,
    repeatable=True,
)
def delete(session: Session, params: Delete, context: Context) -> dict[str, Any] | Change:
    """Plan the end of the user, or answer if an earlier attempt of this request has brought it about already."""
    table = session.users()
    # An earlier attempt meant one user: with that one gone, another spelling must not find somebody else.
    user_id = context.tried[-1].get("user_id", params.user_id) if context.tried else _spelled(table, params.user_id)
    body = {"data": {"user_id": user_id, "device_id": context.device.id}}
    user = table.by_user_id(user_id)
    if user is None and context.asked_before:
        return body
    if user is None:
        raise UserNotFound(user_id=params.user_id)
    uid = user.uid

    def apply() -> dict[str, Any]:
        session.delete_user(uid)
        return body

    def kept(table: UserTable) -> bool:
        return table.by_user_id(user_id) is None

    return Change(intent={"uid": uid, "user_id": user_id}, apply=apply, grows=-1, kept=kept, lost="not_deleted")


def _spelled(table: UserTable, user_id: str) -> str:
    """The user_id as the terminal has it, see `held`."""
    return user_id if table.by_user_id(user_id) is not None else id_spelling(user_id)
