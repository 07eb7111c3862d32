"""The parts of the reference: a request and an answer as plain values, and a group's reply that is easy to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zkbridge.contract.groups import Said
from zkbridge.contract.messages import Reply, encode
from zkbridge.contract.texts import Language
from zkbridge.ledger.records import Parked, State

#: The command whose answers are forgotten once they are confirmed.
READING = "users/list"
FORGOTTEN = b""


@dataclass
class Asked:
    """One request, a group's as a whole, or a part of one."""

    id: int
    device: str
    command: str
    request_id: str | None
    content: bytes | None
    params: bytes
    accepted_at: float
    expires_at: float | None
    catch_up: bool
    language: Language | None = None
    suspect_of: int | None = None
    state: State = State.ACCEPTED
    tried: list[Any] = field(default_factory=list)
    reply: Reply | None = None
    done_at: float = 0.0
    parent: int | None = None
    parts: list[int] = field(default_factory=list)  #: of a group's, in the group's order
    waits: Parked | None = None
    name: str | None = None  #: the request_id that it came with, also once another request has it

    @property
    def is_open(self) -> bool:
        """Whether it failed so that a caller may have it carried out anew."""
        if self.reply is None or self.reply.body == FORGOTTEN:
            return False
        effect = self.reply.open_effect
        return effect == "none" or (effect == "unknown" and self.tried != [])


@dataclass
class Owed:
    """The answer to one message; `request` is None where none was needed."""

    topic: str
    fallback: str
    request: int | None = None
    digest: bytes = b""
    mid: int = 0
    connection: int = 0
    correlation: bytes | None = None
    reply: Reply | None = None
    replayed: bool = False
    owed: bool = False
    sent: bool = False


def together(
    group: str | None, said: list[Said], *, request_id: str | None, command: str, language: Language | None
) -> Reply:
    """A group's reply that shows each part's code and flag, and nothing else."""
    rows = [[each.device, each.reply.code, b'"replayed":true' in each.reply.body] for each in said]
    asked = {"request_id": request_id, "command": command, "language": language}
    return Reply(207, "parts", encode({"group": group, "parts": rows, **asked}))
