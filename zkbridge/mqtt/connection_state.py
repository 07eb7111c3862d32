"""The state of one connection to the broker, from the attempt to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.protocol_choice import Failure, ProtocolName


class ConnectionClosed(Exception):
    """This connection is over; the message says why."""


@dataclass
class ConnectionState:
    """How far a connection got and how it ended. The broker's thread writes; other threads only read.

    `opened` is set when TCP and TLS stand, `accepted_at` at CONNACK, `ready` at the last SUBACK; `unanswered` holds
    the topic filters without SUBACK. Moments are those of time.monotonic().
    """

    protocol: ProtocolName
    number: int
    limits: BrokerLimits
    began: float = field(default_factory=time.monotonic)
    opened: bool = False
    accepted_at: float | None = None
    confirmed_at: float = 0.0
    resumed: bool = False
    ready: bool = False
    unanswered: tuple[str, ...] = ()
    refused_filters: list[str] = field(default_factory=list)
    refused: str | None = None
    version_refused: bool = False
    retain_refused: bool = False
    asks_again: bool = False
    overdue: bool = False
    taken_over: bool = False
    unreadable: bool = False
    down: str | None = None

    @property
    def failure(self) -> Failure:
        """How an attempt failed that the broker did not accept."""
        if not self.opened or self.overdue:
            return Failure.UNREACHABLE
        if self.version_refused:
            return Failure.VERSION_REFUSED
        return Failure.SILENT if self.refused is None else Failure.REFUSED
