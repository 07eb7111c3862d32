"""One connection to the broker: paho's loop functions, driven by the bridge's own thread.

So no callback waits for another thread's lock, no acknowledgement is sent on another connection, and messages that
arrive together are kept with one commit. Every connection gets a paho client of its own: the outbox, not paho's memory,
knows which replies have to be sent.
"""

from __future__ import annotations

import logging
import select
import time
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from zkbridge.config.login import rights_of
from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Publication
from zkbridge.mqtt.attempts import Attempts
from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.connection_state import ConnectionClosed, ConnectionState
from zkbridge.mqtt.delivery_delay import DeliveryDelay
from zkbridge.mqtt.hooks import Hooks
from zkbridge.mqtt.packets import (
    empty_properties,
    holds_decrypted_bytes,
    make_client,
    publish_properties,
    send_at_once,
)
from zkbridge.mqtt.protocol_choice import ProtocolName
from zkbridge.mqtt.reasons import QOS_0_ONLY, RETAIN_NOT_SUPPORTED, ending, refusal, refuses_version
from zkbridge.mqtt.receiver import Receiver
from zkbridge.mqtt.send_window import SendWindow
from zkbridge.mqtt.subscription_check import PROBE, SubscriptionCheck
from zkbridge.mqtt.subscriptions import Subscriber
from zkbridge.mqtt.thread_control import ThreadControl

log = logging.getLogger(__name__)

#: How long the broker keeps our session, and so our commands, while we are away (seconds; MQTT 5 only).
SESSION_EXPIRY_S = 7 * 86400
CONNACK_TIMEOUT_S = 10.0
#: How long a broker may take to accept DISCONNECT (seconds).
GOODBYE_S = 1.0
_PROTOCOL_ERROR = 0x82
_TAKEN_OVER = 0x8E


class Parts(NamedTuple):
    """What all connections to the broker share."""

    settings: Settings
    hooks: Hooks
    will: Publication
    control: ThreadControl
    attempts: Attempts
    window: SendWindow
    check: SubscriptionCheck
    delay: DeliveryDelay


class Connection:
    """One connection, from the attempt to its end: `open`, `serve` until it raises or returns, `close`. For one thread.

    `state` says how far it got and how it ended.
    """

    def __init__(self, parts: Parts, protocol: ProtocolName, number: int) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._window = parts.window
        self.state = ConnectionState(protocol, number, BrokerLimits(parts.settings.keepalive))
        self.client = make_client(parts.settings, protocol, parts.will, retain=parts.attempts.retains_will)
        self._subscriber = Subscriber(self.client, self.state, parts.hooks, rights=rights_of(parts.settings))
        self._receiver = Receiver(self.client, self.state, parts.hooks, parts.check, parts.delay)
        self._bind()

    def open(self) -> None:
        """Connect by TCP and TLS, and send CONNECT. Raises OSError."""
        settings = self._settings
        if self.state.protocol == "5":
            properties = empty_properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            self.client.connect(
                settings.host, settings.port, settings.keepalive, clean_start=False, properties=properties
            )
        else:
            self.client.connect(settings.host, settings.port, settings.keepalive)
        send_at_once(self.client)
        self.state.opened = True

    def serve(self) -> None:
        """Receive, send and acknowledge until the bridge stops. Raises ConnectionClosed when the connection is over."""
        control, state, client = self._parts.control, self.state, self.client
        sock = client.socket()
        if sock is None:
            raise ConnectionClosed("no socket")
        poller = select.poll()
        poller.register(control, select.POLLIN)
        poller.register(sock, select.POLLIN)
        woken, heard = control.fileno(), sock.fileno()
        while not control.is_stopping:
            self._check()
            control.announce(state.limits.keepalive_s)
            poller.modify(sock, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            events = dict(poller.poll(self._poll_ms()))
            if woken in events:
                control.drain()
            if events.get(heard, 0) & ~select.POLLOUT:
                self._read(sock)
            if state.ready:
                self._send_waiting()
            if client.want_write():
                client.loop_write()
            client.loop_misc()
        self._disconnect()

    def send(self, publication: Publication, *, retain: bool) -> int:
        """Publish at QoS 1; its packet id. Raises ValueError for what MQTT cannot carry.

        New subscriptions go first: another thread may have asked for them just before it published what names them.
        """
        self._resubscribe()
        info = self.client.publish(
            publication.topic,
            publication.payload,
            qos=1,
            retain=retain,
            properties=publish_properties(publication) if self.state.protocol == "5" else None,
        )
        return int(info.mid)

    def close(self) -> None:
        """Close the socket without DISCONNECT; messages under way on it count as not sent."""
        sock = self.client.socket()
        if sock is not None:
            sock.close()

    # -- the loop ------------------------------------------------------------------------------------------------

    def _poll_ms(self) -> float:
        state, parts = self.state, self._parts
        if not state.ready:
            return max(0.0, state.began + CONNACK_TIMEOUT_S - time.monotonic()) * 1000
        waits_s = (parts.check.wait_s(), parts.delay.wait_s(), self._window.wait_s())
        return min(state.limits.keepalive_s / 4, *waits_s) * 1000

    def _check(self) -> None:
        state = self.state
        if self._parts.control.take_reconnect():
            raise ConnectionClosed("dropped: it showed no sign of life")
        if state.asks_again:
            self._disconnect()
            raise ConnectionClosed("MQTT 5 is asked for once more")
        if state.ready and self._parts.attempts.is_upgrade_due:
            self._disconnect()
            raise ConnectionClosed("MQTT 5 is tried again")
        if state.refused is not None:
            raise ConnectionClosed(state.refused)
        if state.down is not None or self.client.socket() is None:
            raise ConnectionClosed(state.down or "closed")
        if not state.ready and time.monotonic() > state.began + CONNACK_TIMEOUT_S:
            state.overdue = True
            raise ConnectionClosed("no CONNACK" if state.accepted_at is None else "no SUBACK")

    def _read(self, sock: Any) -> None:
        """Read what has arrived, up to a batch; keep it with one commit; then acknowledge it, in order."""
        probe = select.poll()
        probe.register(sock, select.POLLIN)
        while True:
            failed = self.client.loop_read()
            more = not failed and not self._receiver.is_full and self.client.socket() is not None
            if not more or not (holds_decrypted_bytes(sock) or probe.poll(0)):
                break
        self._receiver.settle(self._parts.control.subscriptions)

    def _send_waiting(self) -> None:
        parts = self._parts
        self._resubscribe()
        self._window.extend(Publication(topic, PROBE) for topic in [*parts.check.look(), *parts.delay.look()])
        self._window.fill(self, self.state.limits)

    def _resubscribe(self) -> None:
        if self._parts.control.take_resubscribe():
            self._subscriber.subscribe(self._parts.control.subscriptions)

    def _disconnect(self) -> None:
        """Send DISCONNECT: the broker does not publish the will, and keeps the session."""
        sock = self.client.socket()
        if sock is None:
            return
        self.client.disconnect()
        poller = select.poll()
        poller.register(sock, select.POLLOUT)
        while self.client.want_write() and self.client.socket() is not None and poller.poll(GOODBYE_S * 1000):
            self.client.loop_write()

    # -- what paho calls -----------------------------------------------------------------------------------------

    def _bind(self) -> None:
        client, receiver = self.client, self._receiver

        def on_connect(
            _client: paho.Client,
            _data: Any,
            flags: paho.ConnectFlags,
            reason: ReasonCode,
            properties: Properties | None,
        ) -> None:
            self._on_connect(session=flags.session_present, reason=reason, properties=properties)

        client.on_connect = on_connect
        client.on_disconnect = lambda _client, _data, flags, reason, _props: self._on_disconnect(
            reason, theirs=flags.is_disconnect_packet_from_server
        )
        client.on_publish = lambda _client, _data, mid, reason, _props: self._on_publish(mid, reason)
        client.on_subscribe = lambda _client, _data, mid, reasons, _props: self._on_subscribe(mid, reasons)
        client.on_unreadable = receiver.add
        client.on_message = lambda _client, _data, message: receiver.add(message)
        # Registering this makes paho leave all writing to `serve`.
        client.on_socket_register_write = lambda _client, _data, _sock: None

    def _on_connect(self, *, session: bool, reason: ReasonCode, properties: Properties | None) -> None:
        state, settings = self.state, self._settings
        if reason.is_failure:
            state.refused = refusal(reason, client_id=settings.client_id)
            state.version_refused = refuses_version(reason)
            state.retain_refused = reason.value == RETAIN_NOT_SUPPORTED
            return
        state.limits = BrokerLimits.of(properties, keepalive_s=settings.keepalive, session_expiry_s=SESSION_EXPIRY_S)
        if state.limits.max_qos == 0:
            state.refused = f"refused: {QOS_0_ONLY}"
            return
        if not self._parts.attempts.accepted(state.protocol):
            state.asks_again = True
            return
        state.accepted_at = state.confirmed_at = time.monotonic()
        self._window.begin()
        state.resumed = session
        self._subscriber.subscribe(self._parts.control.subscriptions)

    def _on_disconnect(self, reason: ReasonCode, *, theirs: bool) -> None:
        self.state.down = self.state.down or ending(reason, from_broker=theirs)
        self.state.taken_over = theirs and reason.value == _TAKEN_OVER
        self.state.unreadable = not theirs and reason.value == _PROTOCOL_ERROR

    def _on_subscribe(self, mid: int, reasons: list[ReasonCode]) -> None:
        """Only now does the broker deliver commands: a caller that sees `online` may rely on that."""
        self._subscriber.answered(mid, reasons, self._parts.control.subscriptions)
        if self.state.unanswered:
            return  # there is more to come
        self._parts.control.note_granted()
        if not self.state.ready:  # or else it answers a reload's SUBSCRIBE
            self._begin()

    def _begin(self) -> None:
        state, parts = self.state, self._parts
        where = (self._settings.host, self._settings.port, state.protocol, "resumed" if state.resumed else "new")
        log.info("connected to %s:%d by MQTT %s, %s session", *where)
        filters = parts.control.subscriptions.filters
        for sentence in state.limits.shortcomings(session_expiry_s=SESSION_EXPIRY_S, filters=filters):
            log.warning(sentence)
        parts.attempts.subscribed(state.protocol)
        state.ready = True
        self._window.open()
        parts.hooks.connected(state.protocol, state.limits.largest_packet)
        self._window.extend(parts.hooks.retained())
        probes = parts.check.begin(refused=state.refused_filters, tells_refusals=state.protocol == "5")
        self._window.extend(Publication(topic, PROBE) for topic in probes)
        parts.delay.begin()

    def _on_publish(self, mid: int, reason: ReasonCode) -> None:
        self.state.confirmed_at = time.monotonic()
        refused = self.client.foreign_refusals.pop(mid, str(reason)) if reason.is_failure else None
        self._window.confirmed(mid, refused)
