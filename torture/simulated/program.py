"""The real bridge on a simulated machine: what of the outside world its modules get instead."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import random as real_random
import select as real_select
import socket as real_socket
import threading as real_threading
import time as real_time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from types import FunctionType, ModuleType
from typing import Any
from unittest import mock

from torture.simulated import threads
from torture.simulated.broker import Broker
from torture.simulated.disk import Disk, sqlite_on
from torture.simulated.link import Link
from torture.simulated.machine import here
from torture.simulated.punch_readings import watched
from torture.simulated.terminal import Terminal
from torture.simulated.wire import LATENCY_S, UdpWire, Wire
from zkbridge.commands import commands
from zkbridge.contract.errors import DeviceTimeout
from zkbridge.runtime.thread_pool import Job
from zkbridge.terminal.protocol.deadline import Deadline

#: Rooms whose code runs in the simulated world, or is loaded with it.
_ROOMS = (
    "attendance",
    "bridge",
    "commands",
    "config",
    "contract",
    "homeassistant",
    "intake",
    "ledger",
    "machine",
    "mqtt",
    "outbox",
    "port",
    "runtime",
    "telemetry",
    "terminal",
    "worker",
)
#: The commands that the simulated bridge has: each more is one more subscription on every connection.
COMMANDS = ("users/create", "users/update", "users/delete", "users/list", "users/create-many", "door/unlock")


class Surroundings:
    """What the bridge meets: set anew for each world."""

    def __init__(self, broker: Broker, disk: Disk, terminals: dict[str, Terminal]) -> None:
        self.broker = broker
        self.disk = disk
        self.terminals = terminals
        self.locks: dict[tuple[str, int], threads.Lock] = {}


class _Here:
    surroundings: Surroundings


THE = _Here()


@contextmanager
def simulated() -> Iterator[None]:
    """Have the bridge's modules use the simulated machine inside, and the real one afterwards."""
    modules = list(_modules())
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with ExitStack() as undo:
        undo.callback(logging.disable, level)
        for module in modules:
            _replace_modules(module, undo)
            for function in _functions(module):
                _replace_defaults(function, undo)
        for target, fake in _FAKES.items():
            undo.enter_context(mock.patch(target, fake))
        yield


def _modules() -> Iterator[ModuleType]:
    for room in _ROOMS:
        package = importlib.import_module(f"zkbridge.{room}")
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def _replace_modules(module: ModuleType, undo: ExitStack) -> None:
    for name, value in list(vars(module).items()):
        fake = _MODULES.get(id(value))
        if fake is not None:
            undo.callback(setattr, module, name, value)
            setattr(module, name, fake)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if isinstance(value, FunctionType):
            yield value
        elif isinstance(value, type):
            yield from (each for each in vars(value).values() if isinstance(each, FunctionType))


def _replace_defaults(function: FunctionType, undo: ExitStack) -> None:
    """A default value of a parameter, or a dataclass's factory, that is one of the real clocks."""
    wanted = function.__kwdefaults__ or {}
    for name, value in list(wanted.items()):
        if id(value) in _CLOCKS:
            undo.callback(wanted.__setitem__, name, value)
            wanted[name] = _CLOCKS[id(value)]
    if function.__defaults__ and any(id(value) in _CLOCKS for value in function.__defaults__):
        undo.callback(setattr, function, "__defaults__", function.__defaults__)
        function.__defaults__ = tuple(_CLOCKS.get(id(value), value) for value in function.__defaults__)
    for cell in function.__closure__ or ():
        value = _content(cell)
        if id(value) in _CLOCKS:
            undo.callback(setattr, cell, "cell_contents", value)
            cell.cell_contents = _CLOCKS[id(value)]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is still empty
        return None


def _connect(host: str, port: int, *, udp: bool, until: Deadline) -> Wire:
    del port
    terminal = next(each for each in THE.surroundings.terminals.values() if each.name == host)
    machine = here()
    machine.point("connect")
    if udp:
        return UdpWire(terminal)
    if terminal.away and terminal.silent:
        machine.sleep(until.remaining())
        raise TimeoutError
    machine.sleep(LATENCY_S)
    if terminal.away:
        raise ConnectionRefusedError
    return Wire(terminal)


def _wait_readable(descriptor: int, until: Deadline, waker: Any = None) -> bool:
    wire = here().descriptors[descriptor]
    watched = [wire] if waker is None else [wire, vars(waker)["_event"]]
    return threads.wait_any(watched, until.at) and wire.readable()


class _Held:
    """A terminal's lock: other programs do not want it here."""

    def wanted(self) -> bool:
        """Whether another process waits for the terminal."""
        return False


@contextmanager
def _hold(address: str, *, lock_dir: Path | None, deadline: Deadline, waiting: Callable[[], object]) -> Iterator[_Held]:
    """The lock of a terminal, which ends with the process: files would keep those of a run that was killed."""
    del lock_dir
    lock = THE.surroundings.locks.setdefault((address, here().life), threads.Lock())
    while not lock.acquire(timeout=min(0.5, deadline.remaining())):
        if deadline.passed:
            raise DeviceTimeout(host=address, port=0)
        waiting()
    try:
        yield _Held()
    finally:
        lock.release()


def _start_job(_pool: object, function: Callable[[], None], *, name: str) -> Job:
    job = Job(function, name)
    here().spawn(job.run, name)
    return job


def _take_guard(folder: Path) -> int:
    del folder
    return -1


_MODULES: dict[int, Any] = {
    id(real_threading): threads.THREADING,
    id(real_time): threads.TIME,
    id(real_select): threads.SELECT,
    id(real_socket): threads.SOCKET,
}
_CLOCKS: dict[int, Any] = {id(real_time.monotonic): threads.monotonic, id(real_time.time): threads.wall}
_FAKES: dict[str, Any] = {
    "zkbridge.ledger.file.sqlite3": sqlite_on(lambda: THE.surroundings.disk),
    "zkbridge.ledger.file._take_guard": _take_guard,
    "zkbridge.ledger.file.LedgerFile.release": lambda _file: None,
    "zkbridge.ledger.file_watch.FileWatch.look": lambda _watch: None,
    "zkbridge.ledger.budget.Reserve.hold": lambda _reserve: True,
    "zkbridge.mqtt.connection.make_client": lambda _settings, protocol, *_, **__: Link(
        THE.surroundings.broker, protocol
    ),
    "zkbridge.mqtt.attempts.Attempts._why_silent": lambda *_: "silent",
    "zkbridge.mqtt.diagnosis.Diagnosis.of_error": lambda _diagnosis, error: str(error),
    "zkbridge.terminal.opening.hold": _hold,
    "zkbridge.terminal.line.hold": _hold,
    "zkbridge.terminal.protocol.exchange.connect": _connect,
    "zkbridge.terminal.protocol.exchange.wait_readable": _wait_readable,
    "zkbridge.runtime.thread_pool.ThreadPool.start": _start_job,
    "zkbridge.bridge.wiring.commands": lambda: {name: commands()[name] for name in COMMANDS},
    "zkbridge.mqtt.client.random": Random(0),
    "zkbridge.machine.pause.random": Random(0),
    "zkbridge.bridge.probes.random": Random(0),
    "zkbridge.machine.limits.require_room": lambda: None,
    **watched(lambda: {name: terminal.log for name, terminal in THE.surroundings.terminals.items()}),
}


def seed_everything(seed: int) -> None:
    """What the program draws at random is the same in every run of a seed."""
    real_random.seed(seed)
    for fake in _FAKES.values():
        if isinstance(fake, Random):
            fake.seed(seed)
