"""Punches that the broker has not confirmed, and how far each terminal's log was read."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from zkbridge.ledger.database import Database, ignore
from zkbridge.ledger.records import PUNCH, Place, Trace, UnsentPunch
from zkbridge.ledger.retention import Retention


class PunchStore:
    """The punches of all devices, in the order in which they were kept."""

    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._retention = retention

    def place(self, device: str) -> Place | None:
        """How far a terminal's log was published; None if it never was."""
        rows = self._database.read("SELECT serial, count FROM places WHERE device = ?", device)
        if not rows:
            return None
        traces = self._database.read("SELECT moment, key, ordinal FROM traces WHERE device = ? ORDER BY number", device)
        return Place(rows[0]["serial"], rows[0]["count"], tuple(Trace(*row) for row in traces))

    def add(self, device: str, bodies: Iterable[bytes], place: Place, *, most_traces: int, anew: bool = False) -> None:
        """Keep punches that are to be published, in order, and the place in the log, in one transaction.

        Of `place` the traces are those of these punches; so many of a terminal are kept, or none of the earlier ones
        where it begins `anew`.
        """
        wanted = [(device, body) for body in bodies]

        def work(db: sqlite3.Connection) -> None:
            if anew:
                db.execute("DELETE FROM traces WHERE device = ?", (device,))
            db.executemany("INSERT INTO punches (device, body) VALUES (?, ?)", wanted)
            db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (device, place.serial, place.count))
            last = db.execute("SELECT coalesce(max(number), 0) FROM traces WHERE device = ?", (device,)).fetchone()[0]
            db.executemany(
                "INSERT INTO traces VALUES (?, ?, ?, ?, ?)",
                [(device, last + n, t.moment, t.key, t.ordinal) for n, t in enumerate(place.traces, 1)],
            )
            line = last + len(place.traces) - most_traces
            db.execute("DELETE FROM traces WHERE device = ? AND number <= ?", (device, line))

        self._database.write(work)

    def unsent(self, limit: int, *, after: int = 0, less: Collection[str] = ()) -> list[UnsentPunch]:
        """Punches that the broker has not confirmed, oldest first, less those of some devices."""
        others = f"AND device NOT IN ({', '.join('?' * len(less))})" if less else ""
        # Nothing but question marks is put into the statement.
        query = f"SELECT id, device, body, kind FROM punches WHERE id > ? {others} ORDER BY id LIMIT ?"  # noqa: S608
        rows = self._database.read(query, after, *less, limit)
        return [UnsentPunch(*row) for row in rows]

    def forget(self, punches: Iterable[int]) -> None:
        """The broker has confirmed these: they are deleted. After a power cut they may be published once more."""
        wanted = [(punch,) for punch in punches]
        self._database.write(
            lambda db: ignore(db.executemany("DELETE FROM punches WHERE id = ?", wanted)), urgent=False
        )
        self._retention.note_freed(parked=False)  # none, but nothing of them is to stay for ever in the write-ahead log

    def count_unsent_of(self, device: str) -> int:
        """How many punches of one device wait for the broker."""
        return int(
            self._database.read("SELECT count(*) FROM punches WHERE device = ? AND kind = ?", device, PUNCH)[0][0]
        )

    def note_cleared(self, device: str) -> None:
        """The terminal's log is empty. The traces stay: they distinguish equal punches."""
        self._database.write(lambda db: ignore(db.execute("UPDATE places SET count = 0 WHERE device = ?", (device,))))

    def count_unsent(self) -> int:
        """How many punches wait for the broker; it may be fewer."""
        first, last = self._database.read("SELECT min(id), max(id) FROM punches")[0]
        return 0 if first is None else int(last) - int(first) + 1
