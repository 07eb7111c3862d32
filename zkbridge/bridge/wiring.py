"""Makes the parts and connects them, without starting any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zkbridge.bridge.availability import Availability
from zkbridge.bridge.broker_hooks import BrokerHooks, Receivers
from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.dates import DateSchedule
from zkbridge.bridge.desired import DesiredChecks
from zkbridge.bridge.desired_files import DesiredFiles
from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.bridge.expiry import Expiry
from zkbridge.bridge.following import Following
from zkbridge.bridge.handover import RequestHandOver
from zkbridge.bridge.homeassistant_ports import BridgeHomeAssistantPorts
from zkbridge.bridge.intake_ports import BridgePorts
from zkbridge.bridge.ledger_care import LedgerCare
from zkbridge.bridge.link import Link
from zkbridge.bridge.monitor import Monitor
from zkbridge.bridge.nightly import NightlyBackups
from zkbridge.bridge.own_messages import OwnMessages
from zkbridge.bridge.parts import Parts
from zkbridge.bridge.probes import Probes
from zkbridge.bridge.pulse import Pulse
from zkbridge.bridge.reception import Reception
from zkbridge.bridge.recovery import Recovery
from zkbridge.bridge.subscriptions import delay_topic, echoes
from zkbridge.bridge.worker_hooks import Progress, TerminalEvents
from zkbridge.bridge.workers import Roster, WorkerFactory
from zkbridge.commands import commands, inner_commands
from zkbridge.config import loader
from zkbridge.config.login import rights_of
from zkbridge.config.models import Config
from zkbridge.contract.groups import Said
from zkbridge.contract.messages import Reply
from zkbridge.contract.plans import combined
from zkbridge.contract.texts import Language
from zkbridge.homeassistant.publisher import HomeAssistant, watched_topics
from zkbridge.intake.intake import Intake
from zkbridge.intake.keeper import Keeper
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.budget import Budget, Reserve
from zkbridge.ledger.ledger import Ledger
from zkbridge.machine.clock import Clock
from zkbridge.metrics.metrics import Metrics
from zkbridge.mqtt.client import Mqtt
from zkbridge.mqtt.delivery_delay import DeliveryDelay
from zkbridge.mqtt.subscription_check import SubscriptionCheck
from zkbridge.mqtt.subscriptions import Subscriptions
from zkbridge.outbox.punches import Announcer
from zkbridge.outbox.replies import Outbox
from zkbridge.outbox.short_reply import ReplyRoom
from zkbridge.runtime.scheduler import Supervisor, Upkeep
from zkbridge.telemetry.events import EventSink, broadcast
from zkbridge.worker.places import Places
from zkbridge.worker.surroundings import Shared


class _Stored(NamedTuple):
    """The parts around the ledger."""

    ledger: Ledger
    care: LedgerCare
    keeper: Keeper


class _Broker(NamedTuple):
    """The parts around the connection to the broker."""

    hooks: BrokerHooks
    link: Link
    own: OwnMessages
    mqtt: Mqtt
    homeassistant: HomeAssistant
    outbox: Outbox
    announcer: Announcer


def wire(config: Config, clock: Clock, supervisor: Supervisor) -> Parts:
    """Make every part for this configuration. `supervisor` ends the daemon when a part has failed for good.

    Raises what the ledger raises when its folder cannot be used.
    """
    current = CurrentConfig(config, commands(), inner_commands())
    upkeep = Upkeep(supervisor)
    room = ReplyRoom(config.mqtt.max_reply)
    stored = _store(current, upkeep, room, clock, supervisor)
    broker = _broker(current, upkeep, room, stored, supervisor)
    link, own, mqtt = broker.link, broker.own, broker.mqtt
    dispatch = ReplyDispatch(broker.outbox, upkeep, stored.care)
    places, roster = Places(stored.ledger.facts), Roster()
    availability = Availability(current.topics, mqtt, places)
    probes = Probes(current, roster, upkeep, DateSchedule(roster, upkeep, clock))
    following = Following(current, availability, probes, places)
    monitor = Monitor(current, roster, following, mqtt=mqtt, link=link, ledger=stored.ledger, keeper=stored.keeper)
    pulse = Pulse(own, monitor, mqtt, broker.announcer, upkeep)
    metrics = _metrics(current, monitor)
    events = _events(current, monitor, metrics, broker.homeassistant)
    expiry = Expiry(stored.ledger, upkeep, clock, dispatch=dispatch, tell=events, language=config.language)
    shared = Shared(events=events, reply_room=room, clock=clock, places=places)
    reception = Reception(
        Intake(
            config,
            stored.ledger,
            current.commands,
            subscribed=current.reserved,
            ports=BridgePorts(roster, probes, dispatch, link, mqtt),
            keeper=stored.keeper,
            tell=events,
            clock=clock,
        ),
        upkeep,
    )
    handover = RequestHandOver(current, stored.ledger, reception, probes, dispatch)
    recovery = Recovery(
        current,
        roster,
        stored.ledger,
        dispatch=dispatch,
        expiry=expiry,
        probes=probes,
        handover=handover,
        tell=events,
    )
    terminal_events = TerminalEvents(
        dispatch=dispatch,
        announcer=broker.announcer,
        following=following,
        expiry=expiry,
        probes=probes,
        handover=handover,
        progress=Progress(mqtt, current.topics),
        supervisor=supervisor,
    )
    factory = WorkerFactory(current, stored.ledger, terminal_events, shared)
    broker.hooks.serve(
        Receivers(
            reception=reception,
            keeper=stored.keeper,
            outbox=broker.outbox,
            announcer=broker.announcer,
            availability=availability,
            homeassistant=broker.homeassistant,
            pulse=pulse,
            mqtt=mqtt,
            dispatch=dispatch,
        )
    )
    return Parts(
        current=current,
        ledger=stored.ledger,
        upkeep=upkeep,
        care=stored.care,
        link=link,
        own=own,
        mqtt=mqtt,
        availability=availability,
        following=following,
        homeassistant=broker.homeassistant,
        outbox=broker.outbox,
        announcer=broker.announcer,
        dispatch=dispatch,
        roster=roster,
        shared=shared,
        factory=factory,
        probes=probes,
        recovery=recovery,
        reception=reception,
        desired=DesiredChecks(current, stored.ledger, reception, upkeep),
        desired_files=DesiredFiles(current, reception, upkeep),
        monitor=monitor,
        pulse=pulse,
        metrics=metrics,
        nightly=NightlyBackups(current, reception, stored.ledger, upkeep=upkeep, clock=clock),
    )


def _store(current: CurrentConfig, upkeep: Upkeep, room: ReplyRoom, clock: Clock, supervisor: Supervisor) -> _Stored:
    folder, configured = loader.state_dir(current.config), current.config.language
    reserve = Reserve(folder)
    reserve.release_if_full()

    def combine(
        group: str | None, said: Sequence[Said], *, request_id: str | None, command: str, language: Language | None
    ) -> Reply:
        spoken = language or configured
        return combined(group, said, request_id=request_id, command=command, language=spoken, room=room.current())

    ledger = Ledger(
        folder,
        combine=combine,
        clock=clock.now,
        readings=[command.name for command in current.commands.values() if command.reads],
    )
    budget = Budget(ledger, reserve, clock=clock.now)
    care = LedgerCare(ledger, budget, upkeep, current=current, supervisor=supervisor)
    ledger.database.watch = care
    return _Stored(ledger, care, Keeper(SetAside(folder), current.topics))


def _broker(
    current: CurrentConfig, upkeep: Upkeep, room: ReplyRoom, stored: _Stored, supervisor: Supervisor
) -> _Broker:
    config, topics = current.config, current.topics
    link = Link(stored.ledger)
    own = OwnMessages(current, link)
    hooks = BrokerHooks(stored.ledger, link, own, room=room, supervisor=supervisor)
    mqtt = Mqtt(
        config.mqtt,
        hooks,
        subscriptions=Subscriptions(
            tuple(current.filters),
            state=frozenset(current.state_filters),
            watched=frozenset([topics.state, topics.health, *watched_topics(config)]),
            echoed=tuple(current.echoed),
            tried=tuple(current.tried),
        ),
        will=own.state("offline"),
        subscription_check=_subscription_check(current),
        delivery_delay=DeliveryDelay(delay_topic(config, current.commands.values()), current),
    )
    homeassistant = HomeAssistant(config, BridgeHomeAssistantPorts(stored.ledger.facts, mqtt, upkeep, current.commands))
    outbox = Outbox(stored.ledger, mqtt, topics=topics, language=config.language, supervisor=supervisor)
    announcer = Announcer(stored.ledger, mqtt, topics=topics, rights=rights_of(config.mqtt), supervisor=supervisor)
    return _Broker(hooks, link, own, mqtt, homeassistant, outbox, announcer)


def _subscription_check(current: CurrentConfig) -> SubscriptionCheck:
    """Tries the commands' subscriptions, and those to what the bridge publishes on every connection anyway.

    Without its own health it never knows that what waited at the broker is over, and opens no door.
    """
    topics = current.topics
    spoken = [topics.state, topics.health]
    tried = {topic: topic for topic in spoken} | echoes(current.config, current.commands)
    rights = rights_of(current.config.mqtt)
    return SubscriptionCheck(tried, spoken=[*spoken, topics.info], published=current.tried, rights=rights)


def _metrics(current: CurrentConfig, monitor: Monitor) -> Metrics | None:
    settings = current.config.metrics
    return None if settings.port is None else Metrics(settings.host, settings.port, monitor)


def _events(
    current: CurrentConfig, monitor: Monitor, metrics: Metrics | None, homeassistant: HomeAssistant
) -> EventSink:
    """The listeners to events of the parts."""
    listeners: list[EventSink] = [monitor.hear, *([] if metrics is None else [metrics.tell])]
    if current.config.homeassistant.discovery:
        listeners.append(homeassistant.hear)
    return broadcast(listeners)
