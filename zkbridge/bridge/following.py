"""Publishes whether terminals answer, and has a terminal looked for whose address may have changed."""

from __future__ import annotations

from zkbridge.bridge.availability import Availability, Reachability
from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.probes import Probes
from zkbridge.config.models import Device
from zkbridge.contract.errors import TerminalError
from zkbridge.worker.places import Places
from zkbridge.worker.search import TerminalSearch


class Following:
    """Passes on whether terminals answer, and has those looked for that have `find`. Called from any thread."""

    def __init__(self, current: CurrentConfig, availability: Availability, probes: Probes, places: Places) -> None:
        self._current = current
        self._availability = availability
        self._places = places
        self._search = TerminalSearch(places, lock_dir=current.config.lock_dir, taken=self._taken, ended=probes.after)

    def note(self, device: str, failure: TerminalError | None) -> None:
        """A device answers (None), or has failed. Operators read English, whatever callers and panels read."""
        if failure is None:
            self._availability.note(device, None)
            return
        config = self._current.config
        self._availability.note(device, failure.sentence(config.language), logged=failure.sentence("en"))
        if device in config.devices:
            self._search.want(config.devices[device])

    def of(self, device: str) -> Reachability:
        """What is known of a device's terminal."""
        return self._availability.of(device)

    def moved_to(self, device: str) -> str | None:
        """The host at which a device's terminal was found, None where that is the configured one."""
        return self._places.moved_to(device)

    def stop(self) -> None:
        """Look for nothing any more."""
        self._search.stop()

    def _taken(self, wanted: Device) -> frozenset[str]:
        """Where other devices answer on that port."""
        return frozenset(
            self._places.of(each).device.host
            for each in self._current.config.devices.values()
            if each.id != wanted.id and each.port == wanted.port and self._availability.of(each.id).online
        )
