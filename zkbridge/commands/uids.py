"""Which uid a request writes a new user under: that of its last attempt where it can be, else the next free one."""

from __future__ import annotations

from collections.abc import Callable

from zkbridge.commands.api.registry import Context
from zkbridge.port.users import User, UserTable


def choose_uid(table: UserTable, user_id: str, context: Context, *, is_cut: Callable[[User, int], bool]) -> int:
    """The uid of the last attempt if it is still free: a late write of that attempt then hits the same user.

    It is as good as free where the terminal has kept that write with a part of its user_id only: `is_cut` says whether
    a user under that uid is so. It is not free where another request of the session has chosen it since: the user of
    one of the two would be written over, and the templates of one would be under the other's uid.
    """
    uid: int = context.tried[-1]["uid"] if context.tried else 0
    there = table.by_uid(uid) if uid else None
    if not uid or table.is_reserved(uid, user_id) or (there is not None and not is_cut(there, uid)):
        uid = table.next_uid()
    table.reserve(uid, user_id)
    return uid
