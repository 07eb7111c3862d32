"""Replies on their way out, until the broker has confirmed them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from zkbridge.contract.messages import TOO_LARGE, Publication
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import Topics
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer
from zkbridge.outbox.delivery import LOOK_EVERY_S, Delivery
from zkbridge.outbox.short_reply import shortened

log = logging.getLogger(__name__)

#: Answers under way at once; the rest waits on disk.
WINDOW = 100
#: An answer that was under way this often when the connection broke goes alone, last: it may be what breaks it.
SUSPECT_AFTER = 2
#: And after this many breaks it waits: so long at first (seconds), doubling with each break up to the most.
WAIT_AFTER = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 3600.0
#: An answer that the broker refuses is tried again with the next connection, or after this many seconds.
REFUSED_WAIT_S = 600.0
#: An answer of more bytes than this that goes alone and ends connections all the same may be too large for the broker.
LARGE = 4096


class Outbox(Delivery):
    """Publishes every answer that is owed. `publish(id, publication)` hands one over without waiting.

    `confirmed`, `online` and `offline` are called by whoever talks to the broker, `wake` or `offer` by whoever kept
    an answer.
    """

    def __init__(
        self,
        ledger: Ledger,
        publish: Callable[[int, Publication], None],
        *,
        topics: Topics,
        language: Language = "es",
        died: Callable[[BaseException], None],
    ) -> None:
        super().__init__("outbox", "replies", died=died)
        self._ledger = ledger
        self._publish = publish
        self._topics = topics
        self._language = language
        self._under_way: dict[int, Answer] = {}
        self._confirmed: list[int] = []
        self._refused: list[tuple[int, str]] = []
        self._not_before: dict[int, float] = {}
        self._breaks: dict[int, int] = {}
        self._too_large: set[int] = set()
        self._largest: int | None = None
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
            self._publish(answer.id, self._publication(answer))

    def online(self, largest: int | None) -> None:
        """The broker is there, and takes packets up to `largest` bytes (None: it did not say)."""
        with self._change:
            self._online, self._look, self._largest = True, True, largest
            for answer in [number for number in self._not_before if self._breaks.get(number, 0) < WAIT_AFTER]:
                del self._not_before[answer]
            self._change.notify_all()

    def offline(self) -> None:
        """The broker is gone: nothing under way was confirmed."""
        with self._change:
            self._online = False
            for answer in self._under_way.keys() - set(self._confirmed):
                self._count_break(answer)
            self._under_way.clear()
            self._change.notify_all()

    def confirmed(self, answer: int, refusal: str | None) -> None:
        """The broker has taken an answer, or refused it with a reason."""
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
        breaks = self._breaks[answer] = self._breaks.get(answer, 0) + 1
        size = len(self._under_way[answer].body)
        if breaks > SUSPECT_AFTER and size > LARGE and answer not in self._too_large:
            self._note_too_large(answer, size)
            return
        if breaks < WAIT_AFTER:
            return
        pause = min(FIRST_WAIT_S * 2 ** min(breaks - WAIT_AFTER, 10), LONGEST_WAIT_S)
        self._not_before[answer] = time.monotonic() + pause
        log.error("answer=%d was under way %d times when the broker hung up; it waits %.0f s", answer, breaks, pause)

    def _has_work(self) -> bool:
        ready = self._online and self._look and self._room > 0
        return bool(self._confirmed or self._refused or ready)

    def _next_look(self) -> float:
        """Seconds until an answer that waits may be tried again, if there is anything that could be done then."""
        if not self._online or not self._not_before or self._room <= 0:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(0.0, min(self._not_before.values()) - time.monotonic()))

    @property
    def _room(self) -> int:
        return WINDOW - len(self._under_way)

    def _settle(self) -> None:
        """Note what the broker took; redirect or set aside what it refused."""
        with self._change:
            confirmed, refused = list(self._confirmed), list(self._refused)
        if confirmed:
            self._ledger.replies.sent(confirmed)
        for answer, reason in refused:
            self._handle_refusal(answer, reason)
        with self._change:
            for answer in [*confirmed, *(number for number, _ in refused)]:
                self._under_way.pop(answer, None)
                self._breaks.pop(answer, None)
            self._too_large.difference_update(confirmed)
            self._look = self._look or bool(refused) or (bool(confirmed) and self._more)
            del self._confirmed[: len(confirmed)], self._refused[: len(refused)]
            self._change.notify_all()

    def _handle_refusal(self, number: int, reason: str) -> None:
        answer = self._under_way.get(number)
        if answer is not None and reason.startswith(TOO_LARGE) and number not in self._too_large:
            self._note_too_large(number, len(answer.body))
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
        self._not_before[number] = time.monotonic() + REFUSED_WAIT_S

    def _send(self) -> None:
        with self._change:
            if not (self._online and self._look and self._room > 0):
                return
            self._look = False
            limit = WINDOW + len(self._under_way) + len(self._not_before)
        answers = self._ledger.replies.unsent(limit)
        with self._change:
            wanted = self._choose(answers) if self._online else []
            self._look = self._look or len(answers) == limit
            self._under_way.update({answer.id: answer for answer in wanted})
            waiting = (answer.id for answer in answers if answer.id not in self._not_before)
            self._more = any(number not in self._under_way for number in waiting)
        for answer in wanted:
            self._publish(answer.id, self._publication(answer))
        with self._change:
            self._change.notify_all()

    def _choose(self, answers: list[Answer]) -> list[Answer]:
        """What to send now; an answer that may be what breaks the connection goes when it is alone."""
        now = time.monotonic()
        for number in [number for number, due in self._not_before.items() if due <= now]:
            del self._not_before[number]
        free = [a for a in answers if a.id not in self._under_way and a.id not in self._not_before]
        free = [answer for each in free if (answer := self._fitting(each)) is not None]
        harmless = [answer for answer in free if self._breaks.get(answer.id, 0) < SUSPECT_AFTER]
        if harmless or self._under_way:
            return harmless[: self._room]
        return free[:1]

    def _fitting(self, answer: Answer) -> Answer | None:
        """The answer, or a small one in its place where the broker takes none of that size; None if it must wait."""
        is_known = answer.id in self._too_large
        if self._largest is None and not is_known:
            return answer
        size = self._publication(answer).packet_size
        if self._takes(size) and not is_known:
            return answer
        short = shortened(answer, self._language)
        if short is not None and self._takes(self._publication(short).packet_size):
            if not is_known:
                self._note_too_large(answer.id, size)
            return short
        if self._takes(size):
            return answer
        log.error("answer=%d has %d bytes, the broker takes %s: kept, not sent", answer.id, size, self._largest)
        self._not_before[answer.id] = time.monotonic() + REFUSED_WAIT_S
        return None

    def _note_too_large(self, answer: int, size: int) -> None:
        self._too_large.add(answer)
        log.error("answer=%d has %d bytes, more than the broker takes: reply_too_large is sent instead", answer, size)

    def _takes(self, size: int) -> bool:
        return self._largest is None or size <= self._largest

    def _publication(self, answer: Answer) -> Publication:
        return Publication(
            answer.topic,
            answer.body,
            correlation_data=answer.correlation,
            status=answer.status,
            code=answer.code,
            command=self._topics.replied_command(answer.fallback),
        )
