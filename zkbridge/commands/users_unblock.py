"""users/unblock: let a blocked user in again."""

from __future__ import annotations

from zkbridge.commands.api.registry import Answer, Body, Change, Context, Lasting, command
from zkbridge.commands.known_user import KnownUser, OneUser, set_blocked
from zkbridge.contract.errors import UserNotFound
from zkbridge.port.capabilities import UserStore


class Unblock(OneUser, Lasting):
    """Who."""


@command(
    "users/unblock",
    params=Unblock,
    code="unblocked",
    answer=Answer(KnownUser, says=("Usuario '{user_id}' desbloqueado.", "User '{user_id}' unblocked.")),
    errors=(UserNotFound,),
    disables=True,
    repeatable=True,
)
def unblock(session: UserStore, params: Unblock, context: Context) -> Body | Change:
    """Plan it, or answer if the user is so already."""
    return set_blocked(session, params.user_id, context, blocked=False)
