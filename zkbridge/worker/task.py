"""A request in hand: what is known of it from the moment it is taken until its reply is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zkbridge.commands import Command, HandOver, Params
from zkbridge.commands.api.dates import UserDates
from zkbridge.commands.api.presence import AttendedInteraction
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Request


@dataclass(eq=False)
class Task:
    """A request in hand.

    `asked`: the terminal may have been asked for its change, by this run or an earlier one; `tried` holds what those
    attempts meant to write. `arrived` is on the monotonic clock; None for a request of an earlier run.
    `reply` is set once it is known; `replayed`: it is the stored reply of an earlier request. `parked` is what a group
    is answered while the request waits for its terminal. `handing_over` is what other requests are to do in its place,
    `handed_over` whether the ledger has them. `hit_by_fault`: a fault of the bridge has hit it after it was
    asked. `dates`: what the request makes of its user's dates. `begun`: the terminal may be asked from now on, so a
    cancellation must ask the terminal too. `closed`: its reply is being kept, and nothing can cancel it any more. The
    lock of the RequestQueue guards `begun` and `closed`.
    """

    request: Request
    command: Command
    params: Params
    asked: bool = False
    tried: tuple[Any, ...] = ()
    arrived: float | None = None
    reply: Reply | None = None
    replayed: bool = False
    parked: Reply | None = None
    handing_over: HandOver | None = None
    handed_over: bool = False
    hit_by_fault: bool = False
    dates: UserDates = field(default_factory=UserDates)
    presence: AttendedInteraction = field(default_factory=AttendedInteraction)
    begun: bool = False
    closed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done here."""
        return self.reply is None and self.handing_over is None

    @property
    def is_unsettled(self) -> bool:
        """Whether it was asked for, its result is unknown, and the user table can show it."""
        return self.asked and self.reply is None and self.command.disables
