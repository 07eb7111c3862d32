"""What is published next, and what the broker has still to confirm on this connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from zkbridge.contract.messages import Publication, Token
from zkbridge.mqtt.refused_topics import RefusedTopics, Turn
from zkbridge.mqtt.subscription_check import PROBE


class Sending(NamedTuple):
    """A message on its way; `token` is the sender's name for it (None: state and the like, which need none)."""

    token: Token | None
    publication: Publication


class SendQueue:
    """First in, first out; a message without a token that ends connections goes alone and last, or waits.

    Of several that may be what ends connections the smallest goes first: it is the least likely.

    `add` may be called from any thread, everything else from the one that talks to the broker.
    """

    def __init__(self, refused: RefusedTopics) -> None:
        self._refused = refused
        self._waiting: deque[Sending] = deque()
        self._suspects: dict[str, Sending] = {}
        self._under_way: dict[int, Sending] = {}
        self._alone = False

    @property
    def is_empty(self) -> bool:
        """Whether everything that may be sent was confirmed; callable from any thread."""
        return not (self._waiting or self._suspects or self._under_way)

    @property
    def under_way(self) -> list[str]:
        """The topics of what the broker has still to confirm, each once."""
        return sorted({sending.publication.topic for sending in self._under_way.values()})

    def add(self, token: Token | None, publication: Publication) -> None:
        """Let it be sent behind what waits."""
        self._waiting.append(Sending(token, publication))

    def extend(self, publications: Iterable[Publication]) -> None:
        """Let messages without tokens be sent behind what waits."""
        self._waiting.extend(Sending(None, publication) for publication in publications)

    def next(self, most: int) -> Sending | None:
        """The next message, where no more than `most` may be under way; `sent` or `dropped` says what became of it."""
        if self._alone or len(self._under_way) >= most:
            return None
        while self._waiting:
            sending = self._waiting.popleft()
            turn = Turn.NOW if _is_cared_for(sending) else self._refused.turn(sending.publication)
            if turn is Turn.NOW:
                return sending
            if turn is Turn.ALONE:
                self._suspects[sending.publication.topic] = sending
        for publication in self._refused.due():
            self._suspects.setdefault(publication.topic, Sending(None, publication))
        if not self._suspects or self._under_way:
            return None
        self._alone = True
        smallest = min(self._suspects.values(), key=lambda sending: sending.publication.packet_size)
        return self._suspects.pop(smallest.publication.topic)

    def sent(self, mid: int, sending: Sending) -> None:
        """It is under way under a packet id."""
        self._under_way[mid] = sending

    def dropped(self) -> None:
        """What `next` gave was not sent."""
        self._alone = False

    def confirmed(self, mid: int) -> Sending | None:
        """The broker has answered; None if nothing was sent under that packet id on this connection."""
        sending = self._under_way.pop(mid, None)
        self._alone = self._alone and bool(self._under_way)
        return sending

    def end(self, *, broken: bool) -> bool:
        """The connection is over: nothing under way was confirmed. `broken` if it was the broker that ended it.

        Returns whether it is known now which message the broker ended it for.
        """
        found = broken and self._alone and bool(self._under_way)
        if broken:
            own = [sending.publication for sending in self._under_way.values() if not _is_cared_for(sending)]
            self._refused.broke(own, alone=self._alone)
        self._under_way.clear()
        self._alone = False
        return found

    def clear(self) -> None:
        """Forget what waits: the next connection says all of it again."""
        self._waiting.clear()
        self._suspects.clear()


def _is_cared_for(sending: Sending) -> bool:
    """Whether its sender itself looks after what ends connections."""
    return sending.token is not None or sending.publication.payload == PROBE
