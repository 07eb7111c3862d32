"""For how long people were kept off a simulated terminal, and whether the contract allows that (section 6).

| what happened meanwhile | people are let in again |
|---|---|
| nothing | `session_budget` and one command after the terminal was disabled |
| no answer, a broken connection, a full disk, a kill | one attempt after the last of it, and the pause before it |

The pause before an attempt is 5 s at first, and never longer than the time that was spent on the attempts before it;
after a start there is none. A terminal that enables itself is never told to stay disabled for longer than a session
and one answer that is late, and the time that its table took to be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torture.simulated.machine import here
from torture.simulated.setting import BUDGET_S, TIMEOUT_S
from zkbridge.bridge.probes import PENDING_FIRST_S, PENDING_MOST_S

#: The longest that a session keeps people off: the command that is under way when its time is used up is the last.
SESSION_S = BUDGET_S + TIMEOUT_S
#: The longest attempt to enable a terminal: the request of another session is waited for, and then two answers.
ATTEMPT_S = SESSION_S + 2 * TIMEOUT_S


class Span(NamedTuple):
    """People were kept off from one moment to another."""

    began: float
    ended: float


class DisabledTimes:
    """When people were kept off one terminal. `disturbed` are the moments at which the bridge met something there."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.disturbed: list[float] = []
        self.wrongs: list[str] = []
        self._since: float | None = None
        self._until = 0.0

    @property
    def is_on(self) -> bool:
        """Whether people are kept off now."""
        return self._since is not None and here().now < self._until

    def begin(self, seconds: float | None) -> None:
        """DISABLE, for so many seconds or until it is enabled."""
        now = here().now
        if not self.is_on:
            self._close(self._until)
            self._since = now
        if seconds is not None and seconds > math.ceil(SESSION_S) + math.ceil(2 * (now - (self._since or now))):
            self.wrongs.append(f"a terminal is disabled for {seconds:.0f} s")
        self._until = math.inf if seconds is None else now + seconds

    def end(self) -> None:
        """ENABLE, or a restart."""
        self._close(min(here().now, self._until))

    def all_spans(self) -> list[Span]:
        """Every time for which people were kept off; one that lasts ends now."""
        self.end()
        return self.spans

    def _close(self, ended: float) -> None:
        if self._since is not None:
            self.spans.append(Span(self._since, ended))
        self._since = None


def judge_disabled(
    name: str, times: DisabledTimes, troubles: Sequence[float], starts: Sequence[float] = ()
) -> Iterator[str]:
    """A sentence for each time that is too long.

    `troubles` are the moments at which the bridge itself met something, `starts` those at which it was started.
    """
    yield from times.wrongs
    for span in times.all_spans():
        over = span.ended - _allowed_until(span, [*times.disturbed, *troubles], starts)
        if over > 0:
            yield (
                f"people were kept off {name} for {span.ended - span.began:.1f} s, "
                f"{over:.1f} s longer than the contract allows"
            )


def _allowed_until(span: Span, troubles: Sequence[float], starts: Sequence[float]) -> float:
    met = [moment for moment in troubles if span.began - TIMEOUT_S <= moment <= span.ended]
    start = max((moment for moment in starts if span.began <= moment <= span.ended), default=None)
    if start is not None and start >= max(met, default=start):
        return start + ATTEMPT_S
    if not met:
        return span.began + SESSION_S
    tried_since = span.began if start is None else start
    return max(met) + min(max(max(met) - tried_since, 0.0) + PENDING_FIRST_S, PENDING_MOST_S) + ATTEMPT_S
