"""Which states of a request met which events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torture.simulated.plan import WEIGHTS
from zkbridge.ledger.records import State

#: Beside the states of the ledger: before it is kept, and while the terminal keeps people off for it.
STATES = ("at the broker", "under way to the bridge", *State, "in a session")
#: Another thread going first is no event for a request.
EVENTS = tuple(name for name in WEIGHTS if name != "switch")
#: The broker's link is up when something is under way on it: what takes the link away ends that state as well.
PAIRS = tuple((str(state), event) for state in STATES for event in EVENTS)


def missing(met: Counter[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The pairs that were not met."""
    return (pair for pair in PAIRS if not met[pair])
