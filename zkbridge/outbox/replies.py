"""Sends replies until the broker has confirmed them."""

from __future__ import annotations

import logging

from zkbridge.contract.messages import TOO_LARGE, AnswerToken
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import Topics
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer
from zkbridge.outbox.delivery import LOOK_EVERY_S, Broker, Delivery, Supervisor
from zkbridge.outbox.fitting import Fitting
from zkbridge.outbox.postponed import SUSPECT_AFTER, Postponed

log = logging.getLogger(__name__)

#: How many answers are under way at once; the rest waits on disk.
WINDOW = 100
#: An answer that the broker refuses is tried again with the next connection, or after this many seconds.
REFUSED_WAIT_S = 600.0
#: An answer of more bytes than this that goes alone and ends connections all the same may be too large for the broker.
LARGE = 4096


class Outbox(Delivery):
    """Publishes every answer that the broker has not confirmed yet.

    `confirmed`, `online` and `offline` are called by the part that talks to the broker, `wake` or `offer` by the part
    that kept an answer.
    """

    def __init__(
        self, ledger: Ledger, broker: Broker, *, topics: Topics, language: Language = "es", supervisor: Supervisor
    ) -> None:
        super().__init__("outbox", "replies", supervisor=supervisor)
        self._ledger = ledger
        self._broker = broker
        self._fitting = Fitting(topics, language)
        self._postponed = Postponed()
        self._under_way: dict[int, Answer] = {}
        self._confirmed: list[int] = []
        self._refused: list[tuple[int, str]] = []
        self._more = False  # whether answers were left that have to wait for what is under way

    def offer(self, answers: list[Answer]) -> None:
        """Send answers that the ledger has just handed out, in this thread if no older one waits."""
        with self._change:
            may_go = self._online and not self._look and not self._more
            wanted = self._choose(answers) if may_go else []
            self._under_way.update({answer.id: answer for answer in wanted})
            if len(wanted) < len(answers):
                self._look = True
                self._change.notify_all()
        self._ledger.replies.release(answers)
        for answer in wanted:
            self._publish(answer)

    def online(self, largest: int | None) -> None:
        """The broker is there, and takes packets up to `largest` bytes (None: it did not say)."""
        with self._change:
            self._online, self._look = True, True
            self._fitting.new_connection(largest)
            self._postponed.new_connection()
            self._change.notify_all()

    def offline(self) -> None:
        """The broker is gone: nothing under way was confirmed."""
        with self._change:
            self._online = False
            for answer in self._under_way.keys() - set(self._confirmed):
                self._count_break(answer)
            self._under_way.clear()
            self._change.notify_all()

    def confirmed(self, token: AnswerToken, refusal: str | None) -> None:
        """The broker has accepted an answer, or refused it with a reason."""
        answer = token.answer
        with self._change:
            if self._under_way.get(answer) is None:
                return
            if refusal is None:
                self._confirmed.append(answer)
            else:
                self._refused.append((answer, refusal))
            self._change.notify_all()

    def _is_idle(self) -> bool:
        return not self._online or not (self._look or self._under_way or self._confirmed or self._refused)

    def _count_break(self, answer: int) -> None:
        breaks = self._postponed.count_break(answer)
        size = len(self._under_way[answer].body)
        if breaks > SUSPECT_AFTER and size > LARGE and not self._fitting.is_too_large(answer):
            self._fitting.note_too_large(answer, size)
        else:
            self._postponed.postpone_breaking(answer)

    def _has_work(self) -> bool:
        ready = self._online and self._look and self._room > 0
        return bool(self._confirmed or self._refused or ready)

    def _next_look(self) -> float:
        """Seconds until an answer that waits may be tried again, if there is anything that could be done then."""
        if not self._online or self._room <= 0:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, self._postponed.next_s())

    @property
    def _room(self) -> int:
        return WINDOW - len(self._under_way)

    def _settle(self) -> None:
        """Note what the broker accepted; redirect or set aside what it refused."""
        with self._change:
            confirmed, refused = list(self._confirmed), list(self._refused)
        if confirmed:
            self._ledger.replies.sent(confirmed)
        for answer, reason in refused:
            self._handle_refusal(answer, reason)
        with self._change:
            for answer in [*confirmed, *(number for number, _ in refused)]:
                self._under_way.pop(answer, None)
                self._postponed.forget(answer)
            self._fitting.forget(confirmed)
            self._look = self._look or bool(refused) or (bool(confirmed) and self._more)
            del self._confirmed[: len(confirmed)], self._refused[: len(refused)]
            self._change.notify_all()

    def _handle_refusal(self, number: int, reason: str) -> None:
        answer = self._under_way.get(number)
        if answer is not None and reason.startswith(TOO_LARGE) and not self._fitting.is_too_large(number):
            self._fitting.note_too_large(number, len(answer.body))
            return
        if answer is not None and answer.topic != answer.fallback:
            log.warning("answer=%d refused on %s (%s); sent to %s", number, answer.topic, reason, answer.fallback)
            self._ledger.replies.redirect(number)
            return
        log.error(
            "answer=%d refused by the broker on %s (%s); kept, and tried again later",
            number,
            answer.topic if answer else "its topic",
            reason,
        )
        self._postponed.postpone(number, REFUSED_WAIT_S)

    def _send(self) -> None:
        with self._change:
            if not (self._online and self._look and self._room > 0):
                return
            self._look = False
            limit = WINDOW + len(self._under_way) + len(self._postponed)
        answers = self._ledger.replies.unsent(limit)
        with self._change:
            wanted = self._choose(answers) if self._online else []
            self._look = self._look or len(answers) == limit
            self._under_way.update({answer.id: answer for answer in wanted})
            waiting = (answer.id for answer in answers if answer.id not in self._postponed)
            self._more = any(number not in self._under_way for number in waiting)
        for answer in wanted:
            self._publish(answer)
        with self._change:
            self._change.notify_all()

    def _choose(self, answers: list[Answer]) -> list[Answer]:
        """The answers to send now; one that may break the connection is sent only when it is alone."""
        self._postponed.release_due()
        free = [each for each in answers if each.id not in self._under_way and each.id not in self._postponed]
        fitting = [answer for each in free if (answer := self._fit(each)) is not None]
        harmless = [answer for answer in fitting if not self._postponed.is_suspect(answer.id)]
        if harmless or self._under_way:
            return harmless[: self._room]
        return fitting[:1]

    def _fit(self, answer: Answer) -> Answer | None:
        fitting = self._fitting.fit(answer)
        if fitting is None:
            self._postponed.postpone(answer.id, REFUSED_WAIT_S)
        return fitting

    def _publish(self, answer: Answer) -> None:
        self._broker.publish(AnswerToken(answer.id), self._fitting.publication(answer))
