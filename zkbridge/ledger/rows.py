"""Rows of the ledger's tables as values, and the queries for them."""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import NamedTuple

from zkbridge.contract.groups import Said
from zkbridge.contract.messages import Reply, flagged
from zkbridge.ledger.records import Answer, Draft, Request, State, Waiting

#: Answers that the broker has not confirmed.
UNSENT = (
    "SELECT a.id, a.topic, a.fallback, a.correlation, a.refused, a.replayed, coalesce(a.reply, r.reply) AS body,"
    " coalesce(a.status, r.status) AS status, coalesce(a.code, r.code) AS code, r.language"
    " FROM answers a LEFT JOIN requests r ON r.id = a.request WHERE a.owed = 1"
)

_WITH_SHARES = (
    "SELECT r.id, r.device, r.command, coalesce(r.request_id, g.request_id) AS request_id, r.accepted_at, r.expires_at,"
    " r.state, r.tried, r.suspect_of, r.parent, r.catch_up, r.language, coalesce(a.params, p.params, x'') AS params,"
    " p.subject, p.reply AS meanwhile, {} AS shares"
    " FROM requests r LEFT JOIN asked a ON a.request = r.id LEFT JOIN parked p ON p.request = r.id"
    " LEFT JOIN requests g ON g.id = r.parent"
)
#: Requests with what belongs to them; a part has its group's request_id.
REQUESTS = _WITH_SHARES.format("(SELECT count(*) FROM requests s WHERE s.parent = r.parent)")
_SIZES = (
    "WITH sizes AS MATERIALIZED (SELECT parent, count(*) AS parts FROM requests WHERE parent IS NOT NULL GROUP BY 1)"
)
#: The same for very many of them: the parts of all are counted once.
MANY_REQUESTS = f"{_SIZES} {_WITH_SHARES.format('s.parts')} LEFT JOIN sizes s ON s.parent = r.parent"

#: Of a request `r`: no answer to it is known, and it is to be worked on now; it neither waits for its terminal nor is
#: it only prepared to take another one's place (see `handing_over`).
UNDER_WAY = (
    "r.state IN ('accepted', 'running') AND NOT EXISTS (SELECT 1 FROM requests w"
    " WHERE w.id = r.parent AND w.state IN ('accepted', 'running', 'waiting'))"
)


class Address(NamedTuple):
    """The message behind an answer, and where the answer goes; in the order of `answers` and of `arrivals`."""

    digest: bytes
    connection: int
    mid: int
    topic: str
    fallback: str
    correlation: bytes | None
    refused: bool = False

    @classmethod
    def of(cls, draft: Draft) -> Address:
        """That of a message."""
        return cls(
            draft.digest,
            draft.connection,
            draft.mid,
            draft.topic,
            draft.fallback,
            draft.correlation,
            draft.response_topic_refused,
        )


def request_of(row: sqlite3.Row) -> Request:
    """A row of `REQUESTS`."""
    return Request(
        row["id"],
        row["device"],
        row["command"],
        row["request_id"],
        row["params"],
        row["accepted_at"],
        row["expires_at"],
        State(row["state"]),
        tuple(json.loads(row["tried"])),
        row["suspect_of"],
        row["parent"],
        row["shares"] or 1,
        bool(row["catch_up"]),
        row["language"],
    )


def waiting_of(row: sqlite3.Row) -> Waiting:
    """A row of `REQUESTS` whose request waits for its terminal, without what is asked."""
    said = json.loads(row["meanwhile"])
    reply = Reply(said["status"], said["code"], row["meanwhile"])
    return Waiting(request_of(row)._replace(params=b""), row["subject"], reply)


def said_of(row: sqlite3.Row) -> Said:
    """The part's entry in the whole reply: its own reply, or why it waits."""
    if row["ended"]:
        body = flagged(row["reply"], replayed=bool(row["replayed"]))
        return Said(row["device"], Reply(row["status"], row["code"], body), row["user_id"])
    body = json.loads(row["reply"])
    return Said(row["device"], Reply(body["status"], body["code"], row["reply"]), row["user_id"])


def answer_of(row: sqlite3.Row) -> Answer:
    """A row of `UNSENT`."""
    body = flagged(row["body"], replayed=bool(row["replayed"]), response_topic_refused=bool(row["refused"]))
    return Answer(
        row["id"], row["topic"], row["fallback"], body, row["status"], row["code"], row["correlation"], row["language"]
    )


def parent_of(db: sqlite3.Connection, request: int) -> int | None:
    """The group's request that this one is a part of, if it is."""
    row = db.execute("SELECT parent FROM requests WHERE id = ?", (request,)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def user_of(db: sqlite3.Connection, request: int) -> str | None:
    """The user_id of the row of a list that this request is, or of what was handed over; None where it is neither."""
    row = db.execute("SELECT user_id FROM requests WHERE id = ?", (request,)).fetchone()
    return None if row is None else row[0]


def log_answer(log: logging.Logger, request: Request, reply: Reply, *, seconds: float | None = None) -> None:
    """One line for each request that was answered; `seconds` after it was kept, if that is of use."""
    took = "" if seconds is None else f" seconds={seconds:.2f}"
    log.log(
        logging.INFO if reply.success else logging.WARNING,
        "answered request=%d device=%s command=%s request_id=%s status=%d code=%s%s",
        request.id,
        request.device,
        request.command,
        request.request_id,
        reply.status,
        reply.code,
        took,
    )
