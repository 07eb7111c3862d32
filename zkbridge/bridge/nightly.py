"""When the bridge itself has terminals backed up: each night at `backup.nightly`."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.reception import Reception
from zkbridge.commands.api.backups import BackupFailed, Backups
from zkbridge.config.loader import state_dir
from zkbridge.config.models import Config
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Reply, parse_object
from zkbridge.contract.validity import instant
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.machine.clock import MADE_AT, Clock
from zkbridge.runtime.scheduler import Upkeep

log = logging.getLogger(__name__)

COMMAND = "device/backup"
#: Seconds between looks at what is due, and how many backups are begun at each: terminals share the machine.
LOOK_S, AT_ONCE = 60.0, 4
#: Seconds after which a backup that failed is asked for again, doubling up to the most.
AGAIN_S, AGAIN_MOST_S = 60.0, 3600.0


class Night(NamedTuple):
    """One moment for backups: its date at the terminal, when it is, and when the next one is (seconds since 1970)."""

    date: str
    at: float
    until: float

    @property
    def request_id(self) -> str:
        """What its request is called."""
        return f"nightly-{self.date}"


def night_of(now: float, time: str, zone: str | None) -> Night:
    """The last moment at which the clock of a time zone, or of this machine, has shown a time (`HH:MM`)."""
    today = datetime.fromtimestamp(now, UTC).date()
    dates = [(today + timedelta(days=days)).isoformat() for days in range(-2, 4)]  # the place may be a day ahead
    moments = [(instant(f"{date}T{time}:00", zone), date) for date in dates]
    return next(
        Night(date, at, until)
        for (at, date), (until, _) in zip(reversed(moments[:-1]), reversed(moments[1:]), strict=True)
        if at <= now
    )


def backups_of(config: Config, device: str) -> Backups:
    """The backups of a device, to be looked at."""
    return Backups(state_dir(config) / "backups" / device)


def latest_backup(config: Config, device: str, now: float) -> float | None:
    """When the latest backup of a device was made, in seconds since 1970; None where none can be read."""
    with suppress(BackupFailed):
        return backups_of(config, device).latest_at(now)
    return None


@dataclass
class _Asked:
    """What was asked for a device's night.

    `request` is the ledger's number of it, None while it was not taken on; `again_at` is when it may be asked again if
    it has failed, and `pause_s` the pause after that. `is_over`: nothing is to be asked any more.
    """

    night: Night
    pause_s: float
    request: int | None = None
    again_at: float = 0.0
    is_over: bool = False


class NightlyBackups:
    """Asks for the backup of each device whose latest one is older than the last moment; looks every minute.

    So a moment that was missed, because the bridge or its machine was off, is made up for. A backup is a request like
    others, in the ledger and answered on its topic; one that fails for want of the terminal waits for it, until the
    next moment.
    """

    def __init__(
        self, current: CurrentConfig, reception: Reception, ledger: Ledger, *, upkeep: Upkeep, clock: Clock
    ) -> None:
        self._current = current
        self._reception = reception
        self._ledger = ledger
        self._upkeep = upkeep
        self._clock = clock
        self._asked: dict[str, _Asked] = {}

    def start(self) -> None:
        """Begin to look, where there is a moment."""
        if self._current.config.backup.nightly is not None:
            self._upkeep.later("nightly backups", LOOK_S, self.look)

    def look(self) -> float:
        """Ask for what is due; returns the seconds until the next look."""
        config, now = self._current.config, self._clock.now()
        begun = 0
        if config.backup.nightly is None or now < MADE_AT:  # such a clock was not set yet
            return LOOK_S
        for device in list(config.devices.values()):
            if begun >= AT_ONCE:
                break
            try:
                begun += self._ask_if_due(device.id, night_of(now, config.backup.nightly, device.timezone), now)
            except LedgerUnavailable as failure:
                log.warning("device=%s its nightly backup cannot be asked for now: %s", device.id, failure)
        return LOOK_S

    def _ask_if_due(self, device: str, night: Night, now: float) -> bool:
        """Whether a backup was asked for."""
        asked = self._asked.get(device)
        if asked is None or asked.night != night:
            asked = _Asked(
                night, AGAIN_S, is_over=self._is_made(device, night, now) or self._is_under_way(device, night)
            )
            self._asked[device] = asked
            return not asked.is_over and self._ask(device, asked, now)
        if asked.is_over or now < asked.again_at:
            return False
        if asked.request is not None and not self._has_failed(device, asked.request, asked):
            return False
        return self._ask(device, asked, now)

    def _ask(self, device: str, asked: _Asked, now: float) -> bool:
        """Ask; the request waits for a terminal that is away, which is told at once."""
        asked.again_at = now + asked.pause_s
        asked.pause_s = min(2 * asked.pause_s, AGAIN_MOST_S)
        until = min(asked.night.until, now + self._current.config.ledger.keep)
        log.info("device=%s its nightly backup of %s is asked for", device, asked.night.date)
        kept = self._reception.ask(device, COMMAND, asked.night.request_id, until=until)
        asked.request = None if kept is None or kept.request is None else kept.request.id
        if asked.request is None:
            asked.is_over = kept is None or kept.reply is None or not _is_retryable(kept.reply)
            if asked.is_over:
                _tell_failure(device, asked.night, kept and kept.reply)
        return True

    def _has_failed(self, device: str, request: int, asked: _Asked) -> bool:
        """Whether the request has failed and may be asked again; one that is answered otherwise is over."""
        reply = self._ledger.reply_of(request)
        asked.is_over = reply is not None and not _is_retryable(reply)
        if reply is not None and asked.is_over and not reply.success:
            _tell_failure(device, asked.night, reply)
        return reply is not None and not asked.is_over

    def _is_made(self, device: str, night: Night, now: float) -> bool:
        latest = latest_backup(self._current.config, device, now)
        return latest is not None and latest >= night.at

    def _is_under_way(self, device: str, night: Night) -> bool:
        """Whether an earlier run has asked already, and the request is not answered yet."""
        left = [*self._ledger.unfinished(), *(each.request for each in self._ledger.waiting(device))]
        wanted = device, COMMAND, night.request_id
        return any((each.device, each.command, each.request_id) == wanted for each in left)


def _tell_failure(device: str, night: Night, reply: Reply | None) -> None:
    """Nobody may read the reply to a request that nobody has sent: the log says it, too."""
    code = "internal" if reply is None else reply.code
    line = "device=%s its nightly backup of %s was not made (%s); the next try is at the next moment or start"
    log.error(line, device, night.date, code)


def _is_retryable(reply: Reply) -> bool:
    try:
        return bool(parse_object(reply.body).get("retryable"))
    except BridgeError:
        return False
