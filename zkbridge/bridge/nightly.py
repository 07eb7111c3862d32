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
from zkbridge.machine.pause import Pause
from zkbridge.runtime.scheduler import Upkeep

log = logging.getLogger(__name__)

COMMAND = "device/backup"
#: Seconds between looks at what is due, and how many backups are begun at each: terminals share the machine.
LOOK_S, AT_ONCE = 60.0, 4
#: Seconds after which a backup that failed is asked for again, doubling up to the most.
AGAIN_S, AGAIN_MOST_S = 60.0, 3600.0
#: The most requests for one backup in a night if each fails for good; with the pauses that takes about two hours.
MOST_TRIES = 8


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
    """The requests for the backup of one device in one night.

    `request` is the ledger's number of the current request, None while there is none. `tries` is the number of the
    request: after a final failure the next one has another request_id. `is_over`: no further request is made.
    """

    night: Night
    pause: Pause
    tries: int = 1
    request: int | None = None
    is_over: bool = False

    @property
    def request_id(self) -> str:
        """The request_id of this try."""
        return self.night.request_id if self.tries == 1 else f"{self.night.request_id}-{self.tries}"


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
            asked = _Asked(night, Pause(AGAIN_S, AGAIN_MOST_S, now=self._clock.now))
            asked.is_over = self._is_made(device, night, now) or self._is_under_way(device, night)
            self._asked[device] = asked
        if asked.is_over or not asked.pause.is_over or not self._has_ended(device, asked):
            return False
        self._ask(device, asked, now)
        return True

    def _ask(self, device: str, asked: _Asked, now: float) -> None:
        """Ask; the request waits for a terminal that is away, which is answered at once."""
        asked.pause.note_failure()  # undone below if an earlier run made this try
        until = min(asked.night.until, now + self._current.config.ledger.keep)
        log.info("device=%s its nightly backup of %s is asked for", device, asked.night.date)
        kept = self._reception.ask(device, COMMAND, asked.request_id, until=until)
        asked.request = None if kept is None or kept.request is None else kept.request.id
        if kept is not None and kept.reply is None:
            asked.is_over = kept.request is None  # another run has asked already
        else:
            _note_end(device, asked, None if kept is None else kept.reply)
            if kept is not None and kept.replayed:  # the failure is that of an earlier run
                asked.pause.note_success()

    def _has_ended(self, device: str, asked: _Asked) -> bool:
        """Whether another try is to be made: none is under way, and the last one has failed."""
        if asked.request is None:
            return True
        reply = self._ledger.reply_of(asked.request)
        if reply is not None:
            _note_end(device, asked, reply)
        return reply is not None and not asked.is_over

    def _is_made(self, device: str, night: Night, now: float) -> bool:
        latest = latest_backup(self._current.config, device, now)
        return latest is not None and latest >= night.at

    def _is_under_way(self, device: str, night: Night) -> bool:
        """Whether an earlier run has asked already, and the request is not answered yet."""
        left = [*self._ledger.unfinished(), *(each.request for each in self._ledger.waiting(device))]
        return any(
            (each.device, each.command) == (device, COMMAND) and (each.request_id or "").startswith(night.request_id)
            for each in left
        )


def _note_end(device: str, asked: _Asked, reply: Reply | None) -> None:
    """Note how a try has ended; after a final failure a new request is made, up to MOST_TRIES.

    The request has no caller who reads the reply, so the result is logged too.
    """
    asked.request = None
    if reply is not None and (reply.success or _is_retryable(reply)):
        asked.is_over = reply.success
        return
    code = "internal" if reply is None else reply.code
    if asked.tries < MOST_TRIES:
        asked.tries += 1
        line = "device=%s its nightly backup of %s was not made (%s); it is asked for again this night"
        log.warning(line, device, asked.night.date, code)
    else:
        asked.is_over = True
        line = "device=%s its nightly backup of %s was not made (%s); the next try is at the next scheduled time"
        log.error(line, device, asked.night.date, code)


def _is_retryable(reply: Reply) -> bool:
    try:
        return bool(parse_object(reply.body).get("retryable"))
    except BridgeError:
        return False
