"""Keeps the ledger within its bytes, and recovers from a full disk, by forgetting old answers.

What is unanswered, or answered and not yet confirmed by the broker, is never forgotten. Refusals before anything was
done are forgotten first, then the oldest requests that were carried out.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.schema import ENDED

#: Seconds for which a refusal is remembered: long enough for a redelivery.
TURNED_AWAY_S = 600.0
#: Seconds for which a request that was carried out is remembered even while the disk is full.
RECENT_S = 3600.0
#: Bytes of free pages in the file that let the bridge work on while the disk is full.
FREE_AT_LEAST = 1_048_576
#: Over the budget it is brought down to this share of it, so that it is not over again at once.
_DOWN_TO = 0.9
#: Rows that are forgotten in one commit; between two commits other threads can write.
_ROWS = 500
#: Bytes that are held on the disk for a time when it is full, and how many must be free for that.
RESERVE, HELD_WITH_FREE = 4_194_304, 16_777_216


class Reserve:
    """A file that holds room on the disk: on a full one nothing can be forgotten without writing that down first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "ledger.reserve"

    def hold(self) -> bool:
        """Hold room, if there is enough for that; whether it is held."""
        if self._path.exists():
            return True
        try:
            about = os.statvfs(self._folder)
            if about.f_bavail * about.f_frsize < HELD_WITH_FREE:
                return False
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(descriptor, 0, RESERVE)
        except OSError:
            self.release()
            return False
        finally:
            os.close(descriptor)
        return True

    def release(self) -> None:
        """Free the room for the next write."""
        with suppress(OSError):
            self._path.unlink()

    def release_if_full(self) -> None:
        """Before the ledger is opened: that needs room too."""
        with suppress(OSError):
            about = os.statvfs(self._folder)
            if about.f_bavail * about.f_frsize < FREE_AT_LEAST:
                self.release()


class Budget:
    """Has the ledger forget. Every method raises LedgerUnavailable while nothing can be written."""

    def __init__(self, ledger: Ledger, reserve: Reserve, *, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._reserve = reserve
        self._clock = clock

    def hold_room(self) -> None:
        """Hold room on the disk for when it is full."""
        self._reserve.hold()

    def tidy(self, most: int) -> int:
        """Forget what was turned away a while ago; and the oldest, while there are more bytes than `most`; how many."""
        self._reserve.hold()
        now = self._clock()
        dropped = self._until(lambda: False, lambda db: _drop_turned_away(db, now - TURNED_AWAY_S))
        if self._ledger.inspect(_used) <= most:
            return dropped
        low_enough = lambda: self._ledger.inspect(_used) <= most * _DOWN_TO  # noqa: E731 - two words of one sentence
        dropped += self._until(low_enough, lambda db: _drop_turned_away(db, now))
        dropped += self._until(low_enough, lambda db: _drop_done(db, now))
        return dropped + self._until(low_enough, _drop_retained)

    def make_room(self) -> int:
        """The disk is full: free the reserve, and forget until the file has free pages; how many rows went."""
        self._reserve.release()
        now = self._clock()
        roomy = lambda: self._ledger.inspect(_free) >= FREE_AT_LEAST  # noqa: E731 - as above
        dropped = self._until(roomy, lambda db: _drop_turned_away(db, now))
        return dropped + self._until(roomy, lambda db: _drop_done(db, now - RECENT_S))

    def _until(self, enough: Callable[[], bool], drop: Callable[[sqlite3.Connection], int]) -> int:
        """Drop again and again until it is enough, or there is nothing left."""
        dropped = 0
        while not enough() and (now := self._ledger.maintain(drop)):
            dropped += now
        return dropped


def _used(db: sqlite3.Connection) -> int:
    return (_pragma(db, "page_count") - _pragma(db, "freelist_count")) * _pragma(db, "page_size")


def _free(db: sqlite3.Connection) -> int:
    return _pragma(db, "freelist_count") * _pragma(db, "page_size")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _drop_turned_away(db: sqlite3.Connection, until: float) -> int:
    """Answers that needed no request, and that the broker has."""
    return db.execute(
        "DELETE FROM answers WHERE sent_at IS NOT NULL AND made_at <= ? AND id IN"
        " (SELECT id FROM answers WHERE request IS NULL ORDER BY id LIMIT ?)",
        (until, _ROWS),
    ).rowcount


def _drop_done(db: sqlite3.Connection, until: float) -> int:
    """Requests that are answered, and of which the broker has every answer; a group's with those of its members."""
    return db.execute(
        f"DELETE FROM requests WHERE state IN ('done', 'sent') AND {ENDED} AND coalesce(parent, id) IN"  # noqa: S608 - a constant
        f" (SELECT id FROM requests WHERE parent IS NULL AND state IN ('done', 'sent') AND {ENDED}"
        " AND accepted_at <= ? ORDER BY id LIMIT ?)",
        (until, _ROWS),
    ).rowcount


def _drop_retained(db: sqlite3.Connection) -> int:
    """That a retained command was answered; if it is still there, it is answered once more."""
    return db.execute(
        "DELETE FROM retained WHERE digest IN (SELECT digest FROM retained ORDER BY seen_at LIMIT ?)", (_ROWS,)
    ).rowcount
