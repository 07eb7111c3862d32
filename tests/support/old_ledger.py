"""The state folder of an earlier zkbridge, with requests at every point of their way."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.schema import MIGRATIONS

#: The first version that keeps what is asked in a table of its own.
ASKED = 3
REPLY = "zk/p/users/create/reply"
PUNCH = {"user_id": "1", "timestamp": "2030-01-31T08:00:00", "id": "p/1"}


def wanted(user_id: str) -> dict[str, Any]:
    return {"user_id": user_id, "name": f"User {user_id}", "password": "", "privilege": 0, "card": 0}


def stored(user_id: str) -> bytes:
    return json.dumps(wanted(user_id), separators=(",", ":")).encode()


class OldLedger:
    """A ledger as the program of a version has left it."""

    def __init__(self, folder: Path, version: int) -> None:
        folder.mkdir(parents=True)
        with closing(Ledger(folder)) as current:  # makes the key, by which what is asked is known again
            self.content = {user_id: current.digest(stored(user_id)) for user_id in "1234"}
        for each in folder.glob("ledger.db*"):
            each.unlink()
        self.version = version
        self.db = sqlite3.connect(folder / "ledger.db")
        self.db.executescript(f"{';'.join(MIGRATIONS[:version])}; PRAGMA user_version = {version};")

    def request(self, number: int, state: str, *, tried: str = "[]") -> None:
        """The request to create the user of that number; one that is done has its reply, which is sent or not."""
        user_id, now = str(number), time.time()
        ended = state in ("done", "sent")
        data = {"user_id": user_id, "name": f"User {user_id}", "device_id": "p"}
        body = {"success": True, "message": "Usuario registrado.", "data": data, "status": 200, "code": "created"}
        reply = json.dumps(body | {"request_id": f"r-{number}"}, separators=(",", ":")).encode() if ended else None
        row = {
            "id": number,
            "device": "p",
            "command": "users/create",
            "request_id": f"r-{number}",
            "content": self.content[user_id],
            "state": state,
            "tried": tried,
            "accepted_at": now,
            "status": 200 if ended else None,
            "code": "created" if ended else None,
            "reply": reply,
            "done_at": now if ended else None,
        }  # fmt: skip - a row
        if self.version < ASKED and not ended:
            row["params"] = stored(user_id)
        self._insert("requests", row)
        if self.version >= ASKED and not ended:
            self._insert("asked", {"request": number, "params": stored(user_id)})
        answer = {
            "request": number,
            "digest": b"%d" % number,
            "connection": 1,
            "mid": number,
            "topic": REPLY,
            "fallback": REPLY,
            "refused": 0,
            "made_at": now,
            "owed": int(state == "done"),
            "sent_at": now if state == "sent" else None,
        }  # fmt: skip - as above
        self._insert("answers", answer)

    def punch(self) -> None:
        """A punch that the broker has not confirmed."""
        self._insert("punches", {"device": "p", "body": json.dumps(PUNCH).encode()})

    def pending_enable(self) -> None:
        """The terminal may still be disabled."""
        self._insert("debts", {"device": "p", "since": time.time()})

    def close(self) -> None:
        self.db.commit()
        self.db.close()

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        places = ", ".join("?" * len(row))
        self.db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))
