"""users/delete: delete a user from the terminal, with every record of that user_id and the templates."""

from __future__ import annotations

from typing import Any

from zkbridge.commands.api.registry import Answer, Body, Change, Context, Lasting, command
from zkbridge.commands.known_user import KnownUser, OneUser, how_many, must_be_alone, must_be_whole, spelled
from zkbridge.contract.errors import UserNotFound
from zkbridge.contract.validity import Validity
from zkbridge.port.capabilities import UserStore
from zkbridge.port.users import UserTable


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
def delete(session: UserStore, params: Delete, context: Context) -> Body | Change:
    """Plan the end of the user, or answer if an earlier attempt of this request has brought it about already."""
    table = session.users()
    # An earlier attempt meant one user: with that one gone, another spelling must not find somebody else.
    user_id = context.tried[-1].get("user_id", params.user_id) if context.tried else spelled(table, params.user_id)
    users = table.all_by_user_id(user_id)
    uids = list(dict.fromkeys(user.uid for user in users))
    gone = {uid for tried in context.tried for uid in _uids_of(tried) if table.by_uid(uid) is None}
    records = how_many(len(gone.union(uids)))
    body: Body = {"data": {"user_id": user_id, **records, "device_id": context.device.id}}
    if not users:
        must_be_whole(table, context.device)
    if not users and not context.asked_before:
        raise UserNotFound(user_id=params.user_id)
    context.dates.keep(user_id, Validity())
    if not users:
        return body
    must_be_alone(table, users, context.device)

    def apply() -> Body:
        session.delete_users(users)
        return body

    def kept(table: UserTable) -> bool:
        return table.by_user_id(user_id) is None

    intent = {"uids": uids, "user_id": user_id}
    return Change(intent=intent, apply=apply, grows=-len(users), kept=kept, lost="not_deleted")


def _uids_of(intent: dict[str, Any]) -> list[int]:
    """What an attempt meant to delete; earlier versions noted one uid."""
    uids: list[int] = intent["uids"] if "uids" in intent else [intent["uid"]]
    return uids
