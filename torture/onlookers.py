"""Who is at a terminal: somebody at its keypad, and somebody who sees when it is disabled."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from torture.history import Held, User
from zkbridge.simulator import SimulatedTerminal

FIRST_KEYPAD_ID = 9_000_000


class Person:
    """Somebody at one terminal's keypad, who can do nothing while it is disabled."""

    def __init__(self, terminal: SimulatedTerminal, seed: int) -> None:
        self.acts = 0
        self._terminal = terminal
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._own = {view.user_id: held(view) for view in terminal.users()}
        self._mine: list[str] = []
        self._next = FIRST_KEYPAD_ID

    @property
    def own(self) -> list[Held]:
        """The users who are there without MQTT, and must stay as they are."""
        with self._lock:
            return list(self._own.values())

    def act(self) -> None:
        """Add a user, or delete one that was added here before."""
        with self._lock, self._terminal.keypad() as usable:
            if not usable:
                return
            self.acts += 1
            if self._mine and self._random.random() < 0.3:
                user_id = self._mine.pop(self._random.randrange(len(self._mine)))
                self._terminal.delete_user(user_id)
                del self._own[user_id]
                return
            self._next += 1
            view = self._terminal.add_user(str(self._next), "Teclado", password="77", card=self._next)
            self._own[view.user_id] = held(view)
            self._mine.append(view.user_id)


@dataclass
class Curfews:
    """When a terminal was disabled, as seen from outside."""

    terminal: SimulatedTerminal
    spans: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def look(self) -> None:
        """Note whether it is disabled now."""
        with self._lock:
            now, disabled = time.time(), self.terminal.disabled
            if disabled and self.since is None:
                self.since = now
            elif not disabled and self.since is not None:
                self.spans.append((self.since, now))
                self.since = None


def held(view: Any) -> Held:
    """A user of the simulator's table, as the oracle compares it."""
    user = User(view.user_id, view.name, view.password, view.privilege, view.card)
    return Held(user, view.uid, view.group)
