"""Put the parts together; start and stop them in order; resume what a crash left."""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import zkbridge
from zkbridge.attendance.listener import Listener
from zkbridge.bridge.ledger_care import LedgerCare
from zkbridge.bridge.subscriptions import command_filters, echoes
from zkbridge.commands import commands
from zkbridge.config import loader
from zkbridge.config.changes import Changes, compare
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import BridgeError, DeviceNotFound, Expired, Internal, OutcomeUnknown
from zkbridge.contract.groups import Said, together
from zkbridge.contract.messages import Message, Publication, Reply, encode, failed, parse_object
from zkbridge.contract.topics import BRIDGE, Topics
from zkbridge.homeassistant.publisher import HomeAssistant, Hooks
from zkbridge.intake.intake import Intake
from zkbridge.intake.keeper import PATIENCE_S, Keeper
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.budget import Budget, Reserve
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer, Finish, Request
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.machine.limits import SHORTAGES
from zkbridge.metrics.metrics import Metrics
from zkbridge.mqtt.client import Mqtt
from zkbridge.mqtt.delivery_delay import DeliveryDelay
from zkbridge.mqtt.dial import ProtocolName
from zkbridge.mqtt.publish_packets import Unreadable
from zkbridge.mqtt.subscription_check import SubscriptionCheck
from zkbridge.mqtt.subscriptions import Subscriptions
from zkbridge.outbox.punches import Announcer
from zkbridge.outbox.replies import Outbox
from zkbridge.outbox.short_reply import ReplyRoom
from zkbridge.runtime.scheduler import Upkeep
from zkbridge.runtime.thread_pool import PacedLock, ThreadPool
from zkbridge.telemetry.events import Answered, EventSink, broadcast
from zkbridge.telemetry.snapshot import Books, Standing, Terminal
from zkbridge.worker.surroundings import Shared
from zkbridge.worker.worker import Worker

log = logging.getLogger(__name__)

#: Seconds between proofs of life: a publish that the broker confirms.
PULSE_S = 30.0
#: Without a confirmation for so long a connection is given up.
DEAF_AFTER_S = 75.0
#: Seconds after an answer until the write-ahead log is emptied of what was asked.
SCRUB_AFTER_S = 1.0
#: Seconds until a worker that could not begin is asked again.
BEGIN_AGAIN_S = 1.0
#: Seconds between looks whether the bridge ends, while a worker finishes what is in hand.
LEAVING_S = 0.2
#: Seconds for what is owed to reach the broker when the bridge stops.
FAREWELL_S = 5.0
#: And for the last word, whatever came before.
GOODBYE_S = 2.0
#: The first look at the terminals is spread over this many seconds for each hundred of them.
SPREAD_PER_HUNDRED_S = 2.0
#: A terminal that is owed an enable is visited again after this many seconds, doubling up to the most.
DEBT_FIRST_S, DEBT_MOST_S = 5.0, 300.0
_ONLINE = encode({"state": "online"})
#: Why a device is offline after a clean stop, by the language of the configuration.
_STOPPED = {"es": "el puente se ha detenido", "en": "the bridge has stopped"}


class Bridge:
    """The daemon: `start`, then wait on `ended`, then `stop`. `online` is set while the broker hears us and we it.

    Raises what the ledger raises when its folder cannot be used. After a part died `failure` says which.
    """

    def __init__(self, config: Config, *, clock: Clock = SYSTEM) -> None:
        self._config = config
        self._clock = clock
        self._topics = Topics(config.mqtt.base_topic)
        self._commands = commands()
        self.instance = secrets.token_hex(8)
        self.online = threading.Event()
        self.ended = threading.Event()
        self._began = time.monotonic()
        self.failure: BaseException | None = None
        self._states: dict[str, bytes] = {}
        self._seen: dict[str, float] = {}
        self._connection = 0
        self._reconnects = 0
        self._settled = False
        self._states_lock = threading.Lock()
        #: One change of the parts at a time; and none while messages are being handed from one to the other.
        self._changing = threading.Lock()
        self._handing_over = threading.Lock()
        self._protocol: ProtocolName | None = None
        self._upkeep = Upkeep(died=self.fail)
        self._metrics = self._make_metrics()
        self._room = ReplyRoom(config.mqtt.max_reply)
        reserve = Reserve(loader.state_dir(config))
        reserve.release_if_full()
        self._ledger = Ledger(
            loader.state_dir(config),
            combine=self._combine,
            clock=clock.now,
            readings=[command.name for command in self._commands.values() if command.reads],
        )
        self._care = LedgerCare(
            self._ledger,
            Budget(self._ledger, reserve, clock=clock.now),
            self._upkeep,
            settings=lambda: self._config.ledger,
            died=self.fail,
        )
        self._ledger.database.when_full = self._care.full
        self._keeper = Keeper(SetAside(loader.state_dir(config)), self._topics)
        self._homeassistant = HomeAssistant(config, self._homeassistant_hooks())
        self._tell = broadcast(self._listeners())
        filters = self._filters()
        self._door_age_s = _door_age_s(config)
        self._mqtt = Mqtt(
            config.mqtt,
            self,
            subscriptions=Subscriptions(
                tuple(filters),
                watched=frozenset([self._topics.state, self._topics.health, *self._homeassistant.watched]),
                echoed=tuple(self._echoed()),
            ),
            will=self._state("offline"),
            died=self.fail,
            subscription_check=self._subscription_check(),
            delivery_delay=DeliveryDelay(self._topics.command(BRIDGE, "door/unlock"), lambda: self._door_age_s),
        )
        self._outbox = Outbox(
            self._ledger, self._mqtt.publish, topics=self._topics, language=config.language, died=self.fail
        )
        # Tokens below zero are punches, those above are answers: both are given back to `confirmed`.
        self._announcer = Announcer(
            self._ledger,
            self._topics,
            lambda punch, publication: self._mqtt.publish(-punch, publication),
            died=self.fail,
            comes_back=lambda: self._mqtt.brings_back,
        )
        left = self._ledger.unfinished()
        self._pool = ThreadPool()
        self._failure_gate = PacedLock()
        self._workers = self._make_workers(config.devices, left)
        self._intake = Intake(
            config,
            self._ledger,
            self._commands,
            subscribed=self._own(filters),
            waiting=lambda device: self._workers[device].waiting,
            submit=self._submit,
            answered=self.note_answers,
            keeper=self._keeper,
            settled=lambda: self._settled or not self._mqtt.resumed,
            tells_retained=lambda: self._protocol == "5",
            tell=self._tell,
            clock=clock,
        )
        self._left = left
        self._waiting = [each.request for each in self._ledger.waiting()]

    def start(self) -> None:
        """Resume what is unfinished, look after the terminals, and connect; returns at once.

        Raises MetricsUnavailable before anything has begun; `stop` is then all that is left to do.
        """
        if self._metrics is not None:
            self._metrics.start()
        self._resume(self._left)
        self._wait_on(self._waiting)
        self._outbox.start()
        self._announcer.start()
        self._schedule()
        self._upkeep.start()
        self._mqtt.start()

    def reload(self, config: Config) -> Changes:
        """Take over devices that were added, removed or changed, and tell what became of them.

        Returns when a device that was removed or changed has finished what was in hand; what waits is answered
        `device_not_found`, or done with the new settings. Raises ConfigError if anything else differs, and then
        nothing has changed. A bridge that is told to end meanwhile leaves the rest to its next start.
        """
        with self._changing:
            changes = compare(self._config, config)
            if changes.need_restart:
                raise ConfigError(list(changes.need_restart))
            leaving = [self._workers[device] for device in (*changes.removed, *changes.changed)]
            for worker in leaving:
                worker.stop()
            self._take_over(config, changes.added)
            if self._have_left(leaving):
                self._replace(changes)
        return changes

    def fail(self, error: BaseException) -> None:
        """A part died: the whole ends."""
        self.failure = self.failure or error
        self.ended.set()

    def stop(self) -> None:
        """Finish what is in hand, send what is owed, say offline, and leave the rest on disk."""
        self.ended.set()
        with self._changing:
            self._stop_parts()

    def _stop_parts(self) -> None:
        self._intake.stop()
        for worker in self._workers.values():
            worker.stop()
        self._upkeep.stop()
        if self._metrics is not None:
            self._metrics.stop()
        patience = time.monotonic() + self._config.retry.deadline
        for worker in self._workers.values():
            if not worker.join(max(0.1, patience - time.monotonic())):
                log.warning("device=%s is still being talked to; the next start goes on", worker.device.id)
        self._homeassistant.flush()
        self._say_goodbye(time.monotonic() + FAREWELL_S)
        self._mqtt.stop(GOODBYE_S)
        self._outbox.stop()
        self._announcer.stop()
        self._ledger.close()

    def _say_goodbye(self, until: float) -> None:
        """A broker that has stopped listening holds up the end once, not for every word."""
        if self._mqtt.is_connected:
            self._outbox.drain(max(0.0, until - time.monotonic()))
            self._announcer.drain(max(0.0, until - time.monotonic()))
            self._publish_stopped()
            self._mqtt.publish(None, self._state("offline"))
            self._mqtt.flush(max(GOODBYE_S, until - time.monotonic()))

    def _publish_stopped(self) -> None:
        """No device stays `online` at the broker; one that no probe would mark online again is cleared instead."""
        with self._states_lock:
            online = [device for device, body in self._states.items() if body == _ONLINE]
            self._states |= dict.fromkeys(online, self._stopped)
        for device in online:
            worker = self._workers.get(device)
            is_probed = self._config.probe_interval or (worker is not None and worker.listens)
            body = self._stopped if is_probed else b""
            self._mqtt.publish(None, Publication(self._topics.availability(device), body, retain=True))

    @property
    def _stopped(self) -> bytes:
        return encode({"state": "offline", "reason": _STOPPED[self._config.language]})

    def is_well(self) -> bool:
        """Whether every part shows signs of life: what systemd's watchdog is told by."""
        overdue = [worker.device.id for worker in self._workers.values() if worker.overdue()]
        if overdue:
            log.error("overdue: %s", ", ".join(overdue))
        if not (keeps := self._keeper.is_well()):
            log.error("nothing could be kept for %g s", PATIENCE_S)
        return not overdue and keeps and self.failure is None and self._upkeep.is_well() and self._mqtt.is_moving()

    def status(self) -> str:
        """One line for people, as systemd shows it."""
        waiting = sum(worker.waiting for worker in self._workers.values())
        link = f"connected by MQTT {self._protocol}" if self._mqtt.is_connected else "waiting for the broker"
        if unserved := self._mqtt.unserved_subscriptions:
            link += f", deaf to {', '.join(unserved)}"
        return f"{link}; {len(self._workers)} devices, {waiting} requests waiting"

    def standing(self) -> Standing:
        """How everything stands just now."""
        workers = self._workers
        with self._states_lock:
            states, seen = dict(self._states), dict(self._seen)
        return Standing(
            version=zkbridge.__version__,
            uptime_s=time.monotonic() - self._began,
            connected=self._mqtt.is_connected,
            reconnects=self._reconnects,
            unserved_subscriptions=tuple(self._mqtt.unserved_subscriptions),
            queue_limit=self._config.queue_limit,
            terminals=tuple(
                Terminal(
                    id_,
                    waiting=worker.waiting,
                    online=None if not states.get(id_) else states[id_] == _ONLINE,
                    seen_at=seen.get(id_),
                    pending_enable=worker.pending_enable,
                )
                for id_, worker in workers.items()
            ),
            books=self._books(),
            set_aside=self._keeper.set_aside,
            short_of=SHORTAGES.current(),
        )

    # -- what mqtt asks (see mqtt.Hooks) ---------------------------------------------------------------------------

    def receive(self, messages: Iterable[Message]) -> None:
        """Keep messages from the broker."""
        with self._handing_over:
            self._intake.receive(messages)

    def unreadable(self, packets: Iterable[Unreadable]) -> None:
        """Set packets aside that are no messages."""
        for packet in packets:
            self._keeper.give_up_unread(packet.topic, self._ledger.digest(packet.content), packet.reason)

    def next_connection(self) -> int:
        """The number of the next connection."""
        self._connection = self._ledger.facts.next_connection()
        return self._connection

    def retained(self) -> list[Publication]:
        """State, info and every device's availability."""
        with self._states_lock:
            states = dict(self._states)
        available = [
            Publication(self._topics.availability(device), body, retain=True) for device, body in states.items()
        ]
        return [self._state("online"), self._info(), *available, *self._homeassistant.retained(), self._health()]

    def connected(self, protocol: ProtocolName, largest: int | None) -> None:
        """Online: the info tells the protocol in use, the outbox may send."""
        self._reconnects += self._protocol is not None
        self._protocol = protocol
        self._room.follow(largest)
        self._outbox.online(largest)
        self._announcer.online()
        self.online.set()

    def disconnected(self) -> None:
        """Offline: nothing under way was confirmed."""
        self.online.clear()
        self._settled = False
        self._outbox.offline()
        self._announcer.offline()

    def confirmed(self, token: int, refusal: str | None) -> None:
        """The broker took or refused an answer, or a punch."""
        if token < 0:
            self._announcer.confirmed(-token, refusal)
        else:
            self._outbox.confirmed(token, refusal)
            self._upkeep.later("scrub", SCRUB_AFTER_S, self._ledger.scrub)  # what was read need not stay

    def overheard(self, topic: str, payload: bytes) -> None:
        """Our own words.

        A late will of an earlier run must not leave us marked dead; and a sign of life of this connection stands
        behind whatever waited at the broker.
        """
        self._homeassistant.overheard(topic, payload)
        self._announcer.echoed(topic, payload)
        try:
            state = parse_object(payload)
        except BridgeError:
            return
        if topic == self._topics.health and state.get("instance") == self.instance:
            self._settled = self._settled or state.get("connection") == self._connection
        if topic == self._topics.state and state.get("state") == "offline" and state.get("instance") != self.instance:
            log.info("an earlier run was declared offline only now; saying online again")
            self._mqtt.publish(None, self._state("online"))

    def recall(self, name: str) -> str | None:
        """A fact about the broker."""
        return self._ledger.facts.recall("mqtt", name)

    def remember(self, name: str, value: str) -> None:
        """Keep a fact about the broker, if the disk takes it."""
        self._keep_fact("mqtt", name, value)

    # -- inside --------------------------------------------------------------------------------------------------

    def _combine(self, group: str, said: Sequence[Said], *, request_id: str | None) -> Reply:
        return together(group, said, request_id=request_id, language=self._config.language, room=self._room())

    def _listeners(self) -> list[EventSink]:
        """Who wants to hear what happens in the parts."""
        listeners: list[EventSink] = [] if self._metrics is None else [self._metrics.tell]
        if self._config.homeassistant.discovery:
            listeners.append(self._homeassistant.hear)
        return listeners

    def _make_metrics(self) -> Metrics | None:
        if self._config.metrics.port is None:
            return None
        return Metrics(self._config.metrics, self.standing, devices=lambda: self._config.devices)

    def _books(self) -> Books | None:
        try:
            return self._ledger.books()
        except LedgerUnavailable:
            return None

    def _homeassistant_hooks(self) -> Hooks:
        return Hooks(
            recall=self._ledger.facts.recall,
            remember=self._keep_fact,
            publish=lambda publication: self._mqtt.publish(None, publication),
            later=self._upkeep.later,
            taken=lambda: self._mqtt.flush(FAREWELL_S) and self._mqtt.is_connected,
        )

    def _keep_fact(self, subject: str, name: str, value: str) -> None:
        try:
            self._ledger.facts.remember(subject, name, value)
        except LedgerUnavailable as failure:
            log.warning("what is known of %s is not kept: %s", subject, failure)

    def _own(self, filters: Iterable[str]) -> list[str]:
        """The filters of the topics on which no caller may have the bridge speak."""
        return [*filters, self._topics.state, *self._homeassistant.own]

    def _echoed(self) -> list[str]:
        """Where punches are published, for a broker that cannot tell that it refuses them."""
        live = [device for device, settings in self._config.devices.items() if settings.attendance != "off"]
        if live and self._config.mqtt.unknown_devices == "answer":
            return [self._topics.punches("+")]
        return [self._topics.punches(device) for device in live]

    def _filters(self) -> list[str]:
        return command_filters(self._config, self._commands)

    def _subscription_check(self) -> SubscriptionCheck:
        """Tries the commands' subscriptions, and those to what the bridge says on every connection anyway.

        Without its own health it never knows that what waited at the broker is over, and opens no door.
        """
        spoken = [self._topics.state, self._topics.health]
        own = {topic: topic for topic in spoken}
        return SubscriptionCheck(own | echoes(self._config, self._commands), spoken=[*spoken, self._topics.info])

    def _take_over(self, config: Config, added: Iterable[str]) -> None:
        """From now on this configuration counts; a device that leaves takes nothing on."""
        before = self._filters(), self._echoed()
        with self._handing_over:
            self._config = config
            self._door_age_s = _door_age_s(config)
            self._workers = self._workers | self._make_workers(added, ())
            filters = self._filters()
            self._intake.reload(config, subscribed=self._own(filters))
        self._homeassistant.reload(config)
        if (filters, self._echoed()) != before:
            self._mqtt.listen_to(filters, echoed=self._echoed())
        self._mqtt.publish(None, self._info())
        self._schedule_visits(added)

    def _have_left(self, leaving: Iterable[Worker]) -> bool:
        """Wait until the workers have finished what is in hand; False if the bridge ends before."""
        return all(self._has_left(worker) for worker in leaving)

    def _has_left(self, worker: Worker) -> bool:
        while not worker.join(LEAVING_S):
            if self.ended.is_set():
                return False
        return True

    def _replace(self, changes: Changes) -> None:
        """New workers for devices that changed, none for those that were removed; nobody's request is forgotten."""
        gone = (*changes.removed, *changes.changed)
        for device in changes.removed:
            if self._workers[device].pending_enable:
                log.warning("device=%s is removed, but may still be disabled until it enables itself", device)
        with self._handing_over:
            left = [request for request in self._ledger.unfinished() if request.device in gone]
            staying = {id_: worker for id_, worker in self._workers.items() if id_ not in changes.removed}
            self._workers = staying | self._make_workers(changes.changed, left)
            self._resume(left)
            for device in changes.removed:
                for each in self._ledger.waiting(device):
                    self._give_up(each.request)
        self.note_answers()
        for device in changes.removed:
            self._forget_availability(device)
        self._schedule_visits(changes.changed)

    def _forget_availability(self, device: str) -> None:
        """Clear what the broker has retained; again on every connect, for it may be away just now."""
        with self._states_lock:
            self._states[device] = b""
        self._mqtt.publish(None, Publication(self._topics.availability(device), b"", retain=True))

    def _make_workers(self, devices: Iterable[str], left: Iterable[Request]) -> dict[str, Worker]:
        """A worker for each; what earlier ones left tells which terminals may still be disabled."""
        pending = self._ledger.enables.devices() | {
            request.device for request in left if self._may_have_disabled(request)
        }
        shared = Shared(self._pool, self._failure_gate, self._tell, self._room, self._clock)
        return {
            device.id: Worker(
                device,
                self._config,
                self._ledger,
                self._commands,
                hooks=self,
                shared=shared,
                pending_enable=device.id in pending,
                listener=self._make_listener(device),
            )
            for device in map(self._config.devices.__getitem__, devices)
        }

    def _may_have_disabled(self, request: Request) -> bool:
        """Whether the run that left it may have begun it: no disk is waited for before a terminal is disabled."""
        command = self._commands.get(request.command)
        return bool(request.tried) or (command is not None and command.disables)

    def _make_listener(self, device: Device) -> Listener | None:
        if device.attendance == "off":
            return None
        return Listener(device, self._config, self._ledger, told=self._announcer.wake, available=self.note_availability)

    def _resume(self, left: list[Request]) -> None:
        """Hand what a crash or a stop left to its workers, oldest first."""
        by_device: dict[str, list[Request]] = {}
        for request in left:
            if request.device in self._workers and request.command in self._commands:
                by_device.setdefault(request.device, []).append(request)
            else:
                self._give_up(request)
        for device, requests in by_device.items():
            log.info("device=%s resumes %d requests", device, len(requests))
            self._submit(device, requests, resumed=True)

    def _give_up(self, request: Request) -> None:
        """The device or command is not there any more; the caller must hear that."""
        error: BridgeError = Internal(secrets.token_hex(4))
        if request.device not in self._workers:
            known = [*self._config.devices, *self._config.groups]
            error = DeviceNotFound(device=request.device, more={"disponibles": known})
        reply = failed(error, self._config.language, request_id=request.request_id)
        finished = self._ledger.finish([Finish(request, reply)])
        self.note_answers(finished.answers)
        self._tell(Answered(request.device, request.command, reply.code, _age_s(request)))
        for each in finished.groups:
            self._tell(Answered(each.request.device, each.request.command, each.reply.code, _age_s(each.request)))
        log.warning(
            "request=%d device=%s command=%s can no longer be done", request.id, request.device, request.command
        )

    def _wait_on(self, waiting: list[Request]) -> None:
        """Go on waiting for terminals that were away already; what was to be done on one that is gone is given up."""
        for request in waiting:
            if request.device in self._workers and request.command in self._commands:
                self.note_waiting(request.expires_at or 0.0)
            else:
                self._give_up(request)

    def note_waiting(self, until: float) -> None:
        """A request waits for its terminal until a moment; then it is answered."""
        self._upkeep.later(("expiry", until), max(0.0, until - self._clock.now()), partial(self._expire, until))

    def _expire(self, until: float) -> float | None:
        try:
            ended = self._ledger.expire(self._expired)
        except LedgerUnavailable as failure:
            log.warning("what has waited for too long cannot be answered now: %s", failure)
            return PULSE_S
        for each in ended:
            self._tell(Answered(each.request.device, each.request.command, each.reply.code, _age_s(each.request)))
        if ended:
            self.note_answers()
        left = until - self._clock.now()  # the clock may have been set back
        return max(1.0, left) if left > 0 else None

    def _expired(self, request: Request) -> Reply:
        """The answer to what has waited for too long: if the terminal was asked once, nobody knows what it did."""
        error = OutcomeUnknown() if request.tried else Expired.at(request.expires_at or 0.0)
        return failed(error, self._config.language, request_id=request.request_id)

    def _schedule(self) -> None:
        """Look at every terminal, one after the other; forget what is old; show the broker that we live."""
        self._schedule_visits(self._workers)
        self._care.start()
        self._upkeep.later("pulse", PULSE_S, self._pulse)

    def _schedule_visits(self, devices: Iterable[str]) -> None:
        """Debts first; the rest at random moments, so that not all terminals are called at once."""
        workers = [self._workers[device] for device in devices]
        spread = SPREAD_PER_HUNDRED_S * len(workers) / 100
        probe_s = self._config.probe_interval
        for worker in workers:
            id_ = worker.device.id
            wanted = worker.pending_enable or worker.is_waited_for
            first = 0.0 if worker.pending_enable else random.uniform(0, spread)  # noqa: S311 - only spreads the load
            if probe_s or wanted or worker.listens:
                self._upkeep.later(("first visit", id_), first, partial(self._visit, id_))
            if probe_s:
                self._upkeep.later(("visit", id_), first + probe_s, partial(self._visit, id_, again_s=probe_s))

    def _submit(self, device: str, requests: list[Request], *, resumed: bool = False) -> None:
        """Hand over requests that are on disk; a worker that cannot begin, for want of a thread, is asked again."""
        try:
            self._workers[device].submit(requests, resumed=resumed)
        except Exception as error:
            if not SHORTAGES.note(error):
                log.exception("device=%s cannot be asked just now; its requests are on disk", device)
            self._upkeep.later(("begin", device), BEGIN_AGAIN_S, partial(self._visit, device))

    def _visit(self, device: str, *, again_s: float | None = None) -> float | None:
        """Have a device looked at; a device that was removed, never again."""
        worker = self._workers.get(device)
        if worker is None:
            return None
        try:
            worker.probe()
        except RuntimeError as error:  # no thread can be started
            if not SHORTAGES.note(error):
                raise
            return BEGIN_AGAIN_S
        return again_s

    def _pulse(self) -> float:
        """A publish that the broker confirms proves that the connection is alive in both directions."""
        if self._mqtt.silent_for() > DEAF_AFTER_S:
            self._mqtt.reconnect()
        if self._mqtt.is_connected:
            self._mqtt.publish(None, self._health())
        return PULSE_S

    def note_answers(self, answers: list[Answer] | None = None) -> None:
        """These are owed (None: whatever the ledger says); soon after, it writes what it has put off, and wipes."""
        if answers is None:
            self._outbox.wake()
        elif answers:
            self._outbox.offer(answers)
        self._upkeep.later("scrub", SCRUB_AFTER_S, self._care.scrub)

    def publish_progress(self, device: str, command: str, body: dict[str, Any]) -> None:
        """It is of use only now: what the broker does not take at once is not kept for it."""
        self._mqtt.publish(None, Publication(self._topics.progress(device, command), encode(body)))

    def probe_soon(self, device: str, attempt: int) -> None:
        """Look at a terminal again that may be disabled, or that requests wait for; see `WorkerHooks`."""
        pause = min(DEBT_FIRST_S * 2 ** min(attempt - 1, 10), DEBT_MOST_S)
        self._upkeep.later(("debt", device), pause, partial(self._visit, device))

    def note_availability(self, device: str, reason: str | None) -> None:
        """Publish that a device answers (None), or why it does not, where that is new."""
        body = _ONLINE if reason is None else encode({"state": "offline", "reason": reason})
        with self._states_lock:
            if reason is None:
                self._seen[device] = time.time()
            if self._states.get(device) == body:
                return
            self._states[device] = body
        log.log(logging.INFO if reason is None else logging.WARNING, "device=%s %s", device, reason or "online")
        self._mqtt.publish(None, Publication(self._topics.availability(device), body, retain=True))

    def _state(self, state: str) -> Publication:
        return Publication(self._topics.state, encode({"state": state, "instance": self.instance}), retain=True)

    def _health(self) -> Publication:
        standing = self.standing()
        books = standing.books
        body = {
            "instance": self.instance,
            "uptime_s": round(standing.uptime_s),
            "waiting": standing.waiting,
            "devices": len(standing.terminals),
            "connection": self._connection,
            "version": standing.version,
            "offline": standing.offline,
            "owed": books and books.owed,
            "ledger_bytes": books and books.size,
            "reconnects": standing.reconnects,
            "deaf_to": standing.unserved_subscriptions,
            "refused": [*self._mqtt.refused, *self._announcer.refused],
            "set_aside": standing.set_aside,
            "short_of": standing.short_of,
        }
        return Publication(self._topics.health, encode(body))

    def _info(self) -> Publication:
        info = {
            "version": zkbridge.__version__,
            "protocol": self._protocol,
            "devices": list(self._config.devices),
            "groups": self._config.groups,
            "commands": list(self._commands),
            "instance": self.instance,
        }
        return Publication(self._topics.info, encode(info), retain=True)


def _door_age_s(config: Config) -> float | None:
    """How old a request to open a door may be, where any may be opened.

    None also where only own devices are listened to: then there is no topic on which a word would come back.
    """
    if config.mqtt.unknown_devices == "ignore":
        return None
    return min((device.door.max_age for device in config.devices.values() if device.door.enabled), default=None)


def _age_s(request: Request) -> float:
    return max(0.0, time.time() - request.accepted_at)
