"""What one session with a terminal has done so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from zkbridge.commands import Change
from zkbridge.contract.bodies import Body
from zkbridge.worker.task import Task


class Written(NamedTuple):
    """A change that the terminal has confirmed; `body` is the reply's, if the change is found to be kept."""

    task: Task
    change: Change
    body: Body


@dataclass
class SessionState:
    """What one session has done: the keys that it changed, and the changes whose replies wait for its end.

    `disables`: the terminal is disabled meanwhile. `attended`: a person takes part. `alone`: no further request is
    taken into it. `began` is on the monotonic clock. `asked` counts the changes that the terminal was asked for.
    `count_before` is how many users it had before the first of them; None as long as nothing was asked.
    """

    disables: bool
    attended: bool = False
    alone: bool = False
    began: float = field(default_factory=time.monotonic)
    asked: int = 0
    touched: set[str] = field(default_factory=set)
    written: list[Written] = field(default_factory=list)
    count_before: int | None = None

    @property
    def takes_more(self) -> bool:
        """Whether further requests may be taken into this session."""
        return not self.attended and not self.alone
