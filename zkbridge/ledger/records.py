"""What the ledger keeps and gives back, as values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from zkbridge.contract.groups import Said
from zkbridge.contract.messages import Reply
from zkbridge.contract.texts import Language
from zkbridge.contract.validity import Validity

#: The kinds of events that wait for the broker.
PUNCH, USER_EVENT = "attendance/event", "users/event"


#: A part's device, and the user_id of a row.
PartKey = tuple[str, str | None]


class State(enum.StrEnum):
    """How far a request got."""

    ACCEPTED = "accepted"  #: kept; the terminal has not been asked to change anything
    RUNNING = "running"  #: the terminal may have been asked to change something
    DONE = "done"  #: answered; the reply is kept
    SENT = "sent"  #: the broker has the reply
    SPLIT = "split"  #: a group's: its members' requests are under way
    WAITING = "waiting"  #: a member's: its terminal is away, and shall be caught up when it is back


class Combine(Protocol):
    """Makes a group's reply from its members', as `zkbridge.contract.plans.combined` does."""

    def __call__(
        self, group: str | None, said: list[Said], *, request_id: str | None, command: str, language: Language | None
    ) -> Reply:
        """The group's reply; `said` is in the group's order. `group` is None for a request that was handed over.

        Without a `language` it is the configured one.
        """


class Part(NamedTuple):
    """What a group's request asks of one member, or a list for one of its rows, or one that is handed over of a target.

    `topic` is for an answer that comes later than the group's; `reply` that of a member that is not to be asked.
    A row has a `command` and `params` of its own, and the `user_id` that it names, "" where it cannot be read.
    """

    device: str
    topic: str
    reply: Reply | None = None
    command: str | None = None
    params: bytes = b""
    user_id: str | None = None

    @property
    def key(self) -> PartKey:
        """What distinguishes it from the other parts that are to be asked."""
        return self.device, self.user_id

    def __repr__(self) -> str:
        return f"<Part for {self.device}>"  # what is asked may be secret


class Draft(NamedTuple):
    """One message as intake understood it: a request to keep, or (with `reply`) an answer to keep."""

    digest: bytes
    topic: str
    fallback: str
    connection: int = 0
    mid: int = 0
    dup: bool = False
    redeliverable: bool = False  #: came at QoS 1, so that the broker may bring it again
    settled: bool = True  #: came when nothing could be left of what the broker brings again on a new connection
    retained: bool = False
    correlation: bytes | None = None
    response_topic_refused: bool = False
    reply: Reply | None = None
    device: str = ""
    command: str = ""
    request_id: str | None = None
    content: bytes = b""
    params: bytes = b""
    expires_at: float | None = None
    parts: tuple[Part, ...] = ()  #: of a group's request, in the group's order; of a list, its rows for each device
    catch_up: bool = False
    language: Language | None = None  #: in which the answer is to be; None: the configured one

    def __repr__(self) -> str:
        return f"<Draft of {self.command} for {self.device}>"  # what is asked may be secret


class Request(NamedTuple):
    """One request on its way to a terminal. `tried` holds what earlier attempts meant to write.

    `language` is that in which it is to be answered, None for the configured one.
    One that is a part of a group's has a `parent`, and shares its reply with `shares` members, itself included.
    """

    id: int
    device: str
    command: str
    request_id: str | None
    params: bytes
    accepted_at: float
    expires_at: float | None = None
    state: State = State.ACCEPTED
    tried: tuple[Any, ...] = ()
    suspect_of: int | None = None
    parent: int | None = None
    shares: int = 1
    catch_up: bool = False
    language: Language | None = None

    def __repr__(self) -> str:
        return f"<Request {self.id}: {self.command} for {self.device}, {self.state}>"  # what is asked may be secret


class Waiting(NamedTuple):
    """A member's request that waits for its terminal; `subject` is what it touches there (see `Params.key`).

    `reply` is what is said of it meanwhile.
    """

    request: Request
    subject: str
    reply: Reply


class Parked(NamedTuple):
    """A member's request that is to wait; `reply` is what the group's reply says of it meanwhile."""

    request: int
    subject: str
    reply: Reply


class Answer(NamedTuple):
    """One reply that is owed to one topic."""

    id: int
    topic: str
    fallback: str
    body: bytes
    status: int
    code: str
    correlation: bytes | None = None
    language: Language | None = None


class Verdict(enum.Enum):
    """What became of a draft."""

    NEW = "new"  #: kept, to be worked on
    ANSWERED = "answered"  #: its answer is kept and owed
    UNDER_WAY = "under way"  #: a copy of a request that is being worked on; it will be answered with it
    KNOWN = "known"  #: a redelivery of a message that is kept already, or a retained one seen before


class Kept(NamedTuple):
    """A draft's verdict, with the request if it is new, and the requests of its members if it is a group's."""

    verdict: Verdict
    request: Request | None = None
    parts: tuple[Request, ...] = ()
    reply: Reply | None = None
    request_id: str | None = None
    replayed: bool = False  #: the reply is the stored one of an earlier request


class Finish(NamedTuple):
    """A request's end. `replayed` marks the stored reply of an earlier request being given again."""

    request: Request
    reply: Reply
    replayed: bool = False


class Trace(NamedTuple):
    """What is kept of a published punch: digests of its time and of all of it, and which of equal ones it is."""

    moment: bytes
    key: bytes
    ordinal: int


@dataclass(frozen=True)
class Place:
    """How far the log of a terminal was published: its serial number, its count of punches, the last ones' traces."""

    serial: str
    count: int
    traces: tuple[Trace, ...] = ()


class UnsentPunch(NamedTuple):
    """One punch that is owed to the broker, or another event of its terminal: `kind` ends its topic."""

    id: int
    device: str
    body: bytes
    kind: str = PUNCH


class ValidityChange(NamedTuple):
    """What is kept from now on of the dates of a user of a device; without any, nothing is."""

    device: str
    user_id: str
    validity: Validity


class Ended(NamedTuple):
    """A request that was answered together with another one, and its reply."""

    request: Request
    reply: Reply


class Finished(NamedTuple):
    """The groups' requests that were answered together with their parts, and every answer that is owed now.

    The answers are the caller's to send: `UnsentReplies.unsent` leaves them out until `release` has them back.
    """

    groups: list[Ended]
    answers: list[Answer]
