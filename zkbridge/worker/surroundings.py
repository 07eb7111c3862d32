"""What a worker is given: the parts that all workers share, and the hooks by which it reports to the bridge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from zkbridge.commands import HandOver
from zkbridge.contract.bodies import ProgressBody
from zkbridge.contract.errors import TerminalError
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Answer, Request
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.runtime.thread_pool import PacedLock, ThreadPool
from zkbridge.telemetry.events import EventSink, ignore
from zkbridge.worker.places import Places


class WorkerHooks(Protocol):
    """What the bridge does when something happens at a terminal. Called from any thread."""

    def note_answers(self, answers: list[Answer], /) -> None:
        """Replies were kept, and these are to be sent; none where the ledger has something else to write soon."""

    def note_availability(self, device: str, failure: TerminalError | None, /) -> None:
        """The device answers (None), or a conversation with it has failed for good."""

    def note_waiting(self, until: float, /) -> None:
        """A request waits for its terminal until this moment, in seconds since 1970."""

    def tell_waiting(self, request: Request, reply: Reply, /) -> None:
        """A request that belongs to no group waits for its terminal: say so. Raises LedgerUnavailable."""

    def hand_over(self, request: Request, what: HandOver, /) -> None:
        """Keep the requests that take this one's place, and have them done. Raises LedgerUnavailable."""

    def note_dates(self, device: str, at: float | None, /, *, told: bool) -> None:
        """The next date of the device's users is at this moment, in seconds since 1970; `told`: an event was kept."""

    def probe_soon(self, device: str, attempt: int, /) -> None:
        """Call `Worker.probe` after a pause: the terminal may be disabled, or requests wait for it.

        `attempt` is how many conversations in a row have ended so, from 1.
        """

    def publish_progress(self, device: str, command: str, body: ProgressBody, /) -> None:
        """An attended command has reached a step; `body` is the message."""

    def fail(self, error: BaseException, /) -> None:
        """The worker's thread died of an error that no request can be answered with."""


class ReplyRoom(Protocol):
    """How large a reply's body may be: it changes with the broker's limits. For any thread."""

    def current(self) -> int:
        """Return how many bytes it may have now."""


@dataclass(frozen=True)
class Shared:
    """What the workers of all terminals share.

    `failure_gate` is held while the requests of an unreachable terminal are answered: terminals often fail together.
    `events` receives what happens. `reply_room` says how large a reply's body may be; None stands for
    `mqtt.max_reply`. `places` says at which address each terminal is.
    """

    pool: ThreadPool = field(default_factory=ThreadPool)
    failure_gate: PacedLock = field(default_factory=PacedLock)
    events: EventSink = ignore
    reply_room: ReplyRoom | None = None
    clock: Clock = SYSTEM
    places: Places = field(default_factory=Places)
