"""The dates of one device's users: which are kept, and what of them is due."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from zkbridge.config.models import Device
from zkbridge.contract.bodies import Late, UserEventBody
from zkbridge.contract.messages import encode
from zkbridge.contract.validity import Due, Validity, due, next_instant
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import ValidityChange
from zkbridge.machine.clock import Clock
from zkbridge.machine.pause import Pause
from zkbridge.worker.surroundings import WorkerHooks

log = logging.getLogger(__name__)

#: Seconds until an untrusted clock is asked again.
CLOCK_AGAIN_S = 10.0


class DueUser(NamedTuple):
    """A user of whom something is due."""

    user_id: str
    due: Due


class Dates:
    """The dates of one device's users. Only the worker's thread changes it; `is_due` and `next_at` serve any thread.

    While the machine's clock is not synchronised nothing is due, unless `validity.trust_clock` says otherwise.
    """

    def __init__(self, device: Device, ledger: Ledger, clock: Clock, hooks: WorkerHooks) -> None:
        self._device = device
        self._ledger = ledger
        self._clock = clock
        self._hooks = hooks
        self._kept = ledger.validities.of(device.id)
        self._next_at = self._first()
        #: Meanwhile the terminal, which was not reached, is not called for a date alone.
        self.pause = Pause()
        #: Users whose change failed.
        self._put_off: dict[str, Pause] = {}
        self._warned = False

    @property
    def kept(self) -> Mapping[str, Validity]:
        """The dates that are still to be carried out, by user_id."""
        return self._kept

    @property
    def next_at(self) -> float | None:
        """When the next of them is due, in seconds since 1970; it may have passed."""
        return self._next_at

    @property
    def is_due(self) -> bool:
        """Whether the terminal is to be asked for one of them now."""
        return self.pause.is_over and self._has_come() and bool(self.due())

    @property
    def overdue(self) -> int:
        """Users of whom something should have been done more than a minute ago, by the clock as it is."""
        if not self._has_come():
            return 0
        now, zone = self._clock.now(), self._device.timezone
        moments = (due(validity, now, zone) for validity in self._kept.copy().values())
        return sum(each is not None and each.is_late for each in moments)

    def due(self) -> list[DueUser]:
        """What is to be done at this contact, in the order of the moments."""
        if not self._has_come() or not self._clock_counts():
            return []
        now = self._clock.now()
        found = [
            DueUser(user_id, each)
            for user_id, validity in self._kept.copy().items()
            if (each := due(validity, now, self._device.timezone)) is not None and self._may_be_changed(user_id)
        ]
        return sorted(found, key=lambda one: (one.due.moment, one.user_id))

    def note(self, changes: Iterable[ValidityChange]) -> None:
        """What a request has changed, and the ledger has kept."""
        if changes := list(changes):
            self._change(changes)
            self._hooks.note_dates(self._device.id, self._next_at, told=False)

    def carry_out(self, done: Iterable[tuple[DueUser, bool]]) -> None:
        """Keep that these were carried out, with the events of the users who are there. Raises LedgerUnavailable."""
        kept = [
            (
                ValidityChange(self._device.id, each.user_id, each.due.left if is_there else Validity()),
                encode(self._event(each)) if is_there else None,
            )
            for each, is_there in done
        ]
        if not kept:
            return
        self._ledger.validities.carry_out(kept)
        self._change([change for change, _ in kept])
        self._hooks.note_dates(self._device.id, self._next_at, told=True)

    def put_off(self, users: Iterable[DueUser], why: str) -> None:
        """The terminal did not take the change of these users: try again later; requests go on meanwhile."""
        for each in users:
            pause = self._put_off.setdefault(each.user_id, Pause()).note_failure()
            log.error(
                "device=%s user_id=%s cannot be %s (%s %s): %s; again in %.0f s",
                self._device.id,
                each.user_id,
                "blocked" if each.due.blocked else "unblocked",
                each.due.reason,
                each.due.moment,
                why,
                pause,
            )

    def _may_be_changed(self, user_id: str) -> bool:
        pause = self._put_off.get(user_id)
        return pause is None or pause.is_over

    def _has_come(self) -> bool:
        return self._next_at is not None and self._clock.now() >= self._next_at

    def _clock_counts(self) -> bool:
        if self._device.validity.trust_clock or self._clock.is_synchronised():
            self._warned = False
            return True
        if not self._warned:
            log.warning(
                "device=%s users are to be blocked or unblocked, and the clock is not synchronised: nothing is done",
                self._device.id,
            )
        self._warned = True
        self.pause.extend(CLOCK_AGAIN_S)
        return False

    def _change(self, changes: Iterable[ValidityChange]) -> None:
        kept = dict(self._kept)
        for change in changes:
            self._put_off.pop(change.user_id, None)
            kept[change.user_id] = change.validity
        self._kept = {user_id: validity for user_id, validity in kept.items() if validity != Validity()}
        self._next_at = self._first()

    def _first(self) -> float | None:
        zone = self._device.timezone
        moments = (next_instant(validity, zone) for validity in self._kept.values())
        return min((moment for moment in moments if moment is not None), default=None)

    def _event(self, each: DueUser) -> UserEventBody:
        told = each.due
        late: Late = {"late": True} if told.is_late else {}
        return {
            "event": "blocked" if told.blocked else "unblocked",
            "user_id": each.user_id,
            "reason": told.reason,
            "moment": told.moment,
            **late,
            "device_id": self._device.id,
            "id": f"{self._device.id}/{each.user_id}/{told.reason}/{told.moment}",
        }
