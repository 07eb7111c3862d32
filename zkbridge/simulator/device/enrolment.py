"""An enrolment: what the person at the sensor does, and the events that the client gets.

Sources: zk-protocol realtime.md (events of an enrolment); pyzk 0.9 (what its reader accepts, result codes).
"""

from __future__ import annotations

import asyncio
import random
import struct
from typing import TYPE_CHECKING, Protocol

from zkbridge.simulator.device.logs import OP_ENROLLED
from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import VOICES, Event
from zkbridge.simulator.wire.records import Template

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from zkbridge.simulator.device.terminal import Terminal

_GOOD_SAMPLE = 100
_SAMPLES = 3
RESULT_OK, RESULT_FAILED, RESULT_DUPLICATE, RESULT_TIMEOUT = 0, 4, 5, 6

#: Samples (scores of 0 to 100) and the result, by name. The first bad sample ends it (zk-protocol other.md).
SCRIPTS: dict[str, tuple[tuple[int, ...], int]] = {
    "good": ((100, 100, 100), RESULT_OK),
    "bad": ((0,), RESULT_FAILED),
    "duplicate": ((100, 100, 100), RESULT_DUPLICATE),
    "timeout": ((), RESULT_TIMEOUT),
}


class EnrolmentHost(Protocol):
    """What an enrolment needs of the machine."""

    terminal: Terminal

    async def until_enabled(self) -> None:
        """Wait while the terminal is disabled."""


def make_template(uid: int, finger: int, size: int) -> bytes:
    """Random bytes of a size that begin like a real template."""
    noise = random.Random(uid << 8 | finger)  # noqa: S311  the same finger gives the same bytes
    return (b"\x4d\xfdSS21" + bytes(noise.choices(range(1, 256), k=max(size - 6, 0))))[:size]


class Enrolment:
    """One enrolment under way: waits for what the person does, and sends the client an event for each step.

    `tell` sends an event to the client that asked; it returns once that client has acknowledged it, or has had time to.
    """

    def __init__(
        self, host: EnrolmentHost, tell: Callable[[Event, bytes], Awaitable[None]], uid: int, finger: int, flag: int
    ) -> None:
        self._host = host
        self._tell = tell
        self._uid, self._finger, self._flag = uid, finger, flag
        self._script: asyncio.Future[tuple[tuple[int, ...], int]] = asyncio.get_running_loop().create_future()

    def act(self, script: str | Sequence[int]) -> None:
        """What the person does: a name of `SCRIPTS`, or scores of single samples."""
        if not self._script.done():
            self._script.set_result(read_script(script))

    async def run(self) -> None:
        """See it through to its result, which is event 8."""
        switches = self._host.terminal.switches
        try:
            async with asyncio.timeout(switches.enrolment_timeout):
                samples, result = await self._script
                if not switches.enrol_while_disabled:
                    await self._host.until_enabled()
                await self._show(samples)
                if result == RESULT_TIMEOUT:
                    await asyncio.Event().wait()
        except TimeoutError:
            result = RESULT_TIMEOUT
        await self.finish(result)

    async def finish(self, result: int) -> None:
        """Store the template after a success, then send the result."""
        stored = b""
        if result == RESULT_OK:
            try:
                stored = self._store()
            except Refused:
                result = RESULT_FAILED
        elif result == RESULT_DUPLICATE:
            self._host.terminal.front.say(VOICES[35])
        await self._tell(Event.ENROLLED, result.to_bytes(2, "little") + stored)

    async def tell_cancelled(self) -> None:
        """The result of an enrolment that the client has cancelled."""
        await self._tell(Event.ENROLLED, RESULT_FAILED.to_bytes(2, "little"))

    async def _show(self, samples: Sequence[int]) -> None:
        pace = self._host.terminal.switches.enrolment_pace
        for score in samples:
            await asyncio.sleep(pace)
            await self._tell(Event.FINGER, b"")
            await self._tell(Event.FINGER_SCORE, bytes((score,)))

    def _store(self) -> bytes:
        terminal = self._host.terminal
        template = make_template(self._uid, self._finger, terminal.switches.template_size)
        with terminal.lock:
            terminal.fingers.write(self._uid, self._finger, Template(self._flag, template))
            terminal.logs.add_operation(OP_ENROLLED, self._uid)
            pin = records.user_pin(terminal.users.stored[self._uid]).encode()
        terminal.front.say(f"finger {self._finger} of uid {self._uid} enrolled")
        return struct.pack("<H9sB", len(template), pin, self._finger)


def read_script(script: str | Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Samples and result; three good samples make a good finger, fewer end in a timeout. Raises ValueError."""
    if isinstance(script, str):
        if script not in SCRIPTS:
            raise ValueError(f"{script!r} is not one of {', '.join(SCRIPTS)}")
        return SCRIPTS[script]
    scores = tuple(script)
    good = sum(score == _GOOD_SAMPLE for score in scores)
    return scores, RESULT_OK if good >= _SAMPLES else RESULT_TIMEOUT
