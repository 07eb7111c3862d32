"""Goes on with requests that a crash, a stop or a reload left unfinished."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.bridge.expiry import Expiry, age_s
from zkbridge.bridge.handover import RequestHandOver
from zkbridge.bridge.probes import Probes
from zkbridge.bridge.workers import Roster
from zkbridge.contract.errors import BridgeError, DeviceNotFound, Internal
from zkbridge.contract.messages import failed
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Finish, Request, Waiting
from zkbridge.telemetry.events import Answered, EventSink

log = logging.getLogger(__name__)


class Recovery:
    """Gives each unfinished request to its worker, and answers those whose device or command is there no more."""

    def __init__(
        self,
        current: CurrentConfig,
        roster: Roster,
        ledger: Ledger,
        *,
        dispatch: ReplyDispatch,
        expiry: Expiry,
        probes: Probes,
        handover: RequestHandOver,
        tell: EventSink,
    ) -> None:
        self._current = current
        self._roster = roster
        self._ledger = ledger
        self._dispatch = dispatch
        self._expiry = expiry
        self._probes = probes
        self._handover = handover
        self._tell = tell

    def resume(self, left: Iterable[Request]) -> None:
        """Hand what was left to its workers, oldest first. Raises LedgerUnavailable."""
        by_device: dict[str, list[Request]] = {}
        for request in left:
            if self._can_be_done(request):
                by_device.setdefault(request.device, []).append(request)
            else:
                self.give_up(request)
        for device, requests in by_device.items():
            log.info("device=%s resumes %d requests", device, len(requests))
            self._probes.submit(device, requests, resumed=True)

    def wait_on(self, waiting: Iterable[Waiting]) -> None:
        """Go on waiting for terminals that were away already, and say so. Raises LedgerUnavailable.

        A request of no group is answered in each run: the last run may have been killed before it could.
        """
        for each in waiting:
            if not self._can_be_done(each.request):
                self.give_up(each.request)
                continue
            self._expiry.note_waiting(each.request.expires_at or 0.0)
            if each.request.parent is None:
                self._handover.tell_waiting(each.request, each.reply)

    def give_up(self, request: Request) -> None:
        """Answer a request whose device or command is not there any more. Raises LedgerUnavailable."""
        config = self._current.config
        error: BridgeError = Internal(secrets.token_hex(4))
        if request.device not in self._roster:
            known = [*config.devices, *config.groups]
            error = DeviceNotFound(device=request.device, more={"disponibles": known})
        reply = failed(error, request.language or config.language, request_id=request.request_id)
        finished = self._ledger.finish([Finish(request, reply)])
        self._dispatch.note_answers(finished.answers)
        self._tell(Answered(request.device, request.command, reply.code, age_s(request)))
        for each in finished.groups:
            self._tell(Answered(each.request.device, each.request.command, each.reply.code, age_s(each.request)))
        log.warning(
            "request=%d device=%s command=%s can no longer be done", request.id, request.device, request.command
        )

    def _can_be_done(self, request: Request) -> bool:
        return request.device in self._roster and request.command in self._current.all_commands
