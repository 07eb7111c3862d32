"""What is done to a simulated bridge, event by event, drawn from a seed: a list that can be cut down and run again."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

#: How often each event comes, and what it does.
WEIGHTS: dict[str, int] = {
    "ask": 60,  # a caller publishes a request
    "switch": 90,  # another thread goes first, or this one is not run for some milliseconds
    "fault": 22,  # the next request to a terminal meets something
    "datagram": 8,  # of the next datagrams some are lost, doubled or late
    "wait": 14,  # nothing happens for up to a minute
    "punch": 12,  # one, or a few
    "break": 6,  # the connection to the broker breaks
    "kill": 5,
    "away": 5,  # a terminal cannot be reached for up to two minutes
    "power": 3,  # the power is cut: the last commits that were not waited for are lost
    "disk": 2,  # the next commits fail
    "clock": 2,  # the machine's clock jumps, with no time server behind it
    "keypad": 2,  # somebody is added at the terminal
    "restart": 2,  # a terminal restarts
    "broker": 2,  # the broker is killed, and has forgotten the last acknowledgements
    "forget": 1,  # the broker loses the bridge's session, with its subscriptions and messages
    "flags": 1,  # the broker marks redeliveries by DUP from now on, or does not
    "slow": 2,  # a terminal takes up to 0.4 s for each answer
    "strand": 4,  # a terminal cannot be reached when it is to be enabled, perhaps until after a kill
    "clear": 3,  # a terminal's log of punches is cleared, at the terminal or by another program
    "hide": 2,  # a terminal shows and counts fewer punches than it has, for up to half a minute
    "stop": 1,  # the bridge is stopped and started, as by systemd
    "stall": 8,  # a thread is not run for up to 0.1 s, and a request comes meanwhile
    "cut_off": 3,  # somebody punches, and the bridge is killed, or its power cut, while it keeps that
    "rush": 1,  # changes come faster than a terminal takes them
    "overtake": 2,  # a request waits for a terminal, and the next one for that user comes when it is back
}
#: Steps between two events, on average.
GAP = 14


class Event(NamedTuple):
    """An event: so many steps after the one before, or as soon as the bridge has nothing to do. `arg` decides how."""

    gap: int
    name: str
    arg: int


def draw(seed: int, count: int) -> list[Event]:
    """The events of a seed."""
    random = Random(seed)
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    chosen = random.choices(names, weights, k=count)
    return [Event(1 + int(random.expovariate(1 / GAP)), name, random.getrandbits(32)) for name in chosen]


def without(events: list[Event], start: int, count: int) -> list[Event]:
    """The list less some events; those that follow stay at the steps where they were."""
    gone = sum(event.gap for event in events[start : start + count])
    rest = events[start + count :]
    if rest:
        rest = [rest[0]._replace(gap=rest[0].gap + gone), *rest[1:]]
    return [*events[:start], *rest]
