"""What a document means for the users of a terminal: decided from the document, the table and who is claimed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple, Protocol

from zkbridge.commands.api.dates import UserDates
from zkbridge.commands.desired.document import Document, Wanted
from zkbridge.commands.desired.refusals import Refused
from zkbridge.commands.known_user import spelled
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.validity import Validity
from zkbridge.port.users import User, UserChanges, UserRecord, UserTable

#: The fields of a row that stand in the terminal's record as they are named.
_RECORDED = ("name", "password", "privilege", "card")
#: A refusal names so many absent users at most, and says how many there are.
_NAMED_ABSENT = 100


class Records(Protocol):
    """Tells how a terminal holds what is written; see `UserStore`."""

    def changed(self, user: User, changes: UserChanges, /) -> UserRecord:
        """The record that the changes make of a user's, equal to the user's own where they change nothing."""


class Standing(NamedTuple):
    """What is kept of the documents that came before: the last one, and the user_ids that applied ones have named.

    `digest` is of the last one's content. Version 0 says that there was none.
    """

    version: int = 0
    digest: bytes = b""
    claimed: frozenset[str] = frozenset()


class Changed(NamedTuple):
    """A user of whom something else is wanted, and the fields that differ."""

    user_id: str
    fields: tuple[str, ...]


class Plan(NamedTuple):
    """What would be done, by user_id, in the document's order; absent users come in the table's.

    `kept` counts the users who are not claimed. `failed` are users for whom the terminal has no room or no way.
    """

    added: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()
    blocked: tuple[str, ...] = ()
    unblocked: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    kept: int = 0
    failed: tuple[tuple[str, BridgeError], ...] = ()

    @property
    def users(self) -> int:
        """How many users are not as the document says."""
        lists = (self.added, self.changed, self.blocked, self.unblocked, self.deleted, self.failed)
        return sum(map(len, lists))

    @property
    def is_done(self) -> bool:
        """Whether the terminal is as the document says."""
        return not self.users


def check_version(version: int, digest: bytes, standing: Standing, *, replaces: int = 0) -> None:
    """Raise Refused for a version lower than the last one, unless that is what it `replaces`.

    And for the last version with other content.
    """
    if version < standing.version and replaces != standing.version:
        raise Refused("document_outdated", version=version, kept=standing.version)
    if version == standing.version and digest != standing.digest:
        raise Refused("document_changed", version=version)


class Decision:
    """Decides by one table. `claimed` are the user_ids that applied documents have named; `dates` those of the users.

    `wanted` has the document's users by the user_id that each has, or will have, on the terminal.
    """

    def __init__(
        self, document: Document, table: UserTable, records: Records, *, claimed: frozenset[str], dates: UserDates
    ) -> None:
        self._document = document
        self._table = table
        self._records = records
        self._dates = dates
        self.wanted = {spelled(table, each.user_id): each for each in document.users}
        present = list(dict.fromkeys(user.user_id for user in table))
        self._claimed_here = [each for each in present if document.claim == "all" or self._is_claimed(each, claimed)]
        self._kept = len(present) - len(self._claimed_here)

    def plan(self) -> Plan:
        """What is to be done. Which users it would delete or block for being absent is in it; see `check_limit`."""
        added: list[str] = []
        changed: list[Changed] = []
        switched: dict[bool, list[str]] = {True: [], False: []}
        failed: list[tuple[str, BridgeError]] = []
        for user_id, wanted in self.wanted.items():
            users = self._table.all_by_user_id(user_id)
            try:
                fields = tuple(self._differing(users, wanted)) if users else ()
            except BridgeError as refusal:
                failed.append((user_id, refusal))
                continue
            if not users:
                added.append(user_id)
            elif fields == ("blocked",):
                switched[not users[0].blocked].append(user_id)
            elif fields:
                changed.append(Changed(user_id, fields))
        return Plan(
            tuple(added),
            tuple(changed),
            (*switched[True], *(self.absent if self._document.delete == "block" else ())),
            tuple(switched[False]),
            tuple(self.absent if self._document.delete == "delete" else ()),
            self._kept,
            tuple(failed),
        )

    @cached_property
    def absent(self) -> list[str]:
        """The claimed users on the terminal whom the document does not name, and of whom something is to become."""
        gone = [user_id for user_id in self._claimed_here if user_id not in self.wanted]
        if self._document.delete == "delete":
            return gone
        is_open = [user_id for user_id in gone if any(not user.blocked for user in self._table.all_by_user_id(user_id))]
        return is_open if self._document.delete == "block" else []

    def check_limit(self) -> None:
        """Raise Refused, which names them, where more users are absent than the document allows."""
        if self.is_over_limit:
            facts = {"absent": len(self.absent), "claimed": len(self._claimed_here), "limit": self._absent_at_most}
            refusal = Refused("delete_limit", **facts)
            refusal.more = {"absent": self.absent[:_NAMED_ABSENT], "counts": {"absent": len(self.absent)}}
            raise refusal

    @property
    def is_over_limit(self) -> bool:
        """Whether more users are absent than the document allows."""
        return len(self.absent) > self._absent_at_most

    @property
    def _absent_at_most(self) -> int:
        return len(self._claimed_here) * self._document.delete_limit // 100

    def _is_claimed(self, user_id: str, claimed: frozenset[str]) -> bool:
        return user_id in claimed or user_id in self.wanted

    def _differing(self, users: Iterable[User], wanted: Wanted) -> Iterator[str]:
        """The fields of a row that the terminal, or what is kept of the dates, holds otherwise."""
        users, params = list(users), wanted.params
        for name in _RECORDED:
            if name in wanted.named and self._is_other(users, UserChanges(**{name: getattr(params, name)})):
                yield name
        kept = self._dates.of(users[0].user_id)
        blocked = params.blocked
        if params.has_dates:
            validity = Validity(
                params.valid_from if params.valid_from is not None else kept.valid_from,
                params.valid_until if params.valid_until is not None else kept.valid_until,
            )
            to_come = self._dates.to_come(Validity(*(each or None for each in validity)))
            yield from (name for name in Validity._fields if getattr(to_come, name) != getattr(kept, name))
            blocked = self._dates.are_blocking(Validity(*(each or None for each in validity)))
        if blocked is not None and self._is_other(users, UserChanges(blocked=blocked)):
            yield "blocked"

    def _is_other(self, users: Iterable[User], changes: UserChanges) -> bool:
        return any(self._records.changed(user, changes) != user.record for user in users)
