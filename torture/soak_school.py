"""The people of a school: when its bell rings they punch, most of them at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

from torture.punch_oracle import Record
from zkbridge.simulator import SimulatedTerminal

#: When the bell rings on a school day, and the share of the people who punch then.
BELLS = {8 * 60: 1.0, 11 * 60: 0.1, 14 * 60: 1.0, 16 * 60: 0.1}
SATURDAY = 5
#: Punches that all terminals together take in a second: a rush takes its time.
A_SECOND = 60.0


class School:
    """So many people, each with a terminal to pass. `step` has those punch whose bell has rung."""

    def __init__(self, terminals: Mapping[str, SimulatedTerminal], people: int, random: Random) -> None:
        self.recorded: dict[str, list[Record]] = {name: [] for name in terminals}
        self._terminals = terminals
        self._random = random
        users = {name: [view.user_id for view in terminal.users()] for name, terminal in terminals.items()}
        names: Sequence[str] = list(terminals)
        self._people = [
            (name, random.choice(users[name])) for name in (names[each % len(names)] for each in range(people))
        ]
        self._rung: datetime | None = None
        self._waiting: deque[tuple[str, str, datetime]] = deque()
        self._last = time.monotonic()

    def step(self, now: datetime) -> None:
        """It is `now` on the school's walls."""
        self._ring(now)
        passed = time.monotonic() - self._last
        for _ in range(min(int(passed * A_SECOND), len(self._waiting))):
            self._punch(*self._waiting.popleft())
        if passed * A_SECOND >= 1:
            self._last = time.monotonic()

    @property
    def punches(self) -> int:
        """How many the terminals have recorded."""
        return sum(map(len, self.recorded.values()))

    def _ring(self, now: datetime) -> None:
        """Whoever goes by a bell since the last look comes within the ten minutes before it."""
        before, self._rung = self._rung or now, now
        day = before.replace(hour=0, minute=0, second=0)
        while day <= now:
            for minutes, share in BELLS.items():
                if before < (bell := day + timedelta(minutes=minutes)) <= now and day.weekday() < SATURDAY:
                    self._come(bell, share)
            day += timedelta(days=1)

    def _come(self, bell: datetime, share: float) -> None:
        coming = [each for each in self._people if self._random.random() < share]
        moments = sorted(self._random.uniform(-600, 0) for _ in coming)
        self._random.shuffle(coming)
        for (name, user_id), seconds in zip(coming, moments, strict=True):
            self._waiting.append((name, user_id, bell + timedelta(seconds=int(seconds))))

    def _punch(self, name: str, user_id: str, when: datetime) -> None:
        verify, state = self._random.choice([1, 1, 1, 15]), self._random.choice([0, 1])
        if self._terminals[name].punch(user_id, verify=verify, state=state, when=when):
            self.recorded[name].append((user_id, when.isoformat(), verify, state))
