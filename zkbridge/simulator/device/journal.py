"""What went over the wire, frame by frame, without its contents."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkbridge.simulator.wire.codes import command_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkbridge.simulator.wire.frames import Frame

_REMEMBERED = 2000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One frame: `direction` is `in` (from the client) or `out`, `length` its data bytes, `time` monotonic."""

    direction: str
    command: int
    session: int
    reply_id: int
    length: int
    time: float
    connection: int

    def __str__(self) -> str:
        arrow = "<" if self.direction == "in" else ">"
        return f"#{self.connection} {arrow} {command_name(self.command)} {self.length} bytes"


class Journal:
    """The last frames, and exact counts of the requests."""

    def __init__(self) -> None:
        self.frames: deque[Exchange] = deque(maxlen=_REMEMBERED)
        self.counts: Counter[int] = Counter()
        self.on_frame: Callable[[Exchange], None] | None = None

    def note(self, direction: str, frame: Frame, connection: int) -> None:
        """Remember a frame."""
        exchange = Exchange(
            direction,
            frame.command,
            frame.session,
            frame.reply_id,
            len(frame.data),
            time.monotonic(),
            connection,
        )
        self.frames.append(exchange)
        if direction == "in":
            self.counts[frame.command] += 1
        if self.on_frame is not None:
            self.on_frame(exchange)
