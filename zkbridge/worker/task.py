"""A request in hand: what is known of it between its being kept and its being answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zkbridge.commands import Command, Params
from zkbridge.commands.presence import Presence
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Request


@dataclass(eq=False)
class Task:
    """A request in hand: what earlier attempts did for it, and its answer once that is known.

    `arrived` is on the monotonic clock; None for one that an earlier run has left. `begun`: the terminal may have
    been asked, now or by an earlier run. `closed`: its answer is on its way to the disk, nothing can end it any more.
    """

    request: Request
    command: Command
    params: Params
    asked: bool = False
    tried: tuple[Any, ...] = ()
    arrived: float | None = None
    reply: Reply | None = None
    replayed: bool = False
    parked: Reply | None = None  # what is said of it while it waits for the terminal to come back
    blamed: bool = False  # whether a fault of the bridge's own has hit it after it was asked
    presence: Presence = field(default_factory=Presence)
    begun: bool = False
    closed: bool = False
