"""What the program takes from `threading`, `time`, `select` and `socket`, on the simulated machine."""

from __future__ import annotations

import select as real_select
import socket as real_socket
import time as real_time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from torture.simulated.machine import Fiber, Target, Waitable, here, moment_after


class Lock(Waitable):
    """threading.Lock, or RLock."""

    __slots__ = ("_depth", "_owner", "_reenters")

    def __init__(self, *, reenters: bool = False) -> None:
        super().__init__()
        self._owner: Fiber | None = None
        self._depth = 0
        self._reenters = reenters

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As threading.Lock.acquire."""
        machine = here()
        machine.point("lock")
        until = moment_after(timeout)
        while self._depth and not (self._reenters and self._owner is machine.current):
            if not blocking or not (machine.block([self], until) or self._depth == 0):
                return False
        self._owner = machine.current
        self._depth += 1
        return True

    def release(self) -> None:
        """As threading.Lock.release."""
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            here().wake(self, 1)

    def locked(self) -> bool:
        """As threading.Lock.locked."""
        return self._depth > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def give_up(self) -> int:
        """Release it however often it was acquired; how often."""
        depth, self._depth, self._owner = self._depth, 0, None
        here().wake(self, 1)
        return depth

    def take_back(self, depth: int) -> None:
        """Acquire it as often as `give_up` said."""
        self.acquire()
        self._depth = depth


class Condition(Waitable):
    """threading.Condition."""

    __slots__ = ("_lock",)

    def __init__(self, lock: Lock | None = None) -> None:
        super().__init__()
        self._lock = lock or Lock(reenters=True)

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """As threading.Condition.wait."""
        depth = self._lock.give_up()
        woken = here().block([self], moment_after(timeout))
        self._lock.take_back(depth)
        return woken

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """As threading.Condition.wait_for."""
        until = moment_after(timeout)
        while not (result := predicate()):
            left = None if until is None else until - here().now
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    def notify(self, n: int = 1) -> None:
        """As threading.Condition.notify."""
        here().wake(self, n)

    def notify_all(self) -> None:
        """As threading.Condition.notify_all."""
        here().wake(self)


class Event(Waitable):
    """threading.Event."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        super().__init__()
        self._set = False

    def is_set(self) -> bool:
        """As threading.Event.is_set."""
        return self._set

    def readable(self) -> bool:
        """Whether it is set."""
        return self._set

    def set(self) -> None:
        """As threading.Event.set."""
        self._set = True
        here().wake(self)

    def clear(self) -> None:
        """As threading.Event.clear."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """As threading.Event.wait."""
        until = moment_after(timeout)
        while not self._set:
            if until is not None and here().now >= until:
                return False
            here().block([self], until)
        here().point("event")
        return True


class Thread:
    """threading.Thread."""

    def __init__(self, *, target: Target, name: str = "", daemon: bool = True, args: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.daemon = daemon
        self._target = target
        self._args = args
        self._fiber: Fiber | None = None

    def start(self) -> None:
        """As threading.Thread.start."""
        self._fiber = here().spawn(lambda: self._target(*self._args), self.name)

    def is_alive(self) -> bool:
        """As threading.Thread.is_alive."""
        return self._fiber is not None and not self._fiber.ended

    def join(self, timeout: float | None = None) -> None:
        """As threading.Thread.join."""
        if self._fiber is not None and not self._fiber.ended:
            here().block([self._fiber.done], moment_after(timeout))


class Pipe(Waitable):
    """One end of socket.socketpair, by which one thread wakes another."""

    __slots__ = ("_number", "bytes", "peer")

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.peer = self
        self._number = here().number(self)

    def readable(self) -> bool:
        """Whether the other end has sent something."""
        return self.bytes > 0

    def send(self, data: bytes) -> int:
        """Send to the other end."""
        self.peer.bytes += len(data)
        here().wake(self.peer)
        return len(data)

    def recv(self, _most: int) -> bytes:
        """What came; BlockingIOError where nothing did."""
        if not self.bytes:
            raise BlockingIOError
        found, self.bytes = self.bytes, 0
        return b"\0" * found

    def setblocking(self, _flag: bool) -> None:
        """Nothing here ever blocks."""

    def fileno(self) -> int:
        """The number to poll."""
        return self._number

    def close(self) -> None:
        """Nothing is left to close."""


class Poll:
    """select.poll."""

    def __init__(self) -> None:
        self._watched: dict[int, int] = {}

    def register(self, what: Any, mask: int) -> None:
        """As select.poll.register."""
        self._watched[what if isinstance(what, int) else what.fileno()] = mask

    modify = register

    def poll(self, timeout_ms: float | None = None) -> list[tuple[int, int]]:
        """As select.poll.poll; everything may be written to at any time."""
        machine = here()
        until = None if timeout_ms is None else machine.now + timeout_ms / 1000
        machine.point("poll")
        while True:
            ready = [(number, real_select.POLLIN) for number in self._watched if machine.descriptors[number].readable()]
            writable = [number for number, mask in self._watched.items() if mask & real_select.POLLOUT]
            if ready or writable:
                return ready or [(number, real_select.POLLOUT) for number in writable]
            if until is not None and machine.now >= until:
                return []
            machine.block([machine.descriptors[number] for number in self._watched], until)


def wait_any(waitables: Iterable[Waitable], until: float) -> bool:
    """Wait until one of these is readable; False when the time is over."""
    watched = list(waitables)
    machine = here()
    machine.point("wait")
    while not any(each.readable() for each in watched):
        if machine.now >= until:
            return False
        machine.block(watched, until)
    return True


def _pair() -> tuple[Pipe, Pipe]:
    one, other = Pipe(), Pipe()
    one.peer, other.peer = other, one
    return one, other


THREADING = SimpleNamespace(
    Lock=Lock,
    RLock=lambda: Lock(reenters=True),
    Condition=Condition,
    Event=Event,
    Thread=Thread,
    get_ident=lambda: id(here().current),
)
SELECT = SimpleNamespace(**{**vars(real_select), "poll": Poll})
SOCKET = SimpleNamespace(**{**vars(real_socket), "socketpair": _pair})


def monotonic() -> float:
    """time.monotonic."""
    return here().now


def wall() -> float:
    """time.time."""
    return here().now + here().wall_offset


def _sleep(seconds: float) -> None:
    here().sleep(seconds)


TIME = SimpleNamespace(
    **{
        **vars(real_time),
        "monotonic": monotonic,
        "time": wall,
        "sleep": _sleep,
        "clock_gettime": lambda _clock: here().now,
    }
)
