"""Which answered requests are carried out anew when a caller sends them again, and what is kept of the first time."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import PartKey

#: What stands for the body of an answer that is not remembered.
FORGOTTEN = b""
_UNTRIED = "[]"


class Part(NamedTuple):
    """One member's part of a group's request, or a row of a list; `anew` if it is to be carried out again."""

    id: int
    key: PartKey
    anew: bool
    tried: str


def begins_anew(db: sqlite3.Connection, row: sqlite3.Row, members: Collection[str]) -> bool:
    """Whether a request that was kept is to be carried out anew if a caller sends it again.

    That is so once its answer is forgotten, and after a failure that leaves it open. A group's request begins anew
    where one of these `members` ended like that; one who has left the group since is not asked again.
    """
    if row["reply"] is None:
        return False
    if row["reply"] == FORGOTTEN:
        return True
    if members:
        return any(part.anew for part in parts_of(db, row["id"], members))
    return _is_open(row)


def parts_of(db: sqlite3.Connection, group: int, members: Collection[str]) -> list[Part]:
    """The parts of a group's request, in the group's order."""
    rows = db.execute(
        "SELECT id, device, user_id, status, code, reply, tried FROM requests"
        " WHERE parent = ? ORDER BY coalesce(place, id)",
        (group,),
    )
    return [
        Part(row["id"], (row["device"], row["user_id"]), row["device"] in members and _is_open(row), row["tried"])
        for row in rows
    ]


@contextmanager
def all_or_nothing(db: sqlite3.Connection) -> Iterator[None]:
    """Keep all that is written inside, or none of it; a transaction of its own if none is open."""
    db.execute("SAVEPOINT repeat")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK TO repeat")
        db.execute("RELEASE repeat")
        raise
    db.execute("RELEASE repeat")


def free_request_id(db: sqlite3.Connection, request: int) -> None:
    """Let another request have this one's request_id; its answers, and what they answer, stay as they are."""
    db.execute("UPDATE requests SET request_id = NULL WHERE id = ?", (request,))


def carry_on(db: sqlite3.Connection, request: int, tried: str) -> bool:
    """Have a request settle first what an earlier one may have written; False if that one has written nothing."""
    if tried == _UNTRIED:
        return False
    db.execute("UPDATE requests SET state = 'running', tried = ? WHERE id = ?", (tried, request))
    return True


def move(db: sqlite3.Connection, part: int, group: int, place: int) -> None:
    """Make a request a part of this group's request, at a place in the group's order."""
    db.execute("UPDATE requests SET parent = ?, place = ? WHERE id = ?", (group, place, part))


def may_be_redelivery(db: sqlite3.Connection, digest: bytes, connection: int) -> bool:
    """Whether earlier connections have brought this message more often than this one has: the rest may come again."""
    earlier, now = db.execute(
        "SELECT count(*) FILTER (WHERE connection < ?2), count(*) FILTER (WHERE connection = ?2)"
        " FROM answers WHERE digest = ?1",
        (digest, connection),
    ).fetchone()
    return bool(earlier > now)


def _is_open(row: sqlite3.Row) -> bool:
    """Whether it ended with a failure after which it is carried out anew.

    An unknown effect can only be settled by what was noted before the terminal was asked.
    """
    if row["reply"] is None or row["reply"] == FORGOTTEN:
        return False
    effect = Reply(row["status"], row["code"], row["reply"]).open_effect
    return effect == "none" or (effect == "unknown" and row["tried"] != _UNTRIED)
