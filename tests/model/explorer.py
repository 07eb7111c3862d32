"""Explore every state that can be reached from one, breadth first: the shortest way to each fault is found first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)

#: What happens, and the state after it.
Step = tuple[str, S]


class Exploration(NamedTuple, Generic[S]):
    """What was found. `fault` is the first broken rule, and `way` what leads to it; None and () if all hold."""

    states: int
    transitions: int
    complete: int
    fault: str | None
    way: tuple[str, ...]


def explore(
    first: S,
    steps: Callable[[S], Iterable[Step[S]]],
    *,
    broken: Callable[[S], str | None],
    is_complete: Callable[[S], bool],
) -> Exploration[S]:
    """Visit every state once. `broken` names the rule that a state breaks; a complete state must be reachable from all.

    A state that is not complete and from which no complete one can be reached is a fault, too.
    """
    came_from: dict[S, tuple[S, str] | None] = {first: None}
    before: dict[S, list[S]] = {first: []}
    complete: list[S] = []
    waiting = deque([first])
    transitions = 0
    while waiting:
        state = waiting.popleft()
        if (fault := broken(state)) is not None:
            return Exploration(len(came_from), transitions, len(complete), fault, _way(came_from, state))
        if is_complete(state):
            complete.append(state)
        for label, after in steps(state):
            transitions += 1
            if after not in came_from:
                came_from[after] = (state, label)
                before[after] = []
                waiting.append(after)
            before[after].append(state)
    stuck = _stuck(before, complete)
    if stuck is not None:
        way = _way(came_from, stuck)
        return Exploration(len(came_from), transitions, len(complete), "it can never be completed", way)
    return Exploration(len(came_from), transitions, len(complete), None, ())


def _stuck(before: dict[S, list[S]], complete: list[S]) -> S | None:
    """The first state from which no complete one can be reached."""
    good = set(complete)
    waiting = list(complete)
    while waiting:
        for earlier in before[waiting.pop()]:
            if earlier not in good:
                good.add(earlier)
                waiting.append(earlier)
    return next((state for state in before if state not in good), None)


def _way(came_from: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    labels: list[str] = []
    while (step := came_from[state]) is not None:
        state, label = step
        labels.append(label)
    return tuple(reversed(labels))
