"""Events of the daemon's parts, as values for listeners; the part that reports one waits for no listener."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """A request has its answer, on disk; `seconds` since it was kept, None for one that was answered at once.

    `device` is as the caller has sent it; it may not exist. `again` marks the stored answer of an earlier request.
    """

    device: str
    command: str
    code: str
    seconds: float | None = None
    again: bool = False


class Known(NamedTuple):
    """A message that was kept already has come again, or another copy of a request that is being worked on."""

    device: str
    command: str


class Failed(NamedTuple):
    """A connection to a terminal broke; `final` if the waiting requests are not tried again."""

    device: str
    code: str
    final: bool


class SessionEnded(NamedTuple):
    """A session with a terminal is over after so many seconds; for `disabled_s` of them people were kept off it.

    A terminal that has not confirmed to be enabled again counts with all the time after which it enables itself.
    """

    device: str
    seconds: float
    disabled_s: float | None


class Counted(NamedTuple):
    """A terminal was asked how many users it holds and how many more fit; None is what it would not say."""

    device: str
    users: int | None
    capacity: int | None
    free: int | None


class Identified(NamedTuple):
    """A terminal was asked what it is; "" is what it would not say."""

    device: str
    serial_number: str
    name: str
    firmware: str


class ClockRead(NamedTuple):
    """A terminal's clock was read: so many seconds ahead of the bridge's, negative where it is behind."""

    device: str
    drift_s: float


class DoorAsked(NamedTuple):
    """A terminal is about to be asked to open its door."""

    device: str


class DoorAnswered(NamedTuple):
    """What became of a request to open a door for so many seconds: opened, not opened, or None: not known."""

    device: str
    seconds: int
    opened: bool | None


class Created(NamedTuple):
    """A terminal holds a new user."""

    device: str
    user_id: str


class Trouble(NamedTuple):
    """A request failed without a fault of its caller, or, with `probe`, a scheduled probe failed.

    `error` is the sentence of the answer.
    """

    device: str
    code: str
    error: str
    probe: bool = False


Event = (
    Answered
    | Known
    | Failed
    | SessionEnded
    | Counted
    | Identified
    | ClockRead
    | DoorAsked
    | DoorAnswered
    | Created
    | Trouble
)
EventSink = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Do nothing with the event."""


def broadcast(listeners: Iterable[EventSink]) -> EventSink:
    """Return a sink that hands each event to all listeners. What fails in a listener is only logged."""
    listeners = tuple(listeners)
    if not listeners:
        return ignore

    def hand_out(event: Event) -> None:
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # a listener must not break the part that reports
                log.exception("a listener failed at %s", type(event).__name__)

    return hand_out
