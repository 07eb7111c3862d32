"""Punches on their way out, in the order of each terminal, until the broker has confirmed them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from zkbridge.contract.messages import Publication
from zkbridge.contract.topics import Topics
from zkbridge.ledger.ledger import Ledger, Telling
from zkbridge.outbox.delivery import Delivery

log = logging.getLogger(__name__)

#: Punches under way at once: few, so that no answer waits long behind them.
WINDOW = 40
#: After the broker has refused one, seconds until all that is not confirmed is sent again, in order.
REFUSED_WAIT_S = 60.0


class Announcer(Delivery):
    """Publishes every punch that is kept. `publish(id, publication)` hands one over without waiting.

    `confirmed`, `online` and `offline` are called by whoever talks to the broker, `wake` by whoever kept a punch.
    What the broker confirms is forgotten.
    """

    def __init__(
        self,
        ledger: Ledger,
        topics: Topics,
        publish: Callable[[int, Publication], None],
        *,
        died: Callable[[BaseException], None],
    ) -> None:
        super().__init__("announcer", "punches", died=died)
        self._ledger = ledger
        self._topics = topics
        self._publish = publish
        self._last = 0
        self._under_way: set[int] = set()
        self._confirmed: list[int] = []
        self._not_before = 0.0

    def online(self) -> None:
        """The broker is there."""
        with self._change:
            self._online, self._not_before = True, 0.0
            self._begin_again()

    def offline(self) -> None:
        """The broker is gone: nothing under way was confirmed."""
        with self._change:
            self._online = False
            self._begin_again()

    def confirmed(self, punch: int, refusal: str | None) -> None:
        """The broker has taken a punch, or refused it with a reason."""
        with self._change:
            if punch not in self._under_way:
                return
            if refusal is None:
                self._confirmed.append(punch)
                self._change.notify_all()
                return
            # A later one must not pass it: everything begins again with the oldest.
            log.error("the broker refuses punches (%s); they are kept, and sent again later", refusal)
            self._not_before = time.monotonic() + REFUSED_WAIT_S
            self._begin_again()

    def _begin_again(self) -> None:
        self._under_way.clear()
        self._last, self._look = 0, True
        self._change.notify_all()

    def _is_idle(self) -> bool:
        return not self._may_send() or not (self._look or self._under_way or self._confirmed)

    def _may_send(self) -> bool:
        return self._online and time.monotonic() >= self._not_before

    def _has_work(self) -> bool:
        ready = self._may_send() and self._look and len(self._under_way) < WINDOW
        return bool(self._confirmed or ready)

    def _settle(self) -> None:
        """Forget what the broker took."""
        with self._change:
            confirmed = list(self._confirmed)
        if not confirmed:
            return
        self._ledger.told(confirmed)
        with self._change:
            self._under_way.difference_update(confirmed)
            del self._confirmed[: len(confirmed)]
            self._look = True
            self._change.notify_all()

    def _send(self) -> None:
        with self._change:
            room = WINDOW - len(self._under_way)
            if not (self._may_send() and self._look and room > 0):
                return
            self._look = False
            after = self._last
        punches = self._ledger.to_tell(room, after=after)
        with self._change:
            if not self._online or self._last != after:
                return  # the connection has gone meanwhile
            self._look = self._look or len(punches) == room
            self._under_way.update(punch.id for punch in punches)
            self._last = punches[-1].id if punches else after
        for punch in punches:
            self._publish(punch.id, self._publication(punch))
        with self._change:
            self._change.notify_all()

    def _publication(self, punch: Telling) -> Publication:
        return Publication(self._topics.punches(punch.device), punch.body)
