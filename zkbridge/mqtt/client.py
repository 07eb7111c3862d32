"""The broker's side: connection, subscriptions, acknowledgements, last will and retained state.

One thread owns the client and drives paho's own loop functions. So no callback meets another thread's lock, an
acknowledgement can never fall into another connection, what arrives together is kept together, and a fault ends one
connection instead of leaving a daemon that looks alive and is deaf. Every connection gets a client of its own:
the outbox, not paho's memory, knows which replies are owed.
"""

from __future__ import annotations

import logging
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Message, Publication
from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.delivery_delay import DeliveryDelay
from zkbridge.mqtt.diagnosis import Diagnosis, tls_context
from zkbridge.mqtt.dial import CONNECT_TIMEOUT_S, ProtocolName
from zkbridge.mqtt.hooks import Hooks
from zkbridge.mqtt.packets import (
    empty_properties,
    holds_decrypted_bytes,
    publish_properties,
    send_at_once,
    will_properties,
)
from zkbridge.mqtt.paho_client import TolerantClient
from zkbridge.mqtt.protocol_choice import Failure, ProtocolChoice
from zkbridge.mqtt.publish_packets import Unreadable, message_of
from zkbridge.mqtt.reasons import QOS_0_ONLY, RETAIN_NOT_SUPPORTED, ending, refusal, refuses_version
from zkbridge.mqtt.reconnect import ReconnectPolicy
from zkbridge.mqtt.send_window import SendWindow
from zkbridge.mqtt.subscription_check import PROBE, SubscriptionCheck

log = logging.getLogger(__name__)

#: How long the broker keeps our session, and so our commands, while we are away (seconds; MQTT 5 only).
SESSION_EXPIRY_S = 7 * 86400
CONNACK_TIMEOUT_S = 10.0
#: How long a broker may take to take our leave.
GOODBYE_S = 1.0
#: How much later than announced the thread may show itself: connecting, and a slow disk, take their time.
SLACK_S = 60.0
#: Messages kept with one commit.
BATCH = 200
_PROTOCOL_ERROR = 0x82
_TAKEN_OVER = 0x8E
_WHILE_SUBSCRIBING = (
    " while the bridge made subscriptions, {} of them unanswered; some brokers take no more than 50 on a connection, "
    "or close it at a topic that is not allowed"
)


class ConnectionClosed(Exception):
    """This connection is over; the message says why."""


@dataclass
class Connection:
    """One connection, from the attempt to its end."""

    client: TolerantClient
    protocol: ProtocolName
    number: int
    began: float
    limits: BrokerLimits
    accepted_at: float | None = None
    resumed: bool = False
    asked_for: dict[int, tuple[str, ...]] = field(default_factory=dict)
    refused_filters: list[str] = field(default_factory=list)
    ready: bool = False
    refused: str | None = None
    version_refused: bool = False
    asks_again: bool = False
    overdue: bool = False
    taken_over: bool = False
    unreadable: bool = False
    down: str | None = None

    def send(self, publication: Publication, *, retain: bool) -> int:
        """Publish at QoS 1; its packet id. Raises ValueError for what MQTT cannot carry."""
        info = self.client.publish(
            publication.topic,
            publication.payload,
            qos=1,
            retain=retain,
            properties=publish_properties(publication) if self.protocol == "5" else None,
        )
        return int(info.mid)


class Mqtt:
    """The one connection to the broker. `start`, then `publish` from any thread; `stop` says what is to be last said.

    `filters` are the commands' subscriptions, `watched` topics go to `Hooks.overheard` instead of `Hooks.receive`;
    `echoed` are filters of what the bridge itself publishes: over MQTT 3.1.1, where a PUBACK tells no refusal, it
    subscribes to them, and what comes goes to `Hooks.overheard` too.
    `subscription_check` knows how to try them, `delivery_delay` how long what arrives may have waited.
    """

    def __init__(
        self,
        settings: Settings,
        hooks: Hooks,
        *,
        filters: Iterable[str],
        watched: Iterable[str],
        echoed: Iterable[str] = (),
        will: Publication,
        died: Callable[[BaseException], None],
        subscription_check: SubscriptionCheck | None = None,
        delivery_delay: DeliveryDelay | None = None,
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._filters = tuple(filters)
        self._watched = frozenset(watched)
        self._echoed = tuple(echoed)
        self._will = will
        self._died = died
        self._subscription_check = subscription_check or SubscriptionCheck({})
        self._delivery_delay = delivery_delay or DeliveryDelay("", lambda: None)
        self._window = SendWindow(hooks, self._subscription_check)
        self._arrived: list[paho.MQTTMessage | Unreadable] = []
        self._stop = threading.Event()
        self._drop = threading.Event()
        self._listens_anew = threading.Event()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._connection: Connection | None = None
        self._retains = True
        self._choice = self._make_choice()
        self._diagnosis = Diagnosis(settings)
        self._reconnect_policy = ReconnectPolicy()
        self._last_sign = self._next_move = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    # -- for other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, and stay connected until `stop`."""
        self._thread.start()

    def publish(self, token: int | None, publication: Publication) -> None:
        """Send at QoS 1 if connected; what is not confirmed by the end of the connection is dropped.

        A token is given back to `Hooks.confirmed`.
        """
        if self.is_connected:
            self._window.add(token, publication)
            self._wake()

    def listen_to(self, filters: Iterable[str], *, echoed: Iterable[str] = ()) -> None:
        """Subscribe to these commands, and to no others, from now on; this connection stays."""
        self._filters, self._echoed = tuple(filters), tuple(echoed)
        self._listens_anew.set()
        self._wake()

    def reconnect(self) -> None:
        """End this connection and make a new one: it shows no sign of life."""
        self._drop.set()
        self._wake()

    @property
    def resumed(self) -> bool:
        """Whether the broker may hold what was published while we were away; so it may as long as it has not said."""
        life = self._connection
        return life is None or life.accepted_at is None or life.resumed

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted us and our subscriptions, as far as we know."""
        life = self._connection
        return life is not None and life.ready

    @property
    def unserved_subscriptions(self) -> list[str]:
        """The subscriptions that the broker granted and does not serve."""
        return self._subscription_check.unserved_subscriptions

    @property
    def brings_back(self) -> bool:
        """Whether the broker is to bring back what the bridge publishes on the `echoed` topics."""
        life = self._connection
        if life is None or not life.ready or life.protocol == "5" or not self._echoed:
            return False
        return not any(each in life.refused_filters for each in self._echoed)

    @property
    def refused(self) -> list[str]:
        """The topics on which the broker takes none of the bridge's own messages."""
        return self._window.refused

    def is_moving(self) -> bool:
        """Whether the thread has shown itself lately, or is in a pause that it announced."""
        return time.monotonic() < self._next_move + SLACK_S

    def silent_for(self) -> float:
        """Seconds since the broker last confirmed something, or since there was no connection."""
        return time.monotonic() - self._last_sign if self.is_connected else 0.0

    def flush(self, timeout: float) -> bool:
        """Wait until everything published is confirmed; whether that was reached."""
        return self._window.wait_until_empty(timeout)

    def stop(self, timeout: float) -> None:
        """Disconnect and end the thread."""
        self._stop.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if not self._thread.is_alive():
            self._waker.close()
            self._woken.close()

    def _wake(self) -> None:
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            pass  # it has been woken often enough
        except OSError:
            pass  # it has stopped

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._run_connection()
                if not self._stop.is_set() and not self._choice.asks_at_once:
                    self._pause()
        except BaseException as error:  # the last line of a thread: whoever watches must hear of it
            log.critical("the broker's side died", exc_info=True)
            self._died(error)

    def _run_connection(self) -> None:
        """One connection from its attempt to its end; whatever goes wrong in it ends it and nothing else."""
        protocol = self._choice.next
        life: Connection | None = None
        try:
            life = self._connect(protocol)
            self._serve(life)
        except ConnectionClosed as end:
            self._explain(protocol, life, str(end))
        except OSError as error:
            self._explain(protocol, life, self._diagnosis.of_error(error))
        except Exception:  # a callback's fault, or paho's
            self._reconnect_policy.failed()
            self._note_end(protocol, life)
            log.exception("the connection to the broker ended by a fault")
        finally:
            self._close_connection(life)

    def _connect(self, protocol: ProtocolName) -> Connection:
        number = self._hooks.next_connection()
        client = self._client(protocol)
        life = Connection(client, protocol, number, time.monotonic(), BrokerLimits(self._settings.keepalive))
        self._bind(life)
        settings = self._settings
        if protocol == "5":
            properties = empty_properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            client.connect(settings.host, settings.port, settings.keepalive, clean_start=False, properties=properties)
        else:
            client.connect(settings.host, settings.port, settings.keepalive)
        send_at_once(client)
        self._connection = life
        return life

    def _client(self, protocol: ProtocolName) -> TolerantClient:
        settings = self._settings
        five = protocol == "5"
        client = TolerantClient(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.foreign_refusals = {}
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # no limit of paho's: it cannot follow the broker's, see `_send_waiting`
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls is not None:
            client.tls_set_context(tls_context(settings))
        properties = will_properties(protocol)
        client.will_set(self._will.topic, self._will.payload, qos=1, retain=self._retains, properties=properties)
        return client

    def _bind(self, life: Connection) -> None:
        def on_connect(
            _client: paho.Client,
            _data: Any,
            flags: paho.ConnectFlags,
            reason: ReasonCode,
            properties: Properties | None,
        ) -> None:
            self._on_connect(life, session=flags.session_present, reason=reason, properties=properties)

        def on_disconnect(
            _client: paho.Client, _data: Any, flags: paho.DisconnectFlags, reason: ReasonCode, _properties: Any
        ) -> None:
            theirs = flags.is_disconnect_packet_from_server
            life.down = life.down or ending(reason, from_broker=theirs)
            life.taken_over = theirs and reason.value == _TAKEN_OVER
            life.unreadable = not theirs and reason.value == _PROTOCOL_ERROR

        def on_publish(_client: paho.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
            self._on_publish(life, mid, reason)

        def on_subscribe(_client: paho.Client, _data: Any, mid: int, reasons: list[ReasonCode], _props: Any) -> None:
            self._on_subscribe(life, mid, reasons)

        life.client.on_connect = on_connect
        life.client.on_disconnect = on_disconnect
        life.client.on_publish = on_publish
        life.client.on_subscribe = on_subscribe
        life.client.on_unreadable = lambda packet: self._arrived.append(packet)  # noqa: PLW0108 - the list changes
        life.client.on_message = lambda _client, _data, message: self._arrived.append(message)
        # Registering this makes paho leave all writing to the loop below.
        life.client.on_socket_register_write = lambda _client, _data, _sock: None

    def _serve(self, life: Connection) -> None:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        sock = life.client.socket()
        if sock is None:
            raise ConnectionClosed("no socket")
        poller.register(sock, select.POLLIN)
        woken, heard = self._woken.fileno(), sock.fileno()
        while not self._stop.is_set():
            self._check(life)
            self._next_move = time.monotonic() + life.limits.keepalive_s
            wanted = select.POLLIN | (select.POLLOUT if life.client.want_write() else 0)
            poller.modify(sock, wanted)
            events = dict(poller.poll(self._poll_ms(life)))
            if woken in events:
                self._drain_wakes()
            if events.get(heard, 0) & ~select.POLLOUT:
                self._read(life, sock)
            if life.ready:
                self._listen_anew(life)
                self._say_probes([*self._subscription_check.look(), *self._delivery_delay.look()])
            if life.ready:
                self._window.fill(life, life.limits)
            if life.client.want_write():
                life.client.loop_write()
            life.client.loop_misc()
        self._say_goodbye(life)

    def _poll_ms(self, life: Connection) -> float:
        if not life.ready:
            return max(0.0, life.began + CONNACK_TIMEOUT_S - time.monotonic()) * 1000
        waits_s = (self._subscription_check.wait_s(), self._delivery_delay.wait_s(), self._window.wait_s())
        return min(life.limits.keepalive_s / 4, *waits_s) * 1000

    def _check(self, life: Connection) -> None:
        if self._drop.is_set():
            self._drop.clear()
            raise ConnectionClosed("dropped: it showed no sign of life")
        if life.asks_again:
            self._say_goodbye(life)
            raise ConnectionClosed("MQTT 5 is asked for once more")
        if life.ready and self._choice.is_due:
            self._say_goodbye(life)
            raise ConnectionClosed("MQTT 5 is tried again")
        if life.refused is not None:
            raise ConnectionClosed(life.refused)
        if life.down is not None or life.client.socket() is None:
            raise ConnectionClosed(life.down or "closed")
        if not life.ready and time.monotonic() > life.began + CONNACK_TIMEOUT_S:
            life.overdue = True
            raise ConnectionClosed("no CONNACK" if life.accepted_at is None else "no SUBACK")

    def _drain_wakes(self) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            return

    def _read(self, life: Connection, sock: Any) -> None:
        """Read what is there, up to a batch; keep it with one commit; then acknowledge it, in order."""
        probe = select.poll()
        probe.register(sock, select.POLLIN)
        while True:
            failed = life.client.loop_read()
            more = not failed and len(self._arrived) < BATCH and life.client.socket() is not None
            if not more or not (holds_decrypted_bytes(sock) or probe.poll(0)):
                break
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        waited_s = self._delivery_delay.waited_s()  # before this batch is looked at: an echo in it proves nothing of it
        read = [message_of(raw, connection=life.number, waited_s=waited_s) for raw in arrived]
        self._hooks.unreadable([each for each in read if isinstance(each, Unreadable)])
        messages = [each for each in read if isinstance(each, Message)]
        own = [self._is_own(message) for message in messages]
        commands = [
            message
            for message, is_own in zip(messages, own, strict=True)
            if not is_own and not self._is_watched(message.topic)
        ]
        if commands:
            self._keep(life, commands)
        for message in messages:  # after the commands: what our own word stands behind must be judged before it
            if self._is_watched(message.topic):
                self._overhear(message)
        for raw in arrived:
            if raw.qos and raw.mid:
                life.client.ack(raw.mid, raw.qos)

    def _overhear(self, message: Message) -> None:
        try:
            self._hooks.overheard(message.topic, message.payload)
        except Exception:  # it would come again for ever, and every command with it
            log.exception("a message on a topic of the bridge's own is ignored")

    def _keep(self, life: Connection, commands: list[Message]) -> None:
        try:
            self._hooks.receive(commands)
        except Exception as error:
            lost = sum(1 for message in commands if message.qos == 0)
            log.error(  # noqa: TRY400 - the cause is told in one line, again and again while a disk is full
                "%d messages could not be kept (%s); they are not acknowledged, the broker will bring them again%s",
                len(commands),
                error,
                f", but not the {lost} that came at QoS 0" if lost else "",
            )
            life.unreadable = True  # this end of the connection is no other client's doing
            raise ConnectionClosed("what it brought could not be kept") from error

    def _is_watched(self, topic: str) -> bool:
        return topic in self._watched or any(paho.topic_matches_sub(each, topic) for each in self._echoed)

    def _is_own(self, message: Message) -> bool:
        own = self._subscription_check.take(message.topic, message.payload)
        if own:
            self._delivery_delay.take(message.topic)
        return own

    def _say_probes(self, topics: Iterable[str]) -> None:
        self._window.extend(Publication(topic, PROBE) for topic in topics)

    def _say_goodbye(self, life: Connection) -> None:
        """A clean end: the will is not sent, the session stays."""
        sock = life.client.socket()
        if sock is None:
            return
        life.client.disconnect()
        poller = select.poll()
        poller.register(sock, select.POLLOUT)
        while life.client.want_write() and life.client.socket() is not None and poller.poll(GOODBYE_S * 1000):
            life.client.loop_write()

    # -- what paho tells -----------------------------------------------------------------------------------------

    def _on_connect(
        self, life: Connection, *, session: bool, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            life.refused = refusal(reason, client_id=self._settings.client_id)
            life.version_refused = refuses_version(reason)
            self._retains = self._retains and reason.value != RETAIN_NOT_SUPPORTED
            return
        settings = self._settings
        life.limits = BrokerLimits.of(properties, keepalive_s=settings.keepalive, session_expiry_s=SESSION_EXPIRY_S)
        if life.limits.max_qos == 0:
            life.refused = f"refused: {QOS_0_ONLY}"
            return
        if not self._choice.accepted(life.protocol):
            life.asks_again = True
            return
        life.accepted_at = self._last_sign = time.monotonic()
        self._reconnect_policy.accepted()
        self._window.begin()
        life.resumed = session
        self._subscribe(life)

    def _subscribe(self, life: Connection) -> None:
        echoed = self._echoed if life.protocol == "3.1.1" else ()
        wanted = [*self._filters, *sorted(self._watched), *echoed]
        before = (self._hooks.recall("filters") or "").split()
        gone = [known for known in before if known not in wanted]
        for some in life.limits.packets(gone):
            life.client.unsubscribe(list(some))
        # Retain as published, so that a retained command is seen as one; retain handling 2: none on subscribing.
        options = SubscribeOptions(qos=1, noLocal=False, retainAsPublished=True, retainHandling=2)
        for some in life.limits.packets(wanted):
            if life.protocol == "5":
                _, mid = life.client.subscribe([(wish, options) for wish in some])
            else:
                _, mid = life.client.subscribe([(wish, 1) for wish in some])
            if mid is not None:
                life.asked_for[mid] = some
        if before != wanted:
            self._hooks.remember("filters", " ".join(wanted))

    def _listen_anew(self, life: Connection) -> None:
        if self._listens_anew.is_set():
            self._listens_anew.clear()
            self._subscribe(life)

    def _on_subscribe(self, life: Connection, mid: int, reasons: list[ReasonCode]) -> None:
        """Only now can anybody be heard: whoever sees `online` may rely on that."""
        for wish, reason in zip(life.asked_for.pop(mid, ()), reasons, strict=False):
            if reason.is_failure and wish in self._echoed:
                log.warning("the broker refuses the subscription to %s: a punch that it refuses goes unnoticed", wish)
                life.refused_filters.append(wish)
            elif reason.is_failure:
                log.error("the broker refuses the subscription to %s (%s): no such command will be heard", wish, reason)
                life.refused_filters.append(wish)
        if life.ready or life.asked_for:
            return  # it was what a reload wants to hear, or there is more to come
        where = (self._settings.host, self._settings.port, life.protocol, "resumed" if life.resumed else "new")
        log.info("connected to %s:%d by MQTT %s, %s session", *where)
        for sentence in life.limits.shortcomings(session_expiry_s=SESSION_EXPIRY_S, filters=self._filters):
            log.warning(sentence)
        self._note_protocol(life.protocol)
        life.ready = True
        self._window.open()
        self._hooks.connected(life.protocol, life.limits.largest_packet)
        self._window.extend(self._hooks.retained())
        self._say_probes(self._subscription_check.begin(refused=life.refused_filters))
        self._delivery_delay.begin()

    def _on_publish(self, life: Connection, mid: int, reason: ReasonCode) -> None:
        self._last_sign = time.monotonic()
        refusal = life.client.foreign_refusals.pop(mid, str(reason)) if reason.is_failure else None
        self._window.confirmed(mid, refusal)

    # -- between connections -------------------------------------------------------------------------------------

    def _make_choice(self) -> ProtocolChoice:
        worked = self._hooks.recall(self._protocol_fact) == "5"
        return ProtocolChoice(self._settings.protocol, five_has_worked=worked)

    @property
    def _protocol_fact(self) -> str:
        return f"protocol {self._settings.host}:{self._settings.port}"

    def _note_protocol(self, protocol: ProtocolName) -> None:
        """Keep that MQTT 5 works with this broker; say why it is not spoken, where it might be."""
        if self._settings.protocol != "auto":
            return
        if protocol == "5" and self._hooks.recall(self._protocol_fact) != "5":
            self._hooks.remember(self._protocol_fact, "5")
        if (why := self._choice.fallback) is not None:
            log.warning(why)

    def _note_end(self, protocol: ProtocolName, life: Connection | None) -> None:
        """Let the choice of the protocol learn from how a connection ended."""
        if life is not None and (life.accepted_at is not None or life.asks_again):
            if not life.asks_again:
                self._choice.ended()
            return
        self._choice.failed(protocol, _failure(life))

    def _explain(self, protocol: ProtocolName, life: Connection | None, reason: str) -> None:
        """Say why there is no connection, and draw conclusions."""
        where = f"{self._settings.host}:{self._settings.port}"
        self._note_end(protocol, life)
        if life is not None and life.asks_again:
            return
        if life is None or life.accepted_at is None:
            self._reconnect_policy.failed()
            if _failure(life) is Failure.SILENT:
                reason = self._diagnosis.of_silence()
            log.warning("no connection to the broker %s: %s", where, reason)
            return
        if not life.ready:
            reason += _WHILE_SUBSCRIBING.format(sum(map(len, life.asked_for.values())))
        lived = time.monotonic() - life.accepted_at
        self._reconnect_policy.ended(lived, taken_over=life.taken_over, unreadable=life.unreadable)
        log.warning("lost the connection to the broker %s: %s", where, reason)
        if self._reconnect_policy.is_contested:
            under_way = self._window.under_way
            log.error(
                "the broker %s hangs up again and again: is another client using the client id %r?%s Waiting longer",
                where,
                self._settings.client_id,
                f" Or does it not take what was under way, on {', '.join(under_way)}?"
                if 0 < len(under_way) < 4
                else "",
            )

    def _pause(self) -> None:
        seconds = self._reconnect_policy.pause_s
        self._next_move = time.monotonic() + seconds
        self._stop.wait(seconds * random.uniform(0.5, 1))  # noqa: S311 - only to keep many bridges from one beat

    def _close_connection(self, life: Connection | None) -> None:
        was_online = life is not None and life.ready
        self._connection = None
        self._arrived.clear()
        found = self._window.end(broken=was_online and life is not None and life.down is not None)
        if life is not None:
            sock = life.client.socket()
            if sock is not None:
                sock.close()  # without a word: whatever is under way on it is void
        if was_online:
            self._subscription_check.end(innocent=found)
            self._delivery_delay.end()
            self._hooks.disconnected()


def _failure(life: Connection | None) -> Failure:
    """How an attempt failed that the broker did not accept."""
    if life is None or life.overdue:
        return Failure.UNREACHABLE
    if life.version_refused:
        return Failure.VERSION_REFUSED
    return Failure.SILENT if life.refused is None else Failure.REFUSED
