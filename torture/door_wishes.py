"""What people ask of doors: drawn from a seed, so that each opening tells whose request it was."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from torture.door_callers import key_of
from torture.door_oracle import Request

#: What a request says, so that an opening tells whose it is: each once at each door. An empty request opens for three.
SECONDS = tuple(seconds for seconds in range(1, 61) if seconds != 3)


class Wish(NamedTuple):
    """A request, by what it is known; its payload, and the Response Topic if it has one."""

    key: str
    request: Request
    body: dict[str, Any]
    reply_to: str | None


class Wishes:
    """Draws requests for these doors; `numbered`: they may have Correlation Data and a Response Topic (MQTT 5)."""

    def __init__(self, random: Random, doors: Sequence[str], *, numbered: bool) -> None:
        self._random = random
        self._numbered = numbered
        #: What each door has not been asked for yet.
        self._left = {name: random.sample(SECONDS, len(SECONDS)) for name in doors}

    def draw(self) -> Wish:
        """Somebody wants a door open."""
        random, five = self._random, self._numbered
        name = random.choice([name for name, left in self._left.items() if left])
        seconds = self._left[name].pop()
        # Over MQTT 3.1.1 nothing but its request_id tells whose answer it is.
        key, named = key_of(name, seconds), random.random() < 0.8 or not five
        until = time.time() + random.choice([0.5, 2, 8, 20]) if random.random() < 0.2 else None
        request = Request(
            name,
            seconds,
            key if named else None,
            numbered=five and (not named or random.random() < 0.5),
            expires_at=until,
        )
        body: dict[str, Any] = {"seconds": seconds}
        if named:
            body["request_id"] = key
        if until is not None:
            body["expires_at"] = datetime.fromtimestamp(until, UTC).isoformat()
        return Wish(key, request, body, f"zk/replies/{key}" if five and random.random() < 0.5 else None)
