"""The enrolment that runs at a terminal, at most one at a time."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from zkbridge.simulator.device.enrolment import Enrolment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkbridge.simulator.device.terminal import Terminal
    from zkbridge.simulator.machine.events import Events
    from zkbridge.simulator.machine.tasks import Tasks
    from zkbridge.simulator.network.link import Link


class Enrolments:
    """Starts an enrolment, passes on what the person does, ends it. Everything belongs to the simulator's loop."""

    def __init__(self, terminal: Terminal, events: Events, tasks: Tasks) -> None:
        self.terminal = terminal
        self.current: Enrolment | None = None
        self._events = events
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self._next_script: str | Sequence[int] | None = None
        self._enabled = asyncio.Event()

    def start(self, link: Link, uid: int, finger: int, flag: int) -> None:
        """Ask the person for a finger."""
        self.terminal.enrolling = True
        self.current = Enrolment(self, partial(self._events.send_acknowledged, link), uid, finger, flag)
        script = self._next_script or self.terminal.switches.enrolment
        self._next_script = None
        if script != "wait":
            self.current.act(script)
        self._task = self._tasks.start(self._run(self.current))

    def act(self, script: str | Sequence[int]) -> None:
        """The person does this now, or at the next enrolment when none waits."""
        if self.current is None:
            self._next_script = script
        else:
            self.current.act(script)

    def cancel(self) -> None:
        """Stop asking; a switch says whether the client gets an event."""
        enrolment = self.stop()
        if enrolment is not None and self.terminal.switches.enrol_cancel == "event":
            self._tasks.start(enrolment.tell_cancelled())

    def stop(self) -> Enrolment | None:
        """End the current one without an event, and return it."""
        enrolment, self.current = self.current, None
        if enrolment is not None and self._task is not None:
            self.terminal.enrolling = False
            self._task.cancel()
        return enrolment

    async def until_enabled(self) -> None:
        """Wait while the terminal is disabled."""
        while self.terminal.disabled:
            self._enabled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._enabled.wait()

    def notice_enabled(self) -> None:
        """Wake what waits for the terminal to be enabled."""
        if not self.terminal.disabled:
            self._enabled.set()

    async def _run(self, enrolment: Enrolment) -> None:
        try:
            await enrolment.run()
        finally:
            if self.current is enrolment:
                self.current = None
                self.terminal.enrolling = False
