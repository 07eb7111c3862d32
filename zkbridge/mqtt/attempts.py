"""How the next attempt to connect follows from the way the last one ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from ssl import SSLError

from zkbridge.config.login import BROKER_PAGE, login_of, named
from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Publication
from zkbridge.mqtt.connection_state import ConnectionState
from zkbridge.mqtt.diagnosis import Diagnosis
from zkbridge.mqtt.hooks import Hooks
from zkbridge.mqtt.protocol_choice import Failure, ProtocolChoice, ProtocolName
from zkbridge.mqtt.reasons import MUTE, SILENT
from zkbridge.mqtt.reconnect import ReconnectPolicy

log = logging.getLogger(__name__)

_WHILE_SUBSCRIBING = (
    " while the bridge made subscriptions, {} of them unanswered ({}); some brokers take no more than 50 on a "
    "connection, or close it at a topic that is not allowed"
)
#: How many topics the log names as a possible cause.
_NAMED = 3


class Attempts:
    """Choose the version of MQTT, the last will and the pause of the next attempt; log why the last one ended.

    For one thread. Where the configuration says `auto`, a fact is kept that MQTT 5 has worked with this broker.
    """

    def __init__(self, settings: Settings, hooks: Hooks, will: Publication) -> None:
        self._settings = settings
        self._hooks = hooks
        self._will = will
        self._where = f"{settings.host}:{settings.port}"
        self._help = f"({login_of(settings)}; {BROKER_PAGE})"
        self._fact = f"protocol {self._where}"
        self._choice = ProtocolChoice(settings.protocol, five_has_worked=hooks.recall(self._fact) == "5")
        self._policy = ReconnectPolicy()
        self._diagnosis = Diagnosis(settings)
        self._retains_will = True

    @property
    def next_protocol(self) -> ProtocolName:
        """The version of MQTT to try now."""
        return self._choice.next

    @property
    def retains_will(self) -> bool:
        """Whether the last will may be retained: until the broker has refused that."""
        return self._retains_will

    @property
    def pause_s(self) -> float:
        """The longest pause before the next attempt, in seconds; 0 if it must come at once."""
        return 0.0 if self._choice.asks_at_once else self._policy.pause_s

    @property
    def is_upgrade_due(self) -> bool:
        """Whether a connection by MQTT 3.1.1 is so old that MQTT 5 should be tried again."""
        return self._choice.is_due

    def accepted(self, protocol: ProtocolName) -> bool:
        """Note that the broker accepted a connection; False if it must end at once, because MQTT 5 is asked again."""
        if not self._choice.accepted(protocol):
            return False
        self._policy.accepted()
        return True

    def subscribed(self, protocol: ProtocolName) -> None:
        """Keep that MQTT 5 works with this broker; log why it is not spoken, where it might be."""
        if self._settings.protocol != "auto":
            return
        if protocol == "5" and self._hooks.recall(self._fact) != "5":
            self._hooks.remember(self._fact, "5")
        if (why := self._choice.fallback) is not None:
            log.warning(why)

    def failed_by_fault(self, protocol: ProtocolName, state: ConnectionState | None) -> None:
        """Note that a fault of the bridge ended a connection. None: before there was one."""
        self._policy.failed()
        self._note(protocol, state)

    def ended(
        self,
        protocol: ProtocolName,
        state: ConnectionState | None,
        reason: str | OSError,
        *,
        under_way: Sequence[str] = (),
    ) -> None:
        """Log why a connection ended, and learn from it; `under_way` are the topics that were not confirmed."""
        self._note(protocol, state)
        if state is not None and state.asks_again:
            return
        words = self._diagnosis.of_error(reason) if isinstance(reason, OSError) else reason
        if state is None or state.accepted_at is None:
            self._policy.failed()
            if state is not None and state.overdue:
                words = MUTE
            elif state is not None and state.failure is Failure.SILENT:
                words = self._why_silent(protocol)
            # The login cannot be the cause if no connection to the broker was made.
            asked = (state is not None and state.opened) or isinstance(reason, SSLError)
            log.warning("no connection to the broker %s: %s", self._where, f"{words} {self._help}" if asked else words)
            return
        if not state.ready and not state.unreadable:
            words += _WHILE_SUBSCRIBING.format(len(state.unanswered), named(list(state.unanswered)))
        lived_s = time.monotonic() - state.accepted_at
        self._policy.ended(lived_s, taken_over=state.taken_over, unreadable=state.unreadable)
        log.warning("lost the connection to the broker %s: %s %s", self._where, words, self._help)
        if self._policy.is_contested:
            self._log_contest(under_way)

    def _note(self, protocol: ProtocolName, state: ConnectionState | None) -> None:
        """Choose protocol and will anew, by the way in which a connection ended."""
        if state is None:
            self._choice.failed(protocol, Failure.UNREACHABLE)
            return
        self._retains_will = self._retains_will and not state.retain_refused
        if state.asks_again:
            return
        if state.accepted_at is not None:
            self._choice.ended()
        else:
            self._choice.failed(protocol, state.failure)

    def _why_silent(self, protocol: ProtocolName) -> str:
        """Why the broker closed before CONNACK; over MQTT 3.1.1 it may be the last will, and only trying shows that."""
        words = self._diagnosis.of_silence()
        if protocol == "5" or words != SILENT:
            return words
        from zkbridge.mqtt.dial import of_will  # noqa: PLC0415 - a hundredth of the start, for what few brokers need

        return self._diagnosis.once("will", lambda: of_will(self._settings, protocol, self._will) or words)

    def _log_contest(self, under_way: Sequence[str]) -> None:
        few = 0 < len(under_way) <= _NAMED
        log.error(
            "the broker %s hangs up again and again: is another client using the client id %r?%s Waiting longer %s",
            self._where,
            self._settings.client_id,
            f" Or does it not take what was under way, on {', '.join(under_way)}?" if few else "",
            self._help,
        )
