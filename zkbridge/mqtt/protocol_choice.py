"""Versions of MQTT, and which one the next connection tries where the configuration says `auto`."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import Literal

ProtocolName = Literal["5", "3.1.1"]
#: How long a connection to the broker, and then each of its answers, is waited for (seconds).
CONNECT_TIMEOUT_S = 5.0
#: How long a broker's refusal of MQTT 5 is believed (seconds).
REFUSAL_GOOD_FOR_S = 86_400.0
#: So many connections in a row that end without CONNACK, and MQTT 3.1.1 is tried: RabbitMQ 3 refuses MQTT 5 like that,
#: and so does anything that accepts TCP in front of a broker that is not there yet.
SILENT_ENDS = 2


class Failure(enum.Enum):
    """How an attempt to connect failed."""

    VERSION_REFUSED = "a CONNACK that refuses the version: 0x84, or 0x01 from a broker of MQTT 3.1.1"
    REFUSED = "a CONNACK with any other refusal"
    SILENT = "the connection was closed without CONNACK"
    UNREACHABLE = "no connection, or no answer on it in time"


class ProtocolChoice:
    """MQTT 5 unless the broker itself says that it does not speak it. For one thread.

    A refusal in a CONNACK is believed for a day, and not beyond the end of the process. A connection that is closed
    without CONNACK says nothing about the version: where MQTT 5 has never worked, 3.1.1 is tried after two of them, and
    used only if MQTT 5 is closed in silence once more right after 3.1.1 was accepted, and only for that one connection.
    """

    def __init__(
        self,
        setting: Literal["auto", "5", "3.1.1"],
        *,
        five_has_worked: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._setting = setting
        self._clock = clock
        self._five_has_worked = five_has_worked
        self._refused_until = float("-inf")
        self._try_again_at = float("inf")
        self._silent_ends = 0
        self._old_is_accepted = False
        self._five_is_silent = False
        self._at_once = False

    @property
    def next(self) -> ProtocolName:
        """The version to try now."""
        if self._setting != "auto":
            return self._setting
        if self._is_refused:
            return "3.1.1"
        if self._five_has_worked:
            return "5"
        if self._old_is_accepted:
            return "3.1.1" if self._five_is_silent else "5"
        return "3.1.1" if self._silent_ends >= SILENT_ENDS else "5"

    @property
    def asks_at_once(self) -> bool:
        """Whether the next attempt completes a comparison, and so must come without a pause."""
        return self._at_once

    @property
    def fallback(self) -> str | None:
        """Why an accepted connection does not speak MQTT 5, for the log; None if it does, or should not."""
        if self._try_again_at == float("inf"):
            return None
        if self._is_refused:
            return "the broker does not speak MQTT 5: 3.1.1 is used, and MQTT 5 tried again within a day"
        return (
            "the broker accepts MQTT 3.1.1 and closes connections by MQTT 5 without an answer: "
            "3.1.1 is used for this connection, and for a day at most"
        )

    @property
    def is_due(self) -> bool:
        """Whether a connection by MQTT 3.1.1 is so old that MQTT 5 should be tried again."""
        return self._clock() >= self._try_again_at

    def accepted(self, protocol: ProtocolName) -> bool:
        """The broker accepted a connection; False if it must end at once, because MQTT 5 is to be asked again."""
        if self._setting != "auto":
            return True
        if protocol == "5":
            self._five_has_worked = True
            self._try_again_at = float("inf")
            return True
        if self._is_refused or self._five_is_silent:
            self._try_again_at = self._refused_until if self._is_refused else self._clock() + REFUSAL_GOOD_FOR_S
            return True
        self._old_is_accepted = self._at_once = True
        return False

    def failed(self, protocol: ProtocolName, how: Failure) -> None:
        """An attempt ended before the broker accepted it."""
        self._at_once = False
        if protocol == "5" and how is Failure.VERSION_REFUSED:
            self._start_over()
            self._refused_until = self._clock() + REFUSAL_GOOD_FOR_S
        elif protocol == "5" and how is Failure.SILENT:
            self._at_once = self._old_is_accepted and not self._five_is_silent
            self._five_is_silent = self._old_is_accepted
            self._silent_ends += 1
        elif protocol == "3.1.1" and how is Failure.REFUSED:
            self._old_is_accepted = True  # it supports 3.1.1, whatever it dislikes
        else:
            self._start_over()
            self._refused_until = float("-inf")

    def ended(self) -> None:
        """A connection that was accepted, and used, is over."""
        self._try_again_at = float("inf")
        self._start_over()
        if self._five_has_worked:
            self._refused_until = float("-inf")

    @property
    def _is_refused(self) -> bool:
        return self._clock() < self._refused_until

    def _start_over(self) -> None:
        self._silent_ends = 0
        self._old_is_accepted = self._five_is_silent = self._at_once = False
