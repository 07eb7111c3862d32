"""One simulated machine: its threads are fibers of one real thread, and time passes only when all of them wait."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from greenlet import getcurrent, greenlet

#: Where the clocks of a machine begin: the time since its start, and the date, in seconds.
STARTED_AT, DATE = 1_000.0, 1_900_000_000.0


class Killed(BaseException):
    """The process is gone: nothing of it may do anything any more."""


class Waitable:
    """Something that fibers wait for."""

    __slots__ = ("waiters",)

    def __init__(self) -> None:
        self.waiters: list[Fiber] = []

    def readable(self) -> bool:
        """Whether a poll would say so now."""
        return False


class Fiber:
    """One thread of the program; `life` is the run of the program that it belongs to."""

    def __init__(self, machine: Machine, function: Callable[[], object], name: str) -> None:
        self.name = name
        self.life = machine.life
        self.waits_on: list[Waitable] = []
        self.turn = 0  #: counts its waits, so that a timer of an earlier one wakes nobody
        self.woken = False
        self.done = Waitable()
        self.ended = False
        self.stalls_in = 0  #: after so many points more it does what `stall` says; 0: never
        self.stall: Callable[[], object] = lambda: None
        self._machine = machine
        self._function = function
        self.greenlet = greenlet(self._run, machine.hub)

    def _run(self) -> None:
        try:
            self._function()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - a thread that dies of an error is what the world looks for
            self._machine.collapses.append(error)
        finally:
            self.ended = True
            self._machine.wake(self.done)


class Machine:
    """The fibers, the timers and the clocks. `life` counts the runs of the program.

    `at_point` is called after `countdown` points; a point is whatever a fiber does that others can see: a statement to
    the ledger, a frame to a terminal, a packet to the broker, a lock, a wait.
    """

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.now = STARTED_AT
        self.true_offset = self.wall_offset = DATE - STARTED_AT
        self.life = 0
        self.steps = 0
        self.countdown = 1 << 60
        self.at_point: Callable[[str], None] = lambda _label: None
        self.current: Fiber | None = None
        self.collapses: list[BaseException] = []
        self.descriptors: dict[int, Waitable] = {}
        self._numbers = itertools.count(100_000)
        self._fibers: list[Fiber] = []
        self._ready: deque[Fiber] = deque()
        self._timers: list[tuple[float, int, Fiber | None, int, Callable[[], object] | None]] = []
        self._order = itertools.count()

    # -- for the program -----------------------------------------------------------------------------------------

    def point(self, label: str) -> None:
        """A step of the program, where the world may interfere."""
        fiber = self.current
        if fiber is None:
            return
        if fiber.life != self.life:
            raise Killed
        self.steps += 1
        self.countdown -= 1
        if fiber.stalls_in:
            fiber.stalls_in -= 1
            if not fiber.stalls_in:
                fiber.stall()
        if self.countdown <= 0:
            self.at_point(label)

    def block(self, waitables: Iterable[Waitable], until: float | None) -> bool:
        """Wait for one of these, or until a moment; whether it was one of these."""
        fiber = self.current
        if fiber is None:
            raise RuntimeError("only a fiber can wait")
        if fiber.life != self.life:
            raise Killed
        self.steps += 1
        fiber.turn += 1
        fiber.woken = False
        for each in waitables:
            each.waiters.append(fiber)
            fiber.waits_on.append(each)
        if until is not None:
            heapq.heappush(self._timers, (until, next(self._order), fiber, fiber.turn, None))
        self.hub.switch()
        self._leave(fiber)
        if fiber.life != self.life:
            raise Killed
        return fiber.woken

    def sleep(self, seconds: float) -> None:
        """Wait so long."""
        self.block((), self.now + max(seconds, 0.0))

    def wake(self, waitable: Waitable, most: int | None = None) -> None:
        """Let those go on that wait for this, at most so many."""
        for fiber in waitable.waiters[:most]:
            self._leave(fiber)
            fiber.woken = True
            fiber.turn += 1
            self._ready.append(fiber)

    def give_way(self, turns: int) -> None:
        """Let another fiber that is ready go first."""
        fiber = self.current
        if fiber is None or not self._ready:
            return
        self._ready.rotate(-(turns % len(self._ready)))
        self._ready.append(fiber)
        self.hub.switch()
        if fiber.life != self.life:
            raise Killed

    def spawn(self, function: Callable[[], object], name: str) -> Fiber:
        """A new thread."""
        fiber = Fiber(self, function, name)
        self._fibers.append(fiber)
        self._ready.append(fiber)
        return fiber

    def number(self, waitable: Waitable) -> int:
        """A file descriptor that stands for something to poll."""
        number = next(self._numbers)
        self.descriptors[number] = waitable
        return number

    # -- for the world -------------------------------------------------------------------------------------------

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Have the world do something later, whatever becomes of the program."""
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), None, 0, call))

    def run_one(self) -> bool:
        """Run the fiber that is next until it waits; whether there was one."""
        if not self._ready:
            return False
        self._switch_to(self._ready.popleft())
        return True

    def next_moment(self) -> float | None:
        """When the next timer is due; None where there is none."""
        while self._timers:
            at, _, fiber, turn, _call = self._timers[0]
            if fiber is not None and (fiber.turn != turn or fiber.life != self.life):
                heapq.heappop(self._timers)
                continue
            return at
        return None

    def advance(self) -> None:
        """Let time pass until the next timer is due, and have that done."""
        if self.next_moment() is None:
            return
        at, _, fiber, turn, call = heapq.heappop(self._timers)
        self.now = max(self.now, at)
        if call is not None:
            call()
        elif fiber is not None and fiber.turn == turn:
            self._leave(fiber)
            fiber.turn += 1
            self._ready.append(fiber)

    def kill(self) -> None:
        """End the program at once, as kill -9 or a power cut does; in a fiber this does not return."""
        self.life += 1
        if self.current is not None:
            raise Killed

    def bury(self) -> None:
        """Unwind what is left of the runs that were killed."""
        self._ready = deque(fiber for fiber in self._ready if fiber.life == self.life)
        for fiber in self._fibers:
            if fiber.life == self.life:
                continue
            self._leave(fiber)
            while not fiber.greenlet.dead:
                self.current = fiber
                with suppress(Killed):  # it comes back from a fiber that has not run yet
                    fiber.greenlet.throw(Killed)
                self.current = None
        self._fibers = [fiber for fiber in self._fibers if fiber.life == self.life]

    def _switch_to(self, fiber: Fiber) -> None:
        self.current = fiber
        fiber.greenlet.switch()
        self.current = None

    @staticmethod
    def _leave(fiber: Fiber) -> None:
        for each in fiber.waits_on:
            if fiber in each.waiters:
                each.waiters.remove(fiber)
        fiber.waits_on.clear()


class _Here:
    """The machine on which the program runs now."""

    machine: Machine


HERE = _Here()


def here() -> Machine:
    """The machine on which the program runs now."""
    return HERE.machine


def moment_after(seconds: float | None) -> float | None:
    """The moment in so many seconds; None stands for never."""
    return None if seconds is None or seconds < 0 else here().now + seconds


Target = Callable[..., Any]
