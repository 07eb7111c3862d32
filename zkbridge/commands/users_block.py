"""users/block: keep a user out, and leave the record, templates and dates that end as they are."""

from __future__ import annotations

from zkbridge.commands.api.registry import Answer, Body, Change, Context, Lasting, command
from zkbridge.commands.known_user import KnownUser, OneUser, set_blocked
from zkbridge.contract.errors import UserNotFound
from zkbridge.port.capabilities import UserStore


class Block(OneUser, Lasting):
    """Who."""


@command(
    "users/block",
    params=Block,
    code="blocked",
    answer=Answer(KnownUser, says=("Usuario '{user_id}' bloqueado.", "User '{user_id}' blocked.")),
    errors=(UserNotFound,),
    disables=True,
    repeatable=True,
)
def block(session: UserStore, params: Block, context: Context) -> Body | Change:
    """Plan it, or answer if the user is so already."""
    return set_blocked(session, params.user_id, context, blocked=True)
