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
    taken into it. `touched` are the keys of which nothing more may be planned in it, `answered` those of the replies
    that were found by reading, and are not kept yet; `planned` are the requests that must not be done twice and have
    been planned. `began` is on the monotonic clock. `asked` counts the changes that the terminal was asked for.
    `count_before` is how many users it had before the first of them; None as long as nothing was asked.
    """

    disables: bool
    attended: bool = False
    alone: bool = False
    began: float = field(default_factory=time.monotonic)
    asked: int = 0
    touched: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    planned: set[int] = field(default_factory=set)
    written: list[Written] = field(default_factory=list)
    count_before: int | None = None

    def claim(self, key: str | None) -> bool:
        """Whether a change of this key may be made in this session; nothing more of the key is planned in it.

        A reply that was found by reading must be kept first: after a crash it would be found anew, behind the change.
        """
        if key is not None:
            self.touched.add(key)
        return key not in self.answered

    def note_answer(self, key: str | None, *, is_last: bool = False) -> None:
        """A reply of this key was found by reading; `is_last`: nothing more of the key is planned in this session."""
        if key is not None:
            self.answered.add(key)
            if is_last:
                self.touched.add(key)

    @property
    def takes_more(self) -> bool:
        """Whether further requests may be taken into this session."""
        return not self.attended and not self.alone
