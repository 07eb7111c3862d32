"""Whether callers got their answers in time in one run of the simulated world (section 6).

A conversation with a terminal has its deadline, and when it fails, so does everything that waits. So a request is
answered before nothing has gone wrong for as long as one such deadline and two answers that are late: neither with the
bridge, nor with a terminal that the request is for. While the broker has no connection, no answer can come.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from torture.simulated.setting import DEADLINE_S, TIMEOUT_S

if TYPE_CHECKING:
    from torture.simulated.callers import Ask, Told
    from torture.simulated.terminal import Terminal

#: Seconds without a trouble in which a request is answered.
LIMIT_S = DEADLINE_S + 2 * TIMEOUT_S


def judge_times(
    terminals: Mapping[str, Terminal],
    asks: Sequence[Ask],
    replies: dict[int, list[Told]],
    troubles: Sequence[float],
    away: Sequence[tuple[float, float]],
) -> Iterator[str]:
    """A sentence for each answer that came too late.

    `troubles` are the moments at which the bridge met something, `away` the times for which the broker was.
    """
    common = [*troubles, *itertools.chain.from_iterable(away)]
    for ask in asks:
        wish = ask.wish
        answered = min((one.at for one in replies.get(ask.number, []) if one.device == wish.device), default=ask.at)
        own = [at for name in wish.devices for at in (*terminals[name].times.disturbed, *terminals[name].slowed)]
        moments = sorted({ask.at, answered, *(at for at in (*common, *own) if ask.at < at < answered)})
        for since, until in itertools.pairwise(moments):
            if until - since > LIMIT_S and not any(began <= since and until <= ended for began, ended in away):
                yield (
                    f"message {ask.number} ({wish.command} for {wish.device}) had no answer for {until - since:.0f} s "
                    "in which nothing went wrong"
                )
