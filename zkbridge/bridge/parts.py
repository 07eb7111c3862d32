"""The parts of the daemon, put together: what starts, stops and reloads them works on these."""

from __future__ import annotations

from typing import NamedTuple

from zkbridge.bridge.availability import Availability
from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.desired import DesiredChecks
from zkbridge.bridge.desired_files import DesiredFiles
from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.bridge.following import Following
from zkbridge.bridge.ledger_care import LedgerCare
from zkbridge.bridge.link import Link
from zkbridge.bridge.monitor import Monitor
from zkbridge.bridge.nightly import NightlyBackups
from zkbridge.bridge.own_messages import OwnMessages
from zkbridge.bridge.probes import Probes
from zkbridge.bridge.pulse import Pulse
from zkbridge.bridge.reception import Reception
from zkbridge.bridge.recovery import Recovery
from zkbridge.bridge.workers import Roster, WorkerFactory
from zkbridge.homeassistant.publisher import HomeAssistant
from zkbridge.ledger.ledger import Ledger
from zkbridge.metrics.metrics import Metrics
from zkbridge.mqtt.client import Mqtt
from zkbridge.outbox.punches import Announcer
from zkbridge.outbox.replies import Outbox
from zkbridge.runtime.scheduler import Upkeep
from zkbridge.worker.surroundings import Shared


class Parts(NamedTuple):
    """One of each; every one is described where it is defined. `metrics` is None where no port is configured."""

    current: CurrentConfig
    ledger: Ledger
    upkeep: Upkeep
    care: LedgerCare
    link: Link
    own: OwnMessages
    mqtt: Mqtt
    availability: Availability
    following: Following
    homeassistant: HomeAssistant
    outbox: Outbox
    announcer: Announcer
    dispatch: ReplyDispatch
    roster: Roster
    shared: Shared
    factory: WorkerFactory
    probes: Probes
    recovery: Recovery
    reception: Reception
    desired: DesiredChecks
    desired_files: DesiredFiles
    monitor: Monitor
    pulse: Pulse
    metrics: Metrics | None
    nightly: NightlyBackups
