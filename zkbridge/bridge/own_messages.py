"""The bridge's messages about itself: state, info, health."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping

import zkbridge
from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.link import Link
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Publication, encode, parse_object
from zkbridge.telemetry.snapshot import BridgeSnapshot


class OwnMessages:
    """Makes those messages, and recognises the ones that come back. `instance` names this run of the daemon."""

    def __init__(self, current: CurrentConfig, link: Link) -> None:
        self._current = current
        self._link = link
        self.instance = secrets.token_hex(8)

    def state(self, state: str) -> Publication:
        """`online` or `offline`, retained; `offline` is also the last will."""
        return self._retained(self._current.topics.state, {"state": state, "instance": self.instance})

    def info(self) -> Publication:
        """Version, protocol, devices, groups and commands, retained."""
        config = self._current.config
        info = {
            "version": zkbridge.__version__,
            "protocol": self._link.protocol,
            "devices": list(config.devices),
            "groups": config.groups,
            "commands": list(self._current.commands),
            "instance": self.instance,
        }
        return self._retained(self._current.topics.info, info)

    def health(self, snapshot: BridgeSnapshot, *, refused: Iterable[str]) -> Publication:
        """The bridge's health, not retained. `refused` are the topics on which the broker accepts no message."""
        ledger, backup_at = snapshot.ledger, snapshot.oldest_backup_at
        body = {
            "instance": self.instance,
            "uptime_s": round(snapshot.uptime_s),
            "waiting": snapshot.waiting,
            "devices": len(snapshot.terminals),
            "connection": self._link.number,
            "version": snapshot.version,
            "offline": snapshot.offline,
            "moved": snapshot.moved,
            "owed": ledger and ledger.unsent,
            "ledger_bytes": ledger and ledger.size,
            "reconnects": snapshot.reconnects,
            "deaf_to": snapshot.unserved_subscriptions,
            "refused": list(refused),
            "set_aside": snapshot.set_aside,
            "short_of": snapshot.short_of,
            "dates_overdue": snapshot.overdue_dates,
            "backup_age_s": None if backup_at is None else max(0, round(time.time() - backup_at)),
            "drift": snapshot.drift,
        }
        return Publication(self._current.topics.health, encode(body))

    def note_health(self, topic: str, payload: bytes) -> None:
        """Tell the link when a message that came back is the health of this run."""
        if topic == self._current.topics.health and (body := _object(payload)).get("instance") == self.instance:
            self._link.heard_health(body.get("connection"))

    def is_late_will(self, topic: str, payload: bytes) -> bool:
        """Whether a message that came back is the last will of an earlier run."""
        if topic != self._current.topics.state:
            return False
        body = _object(payload)
        return body.get("state") == "offline" and body.get("instance") != self.instance

    @staticmethod
    def _retained(topic: str, body: Mapping[str, object]) -> Publication:
        return Publication(topic, encode(body), retain=True)


def _object(payload: bytes) -> dict[str, object]:
    try:
        return parse_object(payload)
    except BridgeError:
        return {}
