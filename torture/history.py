"""What happened: everything that was asked, heard and done, as the oracle reads it.

All times are seconds since the epoch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a caller is after."""

    UNIQUE = "unique"  #: a user nobody else asks for
    COPIES = "copies"  #: the same, asked several times under one request_id
    CONFLICT = "conflict"  #: a user_id that another wish asks for with other fields
    REUSED = "reused"  #: a request_id that another wish uses with other content
    SOON = "soon"  #: good for a moment only: done in time, or answered `expired`
    INVALID = "invalid"
    EXPIRED = "expired"
    UNKNOWN = "unknown device"
    RETAINED = "retained"


#: Wishes that must end with their user on the terminal, unless another wish of their rivals won.
GOOD = frozenset({Kind.UNIQUE, Kind.COPIES, Kind.CONFLICT, Kind.REUSED})


@dataclass(frozen=True)
class User:
    """The fields of a user that a caller chooses."""

    user_id: str
    name: str
    password: str = ""
    privilege: int = 0
    card: int = 0


@dataclass(frozen=True)
class Held:
    """A user that a terminal holds."""

    user: User
    uid: int
    group: int = 1


@dataclass(frozen=True)
class Ask:
    """One message to the bridge; `confirmed_at` is the broker's PUBACK (None: it was late, or is not known).

    `resent` says that the connection broke before the broker's PUBACK: the client's library sent it again, and the
    broker may pass on both. `again` marks a message that was sent because no answer had come, `repeats` one that was
    sent when nothing went wrong any more, because the last answer was a failure to be settled by asking again.
    """

    at: float
    caller: str
    correlation: bytes | None = None
    confirmed_at: float | None = None
    resent: bool = False
    again: bool = False
    repeats: bool = False


@dataclass(frozen=True)
class Answer:
    """One reply as a caller heard it."""

    at: float
    topic: str
    raw: bytes
    correlation: bytes | None = None
    caller: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The reply as an object."""
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def code(self) -> str:
        """What the reply says."""
        return str(self.body["code"])

    @property
    def status(self) -> int:
        """The status that the reply has."""
        return int(self.body["status"])

    @property
    def is_open(self) -> bool:
        """Whether the same request, sent again, is to be carried out again, or to be settled."""
        body = self.body
        return self.status >= 500 and bool(body.get("retryable", body.get("effect") == "unknown"))

    @property
    def plain(self) -> dict[str, Any]:
        """Without the flags that belong to one delivery of it."""
        flags = ("replayed", "response_topic_refused")
        return {name: value for name, value in self.body.items() if name not in flags}

    @property
    def stored(self) -> bytes:
        """The bytes of the reply without its `replayed`."""
        return self.raw.replace(b',"replayed":true', b"")


@dataclass
class Inquiry:
    """All messages that mean the same to the bridge: of one request_id, or without one of the same bytes."""

    request_id: str | None
    asks: list[Ask] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Wish:
    """What one caller wants, and all it did to get it. `rivals` are the wishes of which exactly one can win."""

    number: int
    kind: Kind
    device: str
    user: User
    expected: frozenset[str]
    rivals: tuple[int, ...] = ()
    inquiries: list[Inquiry] = field(default_factory=list)
    #: Whether its user was on the terminal when everything was quiet, before anything was asked again.
    there_when_quiet: bool | None = None

    @property
    def answers(self) -> list[Answer]:
        """Every answer to every inquiry."""
        return [answer for inquiry in self.inquiries for answer in inquiry.answers]

    @property
    def codes(self) -> set[str]:
        """What the answers say."""
        return {answer.code for answer in self.answers}

    @property
    def began(self) -> float:
        """When it was first asked, in seconds of the clock; 0 if never."""
        return min((ask.at for inquiry in self.inquiries for ask in inquiry.asks), default=0.0)


@dataclass(frozen=True)
class Span:
    """A time in which a terminal was disabled without a break.

    `lives` is how many runs of the daemon, and of the bridge's threads in it, had a hand in it: one more than the
    kills, stops and pauses of the daemon that fall into it.
    """

    began: float
    seconds: float
    lives: int = 1


@dataclass
class TerminalEnd:
    """What a terminal is and holds at the end. `own` are the users that were not asked for over MQTT."""

    held: list[Held]
    own: list[Held]
    disabled: bool = False
    sessions_open: int = 0
    spans: list[Span] = field(default_factory=list)
    longest_allowed_s: float | None = None


@dataclass(frozen=True)
class Delivery:
    """One answer as the ledger has it: when its message was kept, and when the broker confirmed the answer.

    One that needed no request (invalid, expired, busy) has only its correlation data to be known by.
    """

    device: str | None
    request_id: str | None
    correlation: bytes | None
    kept_at: float
    sent_at: float | None


@dataclass
class LedgerEnd:
    """What is on disk after the daemon's end."""

    unfinished: list[str] = field(default_factory=list)
    owed: int = 0
    pending_enables: list[str] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    #: Secrets that were found, as `where: what`, never the secret itself.
    secrets: list[str] = field(default_factory=list)


@dataclass
class History:
    """One run of the torture."""

    wishes: list[Wish] = field(default_factory=list)
    terminals: dict[str, TerminalEnd] = field(default_factory=dict)
    ledger: LedgerEnd = field(default_factory=LedgerEnd)
    #: Spans of time in which what the broker had confirmed may have been lost: it was killed at their end.
    broker_losses: list[tuple[float, float]] = field(default_factory=list)
    #: Replies to requests without a request_id or correlation, which name no user: by device.
    anonymous: dict[str, list[Answer]] = field(default_factory=dict)
    #: Replies that fit no request.
    strays: list[Answer] = field(default_factory=list)
    #: The daemon's ends that nobody caused, as sentences.
    collapses: list[str] = field(default_factory=list)
