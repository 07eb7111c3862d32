"""The broker's side: one thread keeps one connection, for the rest of the daemon to publish and subscribe by.

A fault ends the connection, so that the daemon never looks alive while it receives nothing.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterable

from zkbridge.config.login import login_of, rights_of
from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Publication, Token
from zkbridge.mqtt.attempts import Attempts
from zkbridge.mqtt.connection import Connection, Parts
from zkbridge.mqtt.connection_state import ConnectionClosed, ConnectionState
from zkbridge.mqtt.delivery_delay import DeliveryDelay, FixedLimit
from zkbridge.mqtt.hooks import Hooks
from zkbridge.mqtt.protocol_choice import ProtocolName
from zkbridge.mqtt.send_window import SendWindow
from zkbridge.mqtt.subscription_check import SubscriptionCheck
from zkbridge.mqtt.subscriptions import Subscriptions
from zkbridge.mqtt.thread_control import ThreadControl

log = logging.getLogger(__name__)


class Mqtt:
    """The bridge's connection to the broker. `start`, then `publish` from any thread; `stop` disconnects.

    `will` is published by the broker when the connection breaks.
    `subscription_check` knows how to try the subscriptions, `delivery_delay` how long what arrives may have waited.
    """

    def __init__(
        self,
        settings: Settings,
        hooks: Hooks,
        *,
        subscriptions: Subscriptions,
        will: Publication,
        subscription_check: SubscriptionCheck | None = None,
        delivery_delay: DeliveryDelay | None = None,
    ) -> None:
        self._hooks = hooks
        self._check = subscription_check or SubscriptionCheck({}, rights=rights_of(settings))
        self._delay = delivery_delay or DeliveryDelay("", FixedLimit())
        self._window = SendWindow(hooks, self._check, login=login_of(settings))
        self._attempts = Attempts(settings, hooks, will)
        self._control = ThreadControl(subscriptions)
        self._parts = Parts(
            settings, hooks, will, self._control, self._attempts, self._window, self._check, self._delay
        )
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    # -- for other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, and stay connected until `stop`."""
        self._thread.start()

    def publish(self, token: Token | None, publication: Publication) -> None:
        """Send at QoS 1 if connected; what is not confirmed by the end of the connection is dropped.

        A token is given back to `Hooks.confirmed`.
        """
        if self.is_connected:
            self._window.add(token, publication)
            self._control.wake()

    def listen_to(self, filters: Iterable[str], *, echoed: Iterable[str] = (), state: Iterable[str] = ()) -> None:
        """Subscribe to these commands, and to no others, from now on; this connection stays."""
        now = self._control.subscriptions
        self._control.resubscribe(now._replace(filters=tuple(filters), echoed=tuple(echoed), state=frozenset(state)))

    def reconnect(self) -> None:
        """End this connection and make a new one: it shows no sign of life."""
        self._control.reconnect()

    @property
    def resumed(self) -> bool:
        """Whether the broker may hold messages from the time without a connection; True until CONNACK has shown it."""
        state = self._state
        return state is None or state.accepted_at is None or state.resumed

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the connection and the subscriptions, as far as is known."""
        state = self._state
        return state is not None and state.ready

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker has answered the last `listen_to`; True while there is no connection."""
        return self._control.is_granted or not self.is_connected

    @property
    def unserved_subscriptions(self) -> list[str]:
        """The subscriptions that the broker granted and does not serve."""
        return self._check.unserved_subscriptions

    @property
    def brings_back(self) -> bool:
        """Whether the broker is to bring back what the bridge publishes on the `echoed` topics."""
        state, echoed = self._state, self._control.subscriptions.echoed
        if state is None or not state.ready or state.protocol == "5" or not echoed:
            return False
        return not any(each in state.refused_filters for each in echoed)

    @property
    def refused(self) -> list[str]:
        """The topics on which the broker takes none of the bridge's own messages."""
        return [*self._window.refused, *self._check.untaken]

    def is_moving(self) -> bool:
        """Whether the thread has shown itself lately, or is in a pause that it announced."""
        return self._control.is_moving()

    def silent_for(self) -> float:
        """Seconds since the broker last confirmed something; 0 while there is no connection."""
        state = self._state
        return time.monotonic() - state.confirmed_at if state is not None and state.ready else 0.0

    def flush(self, timeout: float) -> bool:
        """Wait until everything published is confirmed; whether that was reached."""
        return self._window.wait_until_empty(timeout)

    def stop(self, timeout: float) -> None:
        """Disconnect and end the thread."""
        self._control.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if not self._thread.is_alive():
            self._control.close()

    @property
    def _state(self) -> ConnectionState | None:
        connection = self._connection
        return None if connection is None else connection.state

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._control.is_stopping:
                self._run_connection()
                if not self._control.is_stopping:
                    self._pause()
        except BaseException as error:  # the last line of a thread: the daemon must end
            log.critical("the broker's side died", exc_info=True)
            self._hooks.fail(error)

    def _run_connection(self) -> None:
        """Run one connection from its attempt to its end; an error in it ends this connection only."""
        protocol = self._attempts.next_protocol
        try:
            self._connect(protocol).serve()
        except ConnectionClosed as end:
            self._attempts.ended(protocol, self._state, str(end), under_way=self._window.under_way)
        except OSError as error:
            self._attempts.ended(protocol, self._state, error, under_way=self._window.under_way)
        except Exception:  # a callback's fault, or paho's
            self._attempts.failed_by_fault(protocol, self._state)
            log.exception("the connection to the broker ended by a fault")
        finally:
            self._close_connection()

    def _connect(self, protocol: ProtocolName) -> Connection:
        connection = self._connection = Connection(self._parts, protocol, self._hooks.next_connection())
        connection.open()
        return connection

    def _pause(self) -> None:
        seconds = self._attempts.pause_s
        self._control.announce(seconds)
        self._control.pause(seconds * random.uniform(0.5, 1))  # noqa: S311 - only to keep many bridges from one beat

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        state = None if connection is None else connection.state
        was_online = state is not None and state.ready
        found = self._window.end(broken=was_online and state is not None and state.down is not None)
        if connection is not None:
            connection.close()
        if was_online:
            self._check.end(innocent=found)
            self._delay.end()
            self._hooks.disconnected()
