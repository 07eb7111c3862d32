"""Simulated terminals for programs: a JSON object on each line, for where they listen and for what happens."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkbridge.simulator.device import profile, switches
from zkbridge.simulator.network import faults
from zkbridge.simulator.wire.codes import command_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zkbridge.simulator.console.control import Control
    from zkbridge.simulator.device.journal import Exchange
    from zkbridge.simulator.handle.terminal import SimulatedTerminal

#: The transports that each value of the switch `transport` stands for.
_TRANSPORTS = {"both": ("tcp", "udp"), "tcp": ("tcp",), "udp": ("udp",)}


class JsonLines:
    """Writes events until standard output is closed; then it sets `stop`. Callable from any thread.

    The lines are ASCII, so that no locale changes them.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()

    def announce(self, terminals: Sequence[SimulatedTerminal], remote: Control | None) -> None:
        """Say where each terminal and the control port listen, and then that all of them do."""
        for number, terminal in enumerate(terminals):
            about = {
                "profile": terminal.profile,
                "serial": terminal.option("~SerialNumber"),
                "transports": _TRANSPORTS[terminal.switches.transport],
            }
            self._write("terminal", **_place(number, terminal), **about)
        if remote is not None:
            self._write("control", host="127.0.0.1", port=remote.port)
        self._write("ready", terminals=len(terminals))

    def follow(self, terminals: Sequence[SimulatedTerminal], *, frames: bool) -> None:
        """Write an event for whatever changes at a terminal, and for each frame if wanted."""
        for number, terminal in enumerate(terminals):
            terminal.listen(self._on_news(number, terminal))
            if frames:
                terminal.machine.journal.on_frame = self._on_frame(number, terminal)

    def _on_news(self, number: int, terminal: SimulatedTerminal) -> Callable[[str], None]:
        return lambda text: self._write("news", **_place(number, terminal), text=text)

    def _on_frame(self, number: int, terminal: SimulatedTerminal) -> Callable[[Exchange], None]:
        return lambda frame: self._write(
            "frame",
            **_place(number, terminal),
            connection=frame.connection,
            direction=frame.direction,
            command=command_name(frame.command),
            bytes=frame.length,
        )

    def _write(self, event: str, **facts: object) -> None:
        told = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        with self._lock:
            try:
                sys.stdout.write(f"{json.dumps(told)}\n")
                sys.stdout.flush()
            except BrokenPipeError:  # the reader has gone; what Python still holds goes nowhere
                with contextlib.suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                self._stop.set()


def listing() -> str:
    """Profiles, switches and faults as one JSON object."""
    told = {
        "profiles": [{"name": name, "title": profile.load(name).title} for name in profile.available()],
        "switches": [
            {"name": name, "default": json.loads(default), "meaning": meaning, "source": source}
            for name, default, meaning, source in switches.rows()
        ],
        "faults": [{"name": name, "meaning": meaning} for name, meaning in faults.ACTIONS.items()],
    }
    return json.dumps(told)


def _place(number: int, terminal: SimulatedTerminal) -> dict[str, object]:
    """Which terminal, as the control port numbers them, and where it is now."""
    return {"terminal": number, "host": terminal.host, "port": terminal.port}
