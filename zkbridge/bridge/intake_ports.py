"""Gives intake access to the other parts."""

from __future__ import annotations

from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.bridge.link import Link
from zkbridge.bridge.probes import Probes
from zkbridge.bridge.workers import Roster
from zkbridge.ledger.records import Request
from zkbridge.mqtt.client import Mqtt


class BridgePorts:
    """Connects intake with workers, outbox and broker (`intake.ports.IntakePorts`)."""

    def __init__(self, roster: Roster, probes: Probes, dispatch: ReplyDispatch, link: Link, mqtt: Mqtt) -> None:
        self._roster = roster
        self._probes = probes
        self._dispatch = dispatch
        self._link = link
        self._mqtt = mqtt

    def waiting(self, device: str) -> int:
        """How many requests a device has."""
        return self._roster[device].waiting

    def submit(self, device: str, requests: list[Request]) -> None:
        """Hand over requests that are on disk; a worker that cannot begin, for want of a thread, is woken again."""
        self._probes.submit(device, requests)

    def note_answers(self) -> None:
        """Have the outbox send what the ledger has."""
        self._dispatch.note_answers()

    def may_have_waited(self) -> bool:
        """Whether the broker may have held back what arrives now since an earlier connection."""
        return self._mqtt.resumed and not self._link.drained

    def shows_retained(self) -> bool:
        """Whether a message that clears a retained one would be seen as one: only MQTT 5 shows that."""
        return self._link.protocol == "5"
