"""What is explored with every run of the tests, what `make model` explores, and what is broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.model.life import Setting, Wish
from zkbridge.ledger import acceptance, repeats
from zkbridge.worker.planner import Planner


def create(user_id: str, name: str, request_id: str | None = None, *, effect: int = 0, expires: bool = False) -> Wish:
    """A message that asks for a user."""
    return Wish("users/create", (("user_id", user_id), ("name", name)), request_id, effect, expires)


ANA = create("7", "Ana", "r-1")
UNNAMED = create("7", "Ana")
DOOR = Wish("door/unlock", effect=1)

#: What callers send to one terminal.
MESSAGES = {
    "one user": Setting((ANA,)),
    "two users": Setting((ANA, create("8", "Eva", "r-2", effect=1))),
    "two messages fight for one user_id": Setting((ANA, create("7", "Eva", "r-2", effect=1))),
    "a caller sends its message twice": Setting((ANA, ANA)),
    "a user without a request_id, and a door": Setting((UNNAMED, DOOR)),
    "a user and a door, and a broker that marks nothing": Setting((UNNAMED, DOOR), marks=False),
    "a user until a moment that comes, and another": Setting(
        (create("7", "Ana", "r-1", expires=True), create("8", "Eva", "r-2", effect=1))
    ),
}

#: What goes wrong meanwhile, whenever it may: kills, connections to the broker that end, lost answers of the terminal.
TROUBLES = {
    "2 kills": (2, 0, 0),
    "1 kill, 1 connection, 1 answer": (1, 1, 1),
}

SETTINGS = {
    f"{messages}; {troubles}": setting._replace(kills=kills, breaks=breaks, losses=losses)
    for messages, setting in MESSAGES.items()
    for troubles, (kills, breaks, losses) in TROUBLES.items()
} | {"one user; 2 kills, 1 connection, 1 answer": Setting((ANA,))}

#: What fits into the usual run.
SHORT = {
    "a user alone": Setting((ANA,), kills=1, breaks=0),
    "a door alone": Setting((DOOR._replace(effect=0),), kills=1, breaks=1),
}

#: What is broken on purpose, and what finds it: an order of the life itself, or a guard of the program.
BREAKAGES = {
    "acknowledge before the commit": Setting((ANA,), kills=1, breaks=0, losses=0),
    "send a change before its note is stored": Setting((ANA,), kills=1, breaks=0, losses=0),
    "delete the reply before the broker has confirmed it": Setting((ANA,), kills=0, breaks=1, losses=0),
    "open a door again after a lost answer": Setting((DOOR._replace(effect=0),), kills=1, breaks=0, losses=0),
    "take an unmarked redelivery for a new message": Setting(
        (DOOR._replace(effect=0),), kills=0, breaks=1, losses=0, marks=False
    ),
    "execute a copy of an answered request": Setting((ANA, ANA), kills=0, breaks=0, losses=0),
}

_GUARDS: dict[str, tuple[object, str, object]] = {
    "open a door again after a lost answer": (Planner, "_instead_of_twice", lambda *_: None),
    "take an unmarked redelivery for a new message": (acceptance, "_suspect_of", lambda *_: None),
    "execute a copy of an answered request": (repeats, "begins_anew", lambda _, row, __: row["reply"] is not None),
}


@contextmanager
def broken(breakage: str) -> Iterator[Setting]:
    """The setting in which a breakage is found, while it is in place."""
    with pytest.MonkeyPatch.context() as patch:
        if breakage in _GUARDS:
            patch.setattr(*_GUARDS[breakage])
        yield BREAKAGES[breakage]._replace(breakage=breakage)
