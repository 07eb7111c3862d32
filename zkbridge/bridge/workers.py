"""The workers of all terminals: which there are, and how one is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from zkbridge.attendance.hooks import ListenerHooks
from zkbridge.attendance.listener import Listener
from zkbridge.bridge.current import CurrentConfig
from zkbridge.config.models import Device
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Request
from zkbridge.worker.surroundings import Shared, WorkerHooks
from zkbridge.worker.worker import Worker


class Roster:
    """The workers by device. `by_device` is replaced as a whole, never changed: any thread may read it."""

    def __init__(self) -> None:
        self.by_device: dict[str, Worker] = {}

    def __contains__(self, device: str) -> bool:
        return device in self.by_device

    def __iter__(self) -> Iterator[Worker]:
        return iter(self.by_device.values())

    def __getitem__(self, device: str) -> Worker:
        return self.by_device[device]

    def __len__(self) -> int:
        return len(self.by_device)

    def add(self, workers: dict[str, Worker], *, without: Iterable[str] = ()) -> None:
        """Add these, in place of any of the same device, and drop some others."""
        gone = frozenset(without)
        staying = {device: worker for device, worker in self.by_device.items() if device not in gone}
        self.by_device = staying | workers


class TerminalHooks(WorkerHooks, ListenerHooks, Protocol):
    """What a worker and its listener report to."""


class WorkerFactory:
    """Makes a worker for a device, with its listener where the device is listened to."""

    def __init__(
        self,
        current: CurrentConfig,
        ledger: Ledger,
        hooks: TerminalHooks,
        shared: Shared,
    ) -> None:
        self._current = current
        self._ledger = ledger
        self._hooks = hooks
        self._shared = shared

    def make(self, devices: Iterable[str], left: Iterable[Request]) -> dict[str, Worker]:
        """A worker for each device; `left`, what earlier ones left, has the terminals that may still be disabled."""
        pending = self._ledger.enables.devices() | {
            request.device for request in left if self._may_have_disabled(request)
        }
        config = self._current.config
        return {
            device.id: Worker(
                device,
                config,
                self._ledger,
                self._current.all_commands,
                hooks=self._hooks,
                shared=self._shared,
                pending_enable=device.id in pending,
                listener=self._listener(device),
            )
            for device in map(config.devices.__getitem__, devices)
        }

    def _may_have_disabled(self, request: Request) -> bool:
        """Whether the run that left it may have begun it: no disk is waited for before a terminal is disabled."""
        command = self._current.all_commands.get(request.command)
        return bool(request.tried) or (command is not None and command.disables)

    def _listener(self, device: Device) -> Listener | None:
        if device.attendance == "off":
            return None
        config = self._current.config
        return Listener(device, config, self._ledger, self._hooks, self._shared.places.of(device))
