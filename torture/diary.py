"""What happened in a run, with its time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

_UID = re.compile(r"\buid (\d+)\b")


class Diary:
    """Everything that is done to the bridge and all that goes over the terminals' wires, with its time."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, str, str]] = []

    def note(self, where: str, what: str, *, at: float | None = None) -> None:
        """Write a line, now or of another time."""
        self._lines.append((time.time() if at is None else at, where, what))

    def between(self, since: float, until: float, *, where: Iterable[str]) -> list[tuple[float, str]]:
        """What happened at some places in some time."""
        places = set(where)
        return [(at, f"{place}: {what}") for at, place, what in self._lines if since <= at <= until and place in places]

    def mentioning(self, where: str, word: str) -> list[float]:
        """When something was written about a place with this word."""
        return [at for at, place, what in self._lines if place == where and word in what]

    def about_user(self, where: str, user_id: str) -> list[float]:
        """When a user was written, added or deleted at a place, and whoever else was given the same uid."""
        lines = [(at, what) for at, place, what in self._lines if place == where]
        named = [(at, what) for at, what in lines if f"user {user_id} " in what]
        uids = {found[1] for _, what in named if (found := _UID.search(what))}
        shared = [(at, what) for at, what in lines if (found := _UID.search(what)) and found[1] in uids]
        return sorted({at for at, _ in named + shared})
