"""Makes replies that the broker accepts: a small one in place of one that is too large for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from zkbridge.contract.messages import Publication
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import Topics
from zkbridge.ledger.records import Answer
from zkbridge.outbox.short_reply import shortened

log = logging.getLogger(__name__)


class Fitting:
    """Makes publications of answers; knows the broker's largest packet, and which answers are too large."""

    def __init__(self, topics: Topics, language: Language) -> None:
        self._topics = topics
        self._language = language
        self._too_large: set[int] = set()
        self._largest: int | None = None

    def new_connection(self, largest: int | None) -> None:
        """Note the largest packet that the broker accepts, in bytes (None: it did not say)."""
        self._largest = largest

    def is_too_large(self, answer: int) -> bool:
        """Whether an answer is known to be too large for the broker."""
        return answer in self._too_large

    def note_too_large(self, answer: int, size: int) -> None:
        """Send a small answer in place of this one from now on; `size` is in bytes."""
        self._too_large.add(answer)
        log.error("answer=%d has %d bytes, more than the broker takes: reply_too_large is sent instead", answer, size)

    def forget(self, answers: Iterable[int]) -> None:
        """Note that these were confirmed."""
        self._too_large.difference_update(answers)

    def fit(self, answer: Answer) -> Answer | None:
        """The answer, or a small one in its place where the broker takes none of that size; None if it must wait."""
        is_known = answer.id in self._too_large
        if self._largest is None and not is_known:
            return answer
        size = self.publication(answer).packet_size
        if self._takes(size) and not is_known:
            return answer
        short = shortened(answer, answer.language or self._language)
        if short is not None and self._takes(self.publication(short).packet_size):
            if not is_known:
                self.note_too_large(answer.id, size)
            return short
        if self._takes(size):
            return answer
        log.error("answer=%d has %d bytes, the broker takes %s: kept, not sent", answer.id, size, self._largest)
        return None

    def publication(self, answer: Answer) -> Publication:
        """The message that carries an answer."""
        return Publication(
            answer.topic,
            answer.body,
            correlation_data=answer.correlation,
            status=answer.status,
            code=answer.code,
            command=self._topics.replied_command(answer.fallback),
        )

    def _takes(self, size: int) -> bool:
        return self._largest is None or size <= self._largest
