"""Requests, their state and their answers: on disk before they are acknowledged or sent.

A request goes `accepted → running → done → sent`. Every change is one SQLite transaction in WAL mode with
synchronous=FULL, so that what a method returned from survives a power cut. Calls that arrive together are
committed together, with one fsync.

A group's request is `split` into one for each member; whichever of them ends last completes it, in the same
transaction. A member that is away may be `waiting`: then the group's answer says so, and its own comes later.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from zkbridge.contract.messages import Reply
from zkbridge.contract.plans import combined
from zkbridge.ledger.acceptance import Acceptance, Batch
from zkbridge.ledger.database import Database
from zkbridge.ledger.digests import Digests
from zkbridge.ledger.documents import DRIFT
from zkbridge.ledger.facts import Facts
from zkbridge.ledger.handing_over import HandingOver
from zkbridge.ledger.outcomes import Outcomes
from zkbridge.ledger.pending_enables import PendingEnables
from zkbridge.ledger.punch_store import PunchStore
from zkbridge.ledger.records import (
    Combine,
    Draft,
    Ended,
    Finish,
    Finished,
    Parked,
    Request,
    ValidityChange,
    Waiting,
)
from zkbridge.ledger.retention import Retention
from zkbridge.ledger.rows import UNDER_WAY
from zkbridge.ledger.unsent_replies import UnsentReplies
from zkbridge.ledger.validity_store import ValidityStore
from zkbridge.telemetry.snapshot import LedgerStats

T = TypeVar("T")


class Ledger:
    """The file `ledger.db` in the state directory, for one daemon at a time, and what stands in it.

    `readings` are the commands that only read: their answers are forgotten once the broker has confirmed them.
    Raises LedgerInUse, LedgerTooNew, LedgerUnavailable; a damaged file is kept aside and a new one begun.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        combine: Combine = combined,
        readings: Iterable[str] = (),
    ) -> None:
        readings = tuple(readings)
        self._clock = clock
        self.database = Database(folder, clock=clock, readings=readings)
        self._digests = Digests(folder)
        if self._digests.is_new:  # digests that can never match must not make a true copy look like another request
            self.database.write_one("UPDATE requests SET content = NULL")
        self.facts = Facts(self.database, held=[DRIFT])
        self.enables = PendingEnables(self.database)
        self.retention = Retention(self.database, clock=clock)
        self.punches = PunchStore(self.database, self.retention)
        self.validities = ValidityStore(self.database)
        self.replies = UnsentReplies(
            self.database, self.enables, self.retention, clock=clock, has_readings=bool(readings)
        )
        self.outcomes = Outcomes(
            self.database, self.replies, self.enables, self.retention, clock=clock, combine=combine
        )
        self._acceptance = Acceptance(self.database, self.outcomes, clock=clock)
        self.handing_over = HandingOver(self.database, self.outcomes, self._acceptance)
        self.scrub()

    @property
    def path(self) -> Path:
        """The file."""
        return self.database.path

    def digest(self, *parts: bytes | str | None) -> bytes:
        """A keyed digest: equal for equal parts, and of no use without the key, which is in another file."""
        return self._digests.digest(*parts)

    # -- messages in ---------------------------------------------------------------------------------------------

    def batch(self, drafts: Sequence[Draft], *, of_unread: bool = False) -> AbstractContextManager[Batch]:
        """A batch in a `with`, for these messages; one commit holds all that is kept inside.

        `of_unread`: they follow from an unread document, whose turn is noted with them.
        Raises LedgerUnavailable, and then nothing is kept; whatever is raised inside takes all of it back.
        """
        lone = len(drafts) == 1 and not (drafts[0].retained or drafts[0].parts or of_unread)
        return self._acceptance.batch(single=lone)

    # -- work ----------------------------------------------------------------------------------------------------

    def unfinished(self) -> list[Request]:
        """Every request that has no answer yet, oldest first: what a crash or a stop left. Not what is waiting."""
        return self.outcomes.unfinished()

    def running(self, intents: Iterable[tuple[int, object]]) -> None:
        """Note, before the terminal is asked, what each request is about to change."""
        self.outcomes.running(intents)

    def finish(
        self,
        finishes: Iterable[Finish],
        *,
        parked: Iterable[Parked] = (),
        pending_enable: str | None = None,
        validities: Iterable[ValidityChange] = (),
    ) -> Finished:
        """Keep the replies of finished requests and forget what was asked, all in one transaction.

        `parked` are requests that wait for their terminal from now on; what was asked by them is kept.
        `pending_enable` names a device that may still be disabled: that is kept in the same transaction, and so are the
        changes of users' dates.
        """
        return self.outcomes.finish(finishes, parked=parked, pending_enable=pending_enable, validities=validities)

    def waiting(self, device: str | None = None) -> list[Waiting]:
        """What waits for a device, or for any, oldest first; without what was asked."""
        return self.outcomes.waiting(device)

    def take_up(self, device: str, *, subject: str | None = None, most: int = 1000) -> list[Request]:
        """What has waited for a device, or for one thing on it, and is still good: it is under way from now on."""
        return self.outcomes.take_up(device, subject=subject, most=most)

    def expire(self, answer: Callable[[Request], Reply]) -> list[Ended]:
        """Answer what has waited for too long; those requests, and the groups' that are answered with them."""
        return self.outcomes.expire(answer)

    def reply_of(self, request: int) -> Reply | None:
        """The stored reply of a request, if it has one and is still remembered."""
        return self.outcomes.reply_of(request)

    def stats(self) -> LedgerStats:
        """How much there is, and what waits for a terminal or for the broker."""
        now = self._clock()
        unfinished, oldest_unfinished = self.database.read(
            f"SELECT count(*), min(r.accepted_at) FROM requests r WHERE {UNDER_WAY}"  # noqa: S608 - a constant
        )[0]
        unsent = self.database.read("SELECT count(*) FROM answers WHERE owed = 1")[0][0]
        oldest = self.database.read(
            "SELECT coalesce(r.done_at, a.made_at) FROM answers a LEFT JOIN requests r ON r.id = a.request"
            " WHERE a.owed = 1 ORDER BY a.id LIMIT 1"
        )
        return LedgerStats(
            size=sum(_size(Path(f"{self.path}{suffix}")) for suffix in ("", "-wal")),
            unfinished=unfinished,
            oldest_unfinished_s=max(0.0, now - oldest_unfinished) if unfinished else 0.0,
            unsent=unsent,
            oldest_unsent_s=max(0.0, now - oldest[0][0]) if oldest else 0.0,
        )

    # -- upkeep --------------------------------------------------------------------------------------------------

    def scrub(self) -> None:
        """Leave no password of a finished request in the file, nor in its write-ahead log."""
        self.enables.write_soon()
        self.retention.scrub()

    def maintain(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have the ledger's own upkeep done in a transaction; no disk is waited for. Raises LedgerUnavailable."""
        return self.database.write(work, urgent=False)

    def inspect(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Look at what is committed, while nothing is being written. Raises LedgerUnavailable."""
        return self.database.inspect(look)

    def rebuild(self, *, aside: bool) -> None:
        """Write all of it to a new file in place of what is there now, which is kept `aside` or dropped.

        For a file that was removed or replaced under its name: what is open still has everything.
        Raises LedgerUnavailable while it cannot be written, and then nothing has changed.
        """
        self.database.rebuild(aside=aside)

    def close(self) -> None:
        """Leave a single file behind, without a write-ahead log."""
        self.scrub()
        self.database.close()


def _size(path: Path) -> int:
    """Bytes of a file; none of one that is not there just now."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
