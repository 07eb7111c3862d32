"""What the daemon has on its disk: open requests, answers that are owed, and secrets that should not be there."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress

from tests.support.daemon import Daemon
from torture.history import Delivery, LedgerEnd
from torture.plan import PASSWORD_MARK


class Remains:
    """The state folder and the log of a daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def open_work(self) -> tuple[int, int, int]:
        """How many requests the ledger holds unfinished, how many answers and enables owed; -1 if it cannot be read."""
        if not all((self.daemon.state / f"ledger.db{end}").exists() for end in ("-wal", "-shm")):
            # Opening the ledger would create these files, and `cuts` records which process creates a file.
            return -1, -1, -1
        with suppress(sqlite3.Error), closing(self._ledger()) as db:
            unfinished = db.execute("SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')").fetchone()
            owed = db.execute("SELECT count(*) FROM answers WHERE owed = 1").fetchone()
            pending = db.execute("SELECT count(*) FROM debts").fetchone()
            return unfinished[0], owed[0], pending[0]
        return -1, -1, -1

    def ledger_end(self, secrets: Iterable[str]) -> LedgerEnd:
        """What is on disk: now, so best after the daemon's end."""
        with closing(self._ledger()) as db:
            unfinished = [
                f"request {row[0]} ({row[1]}) of {row[2]}, {row[3]}"
                for row in db.execute(
                    "SELECT id, request_id, device, state FROM requests WHERE state IN ('accepted', 'running')"
                )
            ]
            owed = db.execute("SELECT count(*) FROM answers WHERE owed = 1").fetchone()[0]
            pending_enables = [row[0] for row in db.execute("SELECT device FROM debts")]
            deliveries = [
                Delivery(device, request_id, correlation, kept_at, sent_at)
                for device, request_id, correlation, kept_at, sent_at in db.execute(
                    # One that was carried out anew under its request_id has left that to the later one.
                    "SELECT r.device, coalesce(r.request_id, CASE WHEN length(r.reply) > 0 THEN"
                    " json_extract(CAST(r.reply AS TEXT), '$.request_id') END), a.correlation, a.made_at, a.sent_at"
                    " FROM answers a LEFT JOIN requests r ON r.id = a.request"
                )
            ]
        files = sorted(path for path in self.daemon.state.iterdir() if path.is_file())
        return LedgerEnd(
            unfinished=unfinished,
            owed=owed,
            pending_enables=pending_enables,
            deliveries=deliveries,
            modes={path.name: path.stat().st_mode & 0o7777 for path in files if path.name.startswith("ledger")},
            secrets=self.secrets_found(secrets),
        )

    def secrets_found(self, secrets: Iterable[str]) -> list[str]:
        """Where a password or a card stands that should not: the ledger's files and the daemon's log."""
        wanted = set(secrets)
        found = []
        for path in [*sorted(self.daemon.state.iterdir()), self.daemon.log_path]:
            if path.is_file() and (hits := secrets_in(path.read_bytes(), wanted)):
                kinds = Counter("password" if hit.startswith(PASSWORD_MARK) else "card" for hit in hits)
                found.append(f"{path.name}: " + ", ".join(f"{count} x {kind}" for kind, count in kinds.items()))
        return found

    def _ledger(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.daemon.state / 'ledger.db'}?mode=ro", uri=True, timeout=2)


def secrets_in(content: bytes, secrets: set[str]) -> set[str]:
    """Which of the secrets stand in these bytes: passwords begin with their mark, cards have ten digits."""
    mark = re.escape(PASSWORD_MARK).encode()
    passwords = {
        found[1][:size].decode()
        for found in re.finditer(rb"(?=(" + mark + rb"[0-9A-Za-z]{4,7}))", content)
        for size in (5, 8)
    }
    cards = {found[1].decode() for found in re.finditer(rb"(?=(\d{10}))", content)}
    return (passwords | cards) & secrets
