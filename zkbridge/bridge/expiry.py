"""Answers requests that have waited for their terminal for too long."""

from __future__ import annotations

import logging
import time
from functools import partial

from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.contract.errors import Expired, OutcomeUnknown
from zkbridge.contract.messages import Reply, failed
from zkbridge.contract.texts import Language
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Request
from zkbridge.machine.clock import Clock
from zkbridge.runtime.scheduler import Upkeep
from zkbridge.telemetry.events import Answered, EventSink

log = logging.getLogger(__name__)

#: Seconds until another attempt, where the ledger cannot be written.
AGAIN_S = 30.0
#: Seconds after which the clock is asked again whether a waiting request has expired: it may have been set meanwhile.
LOOK_S = 60.0


class Expiry:
    """Answers each request that waits for a terminal at its `expires_at`. Called from any thread."""

    def __init__(
        self,
        ledger: Ledger,
        upkeep: Upkeep,
        clock: Clock,
        *,
        dispatch: ReplyDispatch,
        tell: EventSink,
        language: Language,
    ) -> None:
        self._ledger = ledger
        self._upkeep = upkeep
        self._clock = clock
        self._dispatch = dispatch
        self._tell = tell
        self._language = language

    def note_waiting(self, until: float) -> None:
        """A request waits for its terminal until a moment, in seconds since 1970; then it is answered."""
        left = max(0.0, until - self._clock.now())
        self._upkeep.later(("expiry", until), min(left, LOOK_S), partial(self._expire, until))

    def _expire(self, until: float) -> float | None:
        if (left := until - self._clock.now()) > 0:
            return min(left, LOOK_S)
        try:
            ended = self._ledger.expire(self._reply)
        except LedgerUnavailable as failure:
            log.warning("what has waited for too long cannot be answered now: %s", failure)
            return AGAIN_S
        for each in ended:
            self._tell(Answered(each.request.device, each.request.command, each.reply.code, age_s(each.request)))
        if ended:
            self._dispatch.note_answers()
        left = until - self._clock.now()  # the clock may have been set back
        return min(max(1.0, left), LOOK_S) if left > 0 else None

    def _reply(self, request: Request) -> Reply:
        """The answer to a request that waited too long; its outcome is unknown if the terminal was asked."""
        error = OutcomeUnknown() if request.tried else Expired.at(request.expires_at or 0.0)
        return failed(error, request.language or self._language, request_id=request.request_id)


def age_s(request: Request) -> float:
    """Seconds since a request was accepted."""
    return max(0.0, time.time() - request.accepted_at)
