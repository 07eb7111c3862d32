"""How far a terminal's attendance log has been published: which punches in it are new, and which id each has.

A log only grows, but it may be cleared, and a full one may lose its oldest punches; clocks are set back, and two
punches may be equal. So the place is kept as a count and as digests of the last punches that were published.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from zkbridge.ledger.records import Place, Trace
from zkbridge.port.punches import Punch

#: How many of the last punches are remembered: more than a terminal records in the hour by which its clock is set back.
REMEMBERED = 1000
#: How many of them must stand in the log one after the other, for a place in it to be the known one.
COMPARED = 64

#: How many digests of a log are kept while it is searched; each place needs those of the few punches before it.
_MARKS_KEPT = 4096

Digest = Callable[..., bytes]
PunchKey = tuple[str, str | None, int, int]


def moment_of(punch: Punch) -> str:
    """The punch's time as it is published; empty where it has none."""
    return "" if punch.timestamp is None else punch.timestamp.isoformat()


def key_of(punch: Punch) -> PunchKey:
    """The part of a punch's `id` that two equal punches share."""
    return moment_of(punch), punch.user_id, punch.status, punch.punch


def identity(device: str, punch: Punch, ordinal: int) -> str:
    """The punch's `id`, the same by event and by log. `ordinal` tells equal punches apart; it counts from 0."""
    when = moment_of(punch) or "-"
    return f"{device}/{when}/{punch.user_id or ''}/{punch.status}/{punch.punch}/{ordinal}"


@dataclass
class Bookmark:
    """A place in the log of one terminal. `place` is what the ledger keeps of it; `digest` is the ledger's."""

    place: Place
    digest: Digest = field(repr=False)

    def __post_init__(self) -> None:
        self._traces: deque[Trace] = deque(self.place.traces, maxlen=REMEMBERED)
        self._ordinals = {trace.key: trace.ordinal for trace in self._traces}

    def knows(self, punch: Punch) -> bool:
        """Whether an equal punch is among the remembered ones: then the same punch may have come a second time."""
        return self._key(punch) in self._ordinals

    def trace(self, punch: Punch) -> Trace:
        """Remember a punch that is published now."""
        key = self._key(punch)
        trace = Trace(self._moment(punch), key, self._ordinals.get(key, -1) + 1)
        if len(self._traces) == REMEMBERED:
            oldest = self._traces[0]
            if self._ordinals.get(oldest.key) == oldest.ordinal:
                del self._ordinals[oldest.key]
        self._traces.append(trace)
        self._ordinals[key] = trace.ordinal
        return trace

    def new_in(self, log: Sequence[Punch]) -> Sequence[Punch]:
        """The punches of the log that were not published yet.

        The place is where the last punches that were told end: that of the count, if they stand there, else the one
        behind which most of them do. First they must be the same in everything; where that fails, in their times:
        a terminal that records no user_id names somebody else's once the user is gone. A log that holds none of them
        is another one, and all of it is new.
        """
        last = list(self._traces)[-COMPARED:]
        for told, mark in (([each.key for each in last], self._key), ([each.moment for each in last], self._moment)):
            end = self._end(log, told, mark)
            if end is not None:
                return log[end:]
        return log[self._end_of_most(log) :]

    def continues(self, tail: Sequence[Punch]) -> bool:
        """Whether a part of the log begins with the last published punches, as many as are compared."""
        last = list(self._traces)[-COMPARED:]
        begins = [self._key(punch) for punch in tail[:COMPARED]]
        return len(last) == COMPARED and begins == [trace.key for trace in last]

    def _end_of_most(self, log: Sequence[Punch]) -> int:
        """Behind the last record that was told, where most of those before it were told too; 0 where there is none.

        For a terminal that told of a punch and did not record it, or recorded it otherwise.
        """
        last = {trace.key for trace in list(self._traces)[-COMPARED:]}
        for end in range(len(log), 0, -1):
            if self._key(log[end - 1]) not in last:
                continue
            before = [self._key(punch) in self._ordinals for punch in log[max(0, end - COMPARED) : end]]
            if sum(before) * 2 >= len(before):
                return end
        return 0

    def _end(self, log: Sequence[Punch], told: list[bytes], mark: Callable[[Punch], bytes]) -> int | None:
        """The number of records up to the last published punch; None where the log holds none of them."""
        count = self.place.count
        if not told:
            return count if count <= len(log) else None
        marks: dict[int, bytes] = {}

        def run(end: int) -> int:
            """How many of them stand before this place, if all do that fit before it."""
            length = min(end, len(told))
            for back in range(1, length + 1):
                at = end - back
                if len(marks) > _MARKS_KEPT:
                    marks.clear()
                if at not in marks:
                    marks[at] = mark(log[at])
                if marks[at] != told[-back]:
                    return 0
            return length

        if 0 < count <= len(log) and run(count) == min(count, len(told)):
            return count
        best = max(range(1, len(log) + 1), key=lambda end: (run(end), end), default=0)
        return best if best and run(best) else None

    def _key(self, punch: Punch) -> bytes:
        return self.digest(moment_of(punch), punch.user_id, str(punch.status), str(punch.punch))[:12]

    def _moment(self, punch: Punch) -> bytes:
        return self.digest(moment_of(punch))[:12]
