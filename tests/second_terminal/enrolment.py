"""Enrolment of a finger, event by event, each sent when the one before is acknowledged (facts: 3.10)."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from tests.second_terminal.frames import Packet
from tests.second_terminal.memory import Memory, Template
from tests.second_terminal.session import EVENT, Session

EF_FINGER, EF_ENROLLFINGER, EF_FPFTR = 2, 8, 256
GOOD = b"\x64"
FAILED, DUPLICATE, TIMED_OUT = 4, 5, 6
TEMPLATE_BYTES = 1243  # as captured for uid 14 of a Z40


class Person(Enum):
    """What the person at the reader does."""

    SHOWS_A_FINGER = "good"
    SHOWS_A_KNOWN_FINGER = "duplicate"
    SHOWS_IT_BADLY = "bad"
    IS_AWAY = "timeout"


RESULTS = {Person.SHOWS_IT_BADLY: FAILED, Person.SHOWS_A_KNOWN_FINGER: DUPLICATE, Person.IS_AWAY: TIMED_OUT}


@dataclass
class Enrolment:
    """One enrolment under way; `wake` sends the next event."""

    session: Session
    memory: Memory
    user_id: str
    uid: int
    finger: int
    flag: int
    person: Person
    waiting: deque[tuple[int, bytes]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        # A bad sample ends an enrolment (zk-protocol other.md).
        scores = {Person.IS_AWAY: [], Person.SHOWS_IT_BADLY: [b"\0"]}.get(self.person, [GOOD] * 3)
        for score in scores:
            self.waiting.append((EF_FINGER, b""))
            self.waiting.append((EF_FPFTR, score))
        self.waiting.append((EF_ENROLLFINGER, b""))

    def wake(self) -> bool:
        """Send the next event; False when none is left."""
        if not self.waiting:
            return False
        code, data = self.waiting.popleft()
        if code == EF_ENROLLFINGER:
            data = self.finish()
        self.session.send(Packet(EVENT, code, 0, data))
        return True

    def finish(self) -> bytes:
        """Keep the template if all went well; the result with what belongs to it."""
        if self.person in RESULTS:
            return struct.pack("<H", RESULTS[self.person])
        content = b"M\xfdSS21" + Random(self.uid * 10 + self.finger).randbytes(TEMPLATE_BYTES - 6)
        self.memory.templates[self.uid, self.finger] = Template(self.flag or 1, content)
        return struct.pack("<HH9sB", 0, len(content), self.user_id.encode(), self.finger)
