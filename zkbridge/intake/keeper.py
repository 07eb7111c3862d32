"""Keep a batch of messages, or each by itself if one of them cannot be kept, so that the others are not affected."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from zkbridge.contract.messages import Reply
from zkbridge.contract.topics import Topics
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.records import Draft, Kept
from zkbridge.runtime.logs import explain

log = logging.getLogger(__name__)

#: Seconds for which nothing could be kept after which the bridge is not well.
PATIENCE_S = 60.0

Keep = Callable[[list[Draft]], list[Kept]]
Outcome = list[tuple[Draft, Kept]]


class Keeper:
    """Keeps messages, so that an error costs one message only; a ledger that cannot be written stops all.

    A message that cannot be kept is noted in `set_aside`, answered `internal` where it can be answered, and counts
    as received.
    """

    def __init__(self, set_aside: SetAside, topics: Topics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._set_aside = set_aside
        self._topics = topics
        self._clock = clock
        self._failures: tuple[float, float] | None = None

    @property
    def set_aside(self) -> int:
        """Messages that were set aside since the start."""
        return self._set_aside.count

    def is_well(self) -> bool:
        """Whether something was kept lately, or nothing was to be kept."""
        if self._failures is None:
            return True
        first, last = self._failures
        return last - first < PATIENCE_S or self._clock() - last > PATIENCE_S

    def keep(self, drafts: list[Draft], keep: Keep, internal: Callable[[Draft, str], Reply]) -> Iterator[Outcome]:
        """Give what was kept, batch by batch: all in one, or one by one where `keep` failed for the whole.

        What was given is on disk, whatever happens to the next. `internal` makes the answer to a message that cannot
        be kept, from its draft and error_id. Raises LedgerUnavailable, and then nothing more was kept.
        """
        try:
            yield from self._keep(drafts, keep, internal)
        except LedgerUnavailable:
            now = self._clock()
            self._failures = (self._failures[0] if self._failures else now, now)
            raise
        self._failures = None

    def give_up(self, topic: str, digest: bytes, error: BaseException) -> str:
        """Set a message aside that made the bridge fail; its error_id."""
        error_id, first = self._set_aside.add(topic, digest, _cause(error))
        if first:
            log.error(
                "error_id=%s a message is set aside: the bridge failed while it handled it", error_id, exc_info=error
            )
        return error_id

    def give_up_unread(self, topic: str, digest: bytes, reason: str) -> None:
        """Set a message aside that could not be read."""
        error_id, first = self._set_aside.add(topic, digest, reason)
        if first:
            log.error("error_id=%s a message is set aside: it cannot be read: %s", error_id, reason)

    def _keep(self, drafts: list[Draft], keep: Keep, internal: Callable[[Draft, str], Reply]) -> Iterator[Outcome]:
        try:
            kept = keep(drafts)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - which message it was shows when each is tried by itself
            before = self._set_aside.count
            for draft in drafts:
                yield self._keep_alone(draft, keep, internal)
            if self._set_aside.count == before:  # else the message that failed has its own line
                log.warning("%d messages could be kept only one by one (%s)", len(drafts), _cause(error))
        else:
            yield list(zip(drafts, kept, strict=True))

    def _keep_alone(self, draft: Draft, keep: Keep, internal: Callable[[Draft, str], Reply]) -> Outcome:
        try:
            return [(draft, keep([draft])[0])]
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - logged where it is set aside
            error_id = self.give_up(self._topics.command(draft.device, draft.command), draft.digest, error)
        bare = draft._replace(
            reply=internal(draft, error_id), params=b"", content=b"", expires_at=None, parts=(), catch_up=False
        )
        # What the message brought for its answer may be what cannot be kept.
        for answer in (bare, bare._replace(topic=draft.fallback, correlation=None, request_id=None)):
            if (kept := _attempt(answer, keep)) is not None:
                return [(answer, kept)]
        log.error("error_id=%s it cannot be answered either", error_id)
        return []


def _cause(error: BaseException) -> str:
    """The kind of an error and where it was raised; never its text, which may quote a payload."""
    [(kind, places), *_] = explain(error)
    return f"{kind} at {places[-1]}" if places else kind


def _attempt(answer: Draft, keep: Keep) -> Kept | None:
    try:
        return keep([answer])[0]
    except LedgerUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - what the bridge cannot do with this message was logged in full
        log.warning("an answer cannot be kept: %s", error)
        return None
