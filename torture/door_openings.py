"""When doors opened, and for which request."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from torture.door_callers import key_of
from torture.door_oracle import Request
from zkbridge.simulator import SimulatedTerminal

_OPENED = re.compile(r"door open for (\d+) s")


class Openings:
    """Notes each opening of the doors that it watches."""

    def __init__(self) -> None:
        self._noted: list[tuple[float, str, int]] = []

    def __len__(self) -> int:
        return len(self._noted)

    def watch(self, name: str, terminal: SimulatedTerminal) -> None:
        """Note the openings of a door from now on."""

        def changed(text: str) -> None:
            if opened := _OPENED.fullmatch(text):
                self._noted.append((time.time(), name, int(opened[1])))

        terminal.listen(changed)

    def sort(self, requests: Mapping[str, Request]) -> list[str]:
        """Give each opening to its request; a sentence for each that nobody asked for."""
        strays = []
        for at, name, seconds in self._noted:
            request = requests.get(key_of(name, seconds))
            if request is None:
                strays.append(f"{name} opened for {seconds} s at {at:.3f}")
            else:
                request.openings.append(at)
        return strays
