"""Hands requests over: what was read at one device is written by others."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator

from zkbridge.bridge.current import CurrentConfig
from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.bridge.probes import Probes
from zkbridge.bridge.reception import Reception
from zkbridge.commands import HandOver
from zkbridge.contract.errors import DeviceNotFound
from zkbridge.contract.groups import targets
from zkbridge.contract.messages import Reply, encode, failed
from zkbridge.contract.plans import DESIRED, awaited
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Part, Request

log = logging.getLogger(__name__)


class RequestHandOver:
    """Keeps the requests that take another one's place, and gives them to the workers. Called from any thread.

    Reception is paused while they are begun, as while workers are replaced: no worker gets a request after it has
    ended.
    """

    def __init__(
        self, current: CurrentConfig, ledger: Ledger, reception: Reception, probes: Probes, dispatch: ReplyDispatch
    ) -> None:
        self._current = current
        self._ledger = ledger
        self._reception = reception
        self._probes = probes
        self._dispatch = dispatch

    def hand_over(self, request: Request, what: HandOver) -> None:
        """Keep the requests and have them done. Raises LedgerUnavailable, and then nothing has changed.

        Thousands of them are kept in pieces, and messages are received in between. They are made anew where the
        configuration changes meanwhile: a device may have left.
        """
        while True:
            config = self._current.config
            parts = list(self._parts(request, what))
            begun = self._ledger.handing_over.prepare(request, parts, catch_up=what.catch_up)
            with self._reception.paused():
                if self._current.config is config:
                    by_device = self._begin(request, begun)
                    break
        log.info(
            "request=%d device=%s command=%s goes on with %d requests for %d devices",
            request.id,
            request.device,
            request.command,
            len(begun),
            len(by_device),
        )
        if len(begun) < len(parts):
            self._dispatch.note_answers()

    def _begin(self, request: Request, begun: Iterable[Request]) -> dict[str, list[Request]]:
        self._ledger.handing_over.begin(request)
        by_device: dict[str, list[Request]] = {}
        for each in begun:
            by_device.setdefault(each.device, []).append(each)
        for device, requests in by_device.items():
            self._probes.submit(device, requests)
        return by_device

    def tell_waiting(self, request: Request, reply: Reply) -> None:
        """Keep that a request waits for its terminal, and have it sent: of a document as a plan.

        Raises LedgerUnavailable.
        """
        topics, where = self._current.topics, (request.device, request.command)
        if request.command == DESIRED:
            told, topic = awaited(reply, request.device, request.request_id), topics.plan(*where)
        else:
            body = json.loads(reply.body) | {"request_id": request.request_id}
            told, topic = Reply(reply.status, reply.code, encode(body)), topics.reply(*where)
        draft = Draft(b"", topic, topic, device=request.device, command=request.command, reply=told)
        with self._reception.paused(), self._ledger.batch([draft]) as batch:
            batch.answer(batch.find(draft), told)
        self._dispatch.note_answers()

    def _parts(self, request: Request, what: HandOver) -> Iterator[Part]:
        for device in targets(self._current.config.groups, what.to, without=request.device):
            reply = None if device in self._current.config.devices else self._not_found(request, device)
            of_document = request.command == DESIRED
            topics = self._current.topics
            topic = topics.plan(device, DESIRED) if of_document else topics.reply(device, request.command)
            for each in what.asked:
                yield Part(device, topic, reply, each.command or what.command, each.params, each.subject)

    def _not_found(self, request: Request, device: str) -> Reply:
        config = self._current.config
        error = DeviceNotFound(device=device, more={"disponibles": [*config.devices, *config.groups]})
        return failed(error, request.language or config.language, request_id=request.request_id)
