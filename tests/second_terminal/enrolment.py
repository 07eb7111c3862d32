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
DUPLICATE, TIMED_OUT = 5, 6
TEMPLATE_BYTES = 1243  # as captured for uid 14 of a Z40


class Person(Enum):
    """What the person at the reader does."""

    SHOWS_A_FINGER = "good"
    SHOWS_A_KNOWN_FINGER = "duplicate"
    SHOWS_IT_BADLY_ONCE = "bad once"
    IS_AWAY = "away"


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
        scores = {Person.IS_AWAY: [], Person.SHOWS_IT_BADLY_ONCE: [b"\0", GOOD, GOOD, GOOD]}.get(
            self.person, [GOOD] * 3
        )
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
        if self.person is Person.IS_AWAY:
            return struct.pack("<H", TIMED_OUT)
        if self.person is Person.SHOWS_A_KNOWN_FINGER:
            return struct.pack("<H", DUPLICATE)
        content = b"M\xfdSS21" + Random(self.uid * 10 + self.finger).randbytes(TEMPLATE_BYTES - 6)
        self.memory.templates[self.uid, self.finger] = Template(self.flag or 1, content)
        return struct.pack("<HH9sB", 0, len(content), self.user_id.encode(), self.finger)
