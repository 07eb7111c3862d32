"""Whether users were let in and kept out by their dates in one run of the simulated world (section 12).

- A change of a user's permission fits the dates as they are at that moment.
- It was made at the moment, or at the next contact after what went wrong.
- None was carried out while the machine's clock was not synchronised.
- Every event names a moment that a request asked for, and did not come before it.

A user of whom an answer left open what became of the request is left out: the dates are open too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from torture.simulated.disabled import ATTEMPT_S, SESSION_S
from torture.simulated.machine import DATE, STARTED_AT
from zkbridge.bridge.dates import LOOK_S
from zkbridge.bridge.probes import PENDING_FIRST_S, PENDING_MOST_S

if TYPE_CHECKING:
    from torture.simulated.broker import Heard
    from torture.simulated.callers import Wish
    from torture.simulated.terminal import Terminal
    from torture.simulated.user_record import Written

#: A moment is a whole second, and a request may take one.
_ROUND_S = 1.5
#: Troubles that are closer together than this are one: the bridge may not have reached the terminal in between.
_ONE_TROUBLE_S = 320.0


class Dates(NamedTuple):
    """From when until when a user is let in, in seconds of the machine's true clock; None where that end is open."""

    valid_from: float | None = None
    valid_until: float | None = None

    def blocked(self, at: float) -> bool:
        """Whether the user is to be kept out."""
        before = self.valid_from is not None and at < self.valid_from
        return before or (self.valid_until is not None and at >= self.valid_until)


class Stretch(NamedTuple):
    """Dates of a user that stood for a while, and what the terminal showed meanwhile, in its order."""

    dates: Dates
    began: float
    ended: float
    shown: list[Written]


class Run(NamedTuple):
    """What the rules look at beside a terminal: `troubles` and `clock_jumps` are the moments of what went wrong.

    `clock_wrong` is when the machine's clock was not synchronised: from one moment to another.
    """

    wishes: Sequence[Wish]
    ended: float
    heard: Sequence[Heard] = ()
    troubles: Sequence[float] = ()
    clock_jumps: Sequence[float] = ()
    clock_wrong: Sequence[tuple[float, float]] = ()


def judge_dates(device: str, terminal: Terminal, run: Run, blurred: set[str]) -> Iterator[str]:
    """A sentence for each broken promise at one terminal; users in `blurred` are left out."""
    yield from _judge_events(device, run)
    wishes = {wish.name: wish for wish in run.wishes}
    troubles = [*terminal.times.disturbed, *run.troubles]
    for user_id in {each.user_id for each in terminal.history} - blurred:
        history = [each for each in terminal.history if each.user_id == user_id]
        for stretch in _stretches(history, wishes, run.ended):
            sentences = (
                *_judge_writes(stretch),
                *_judge_clock(stretch, run.clock_wrong),
                *_judge_moments(stretch, troubles, run.clock_jumps),
            )
            yield from (f"user {user_id} on {device} {sentence}" for sentence in sentences)


def _dates_of(body: dict[str, Any]) -> Dates:
    return Dates(_moment(body.get("valid_from")), _moment(body.get("valid_until")))


def _moment(text: str | None) -> float | None:
    if not text:
        return None
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - DATE + STARTED_AT


def _stretches(history: Sequence[Written], wishes: dict[str, Wish], now: float) -> Iterator[Stretch]:
    dates, name, current = Dates(), None, None
    for each in history:
        if each.name != name:  # else the bridge has blocked or unblocked the user by itself
            if current is not None:
                yield current._replace(ended=each.at)
            name, wish = each.name, wishes.get(each.name or "")
            if wish is None or wish.command != "users/update" or wish.dated:
                dates = Dates() if wish is None else _dates_of(wish.body)
            current = None if name is None else Stretch(dates, each.at, now, [])
        if current is not None:
            current.shown.append(each)
    if current is not None:
        yield current


def _judge_writes(stretch: Stretch) -> Iterator[str]:
    for each in stretch.shown:
        fits = {stretch.dates.blocked(at) for at in (each.at + _ROUND_S, each.at - SESSION_S)}
        if each.blocked not in fits:
            yield f"was {'blocked' if each.blocked else 'let in'} {_distance(stretch.dates, each.at)} a date"


def _judge_clock(stretch: Stretch, wrong: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The first state is what a request wrote; an attempt may have begun when the clock was still right."""
    for each in stretch.shown[1:]:
        if any(began + ATTEMPT_S < each.at < ended for began, ended in wrong):
            yield f"was {'blocked' if each.blocked else 'let in'} by a date while the clock was not synchronised"


def _distance(dates: Dates, at: float) -> str:
    seconds = min((at - moment for moment in dates if moment is not None), key=abs, default=0.0)
    return f"{abs(seconds):.0f} s {'before' if seconds < 0 else 'after'}"


def _judge_moments(stretch: Stretch, troubles: Sequence[float], jumps: Sequence[float]) -> Iterator[str]:
    for moment in stretch.dates:
        if moment is None or not stretch.began + _ROUND_S < moment < stretch.ended:
            continue
        wanted = stretch.dates.blocked(moment)
        later = (each for each in stretch.dates if each is not None and each > moment)
        seen = min([stretch.ended, *later])  # behind the next date only what that one wants is set
        if _shown_at(stretch, moment) == wanted:
            seen = moment
        seen = min([seen, *(each.at for each in stretch.shown if each.at > moment and each.blocked == wanted)])
        late = seen - _allowed_until(moment, seen, troubles, jumps)
        if late > 0:
            yield f"was not {'blocked' if wanted else 'let in'} in time, by {late:.1f} s"


def _shown_at(stretch: Stretch, at: float) -> bool:
    return [each.blocked for each in stretch.shown if each.at <= at][-1]


def _allowed_until(moment: float, seen: float, troubles: Sequence[float], jumps: Sequence[float]) -> float:
    """When it must have been done: at once, or after what went wrong and a pause no longer than that took."""
    met = [each for each in sorted([*troubles, *jumps]) if each <= seen]
    if not met or met[-1] < moment - _ONE_TROUBLE_S:
        return moment + 2 * SESSION_S
    first = last = met[-1]
    for each in reversed(met):
        if first - each > _ONE_TROUBLE_S:
            break
        first = each
    pause = min(last - first + PENDING_FIRST_S, PENDING_MOST_S)
    clock = LOOK_S if jumps else 0.0
    return max(moment, last) + pause + clock + ATTEMPT_S


def _judge_events(device: str, run: Run) -> Iterator[str]:
    asked = {
        (wish.user_id, reason, wish.body[reason])
        for wish in run.wishes
        for reason in ("valid_from", "valid_until")
        if wish.body.get(reason)
    }
    for heard in run.heard:
        if heard.topic != f"zk/{device}/users/event":
            continue
        told = json.loads(heard.payload)
        if (told["user_id"], told["reason"], told["moment"]) not in asked:
            yield f"an event of {device} names a date that nobody asked for: {told}"
        early = (_moment(told["moment"]) or 0.0) - heard.at
        if early > _ROUND_S:
            yield f"user {told['user_id']} on {device} was {told['event']} {early:.0f} s before a date"
