"""What was published of one terminal's log, for the command that clears it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from zkbridge.attendance.bookmark import Bookmark
from zkbridge.attendance.listener import Listener
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.port.punches import Published, Punch

log = logging.getLogger(__name__)


class LivePunches:
    """The punches of a device with `attendance: live`. To be used in the thread that listens."""

    def __init__(self, device_id: str, ledger: Ledger, listener: Listener) -> None:
        self._device_id = device_id
        self._ledger = ledger
        self._listener = listener

    def published(self) -> Published | None:
        """How far they were published; None where nothing was read yet. Raises LedgerUnavailable."""
        place = self._ledger.punches.place(self._device_id)
        if place is None:
            return None
        return Published(place.serial, place.count, self._ledger.punches.count_unsent_of(self._device_id))

    def knows_all(self, log: Sequence[Punch], /) -> bool:
        """Whether every punch of this log was read before. Raises LedgerUnavailable."""
        place = self._ledger.punches.place(self._device_id)
        return place is not None and not Bookmark(place, self._ledger.digest).new_in(log)

    def note_cleared(self) -> None:
        """Begin the log anew. Where the disk does not take that, the next two connections find it out."""
        try:
            self._ledger.punches.note_cleared(self._device_id)
        except LedgerUnavailable as failure:
            log.warning("device=%s that its log was cleared cannot be kept now: %s", self._device_id, failure)
        self._listener.lose_place()
