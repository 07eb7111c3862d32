"""How far a terminal's attendance log has been published: which punches in it are new, and which id each has.

A log only grows, but it may be cleared, and a full one may lose its oldest punches; clocks are set back, and two
punches may be equal. So the place is kept as a count and as digests of the last punches that were published.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
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
    """The punch's `id`, the same by event and by log. `ordinal` distinguishes equal punches; it counts from 0."""
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
        self._uncounted: set[tuple[bytes, int]] = set()

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Of each remembered punch its trace, oldest first."""
        return tuple(self._traces)

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

    def note_uncounted(self, punches: int) -> None:
        """So many of the last remembered punches are not in the place's count: the log was read without them."""
        last = list(self._traces)[len(self._traces) - punches :]
        self._uncounted = {(trace.key, trace.ordinal) for trace in last}

    def new_in(self, log: Sequence[Punch]) -> Sequence[Punch]:
        """The punches of the log that were not published yet, in its order.

        The place is where the last published punches end: that of the count, if they stand there, else the one
        behind which most of them do. First they must be the same in everything; where that fails, in their times:
        a terminal that records no user_id names somebody else's once the user is gone. A log that holds none of them
        is another one, and all of it is new.

        Before the place, records are new for which the terminal sent no event while it sent those of later ones.
        """
        end = self._place_in(log)
        if not end or not self._traces:
            return log[end:]
        told = self._told_in(log, end)
        missed = [log[at] for at in self._missed(told)]
        told_behind = self._told_behind(told, end)
        if not missed and not told_behind:
            return log[end:]
        return [*missed, *_less(log[end:], told_behind, self._key)]

    def in_order_of(self, log: Sequence[Punch]) -> tuple[Trace, ...]:
        """The remembered punches in the order of the log, which is read and published to its end.

        A punch whose event was missing is published after later ones. A place is found again only by traces that stand
        as the log does.
        """
        traces = list(self._traces)
        at_of = {number: at for at, number in self._told_in(log, len(log)).items()}
        places, at = [], -1
        for number in range(len(traces)):
            at = at_of.get(number, at)  # one that the log does not hold stays behind the one before it
            places.append(at)
        ordered = [traces[number] for number in sorted(range(len(traces)), key=places.__getitem__)]
        ordinals: dict[bytes, deque[int]] = defaultdict(deque)
        for trace in sorted(ordered, key=lambda trace: trace.ordinal):
            ordinals[trace.key].append(trace.ordinal)
        # Equal punches cannot be distinguished: the highest ordinal belongs to the last, from which the next counts on.
        return tuple(trace._replace(ordinal=ordinals[trace.key].popleft()) for trace in ordered)

    def continues(self, tail: Sequence[Punch]) -> bool:
        """Whether a part of the log begins with the last published punches, as many as are compared."""
        last = list(self._traces)[-COMPARED:]
        begins = [self._key(punch) for punch in tail[:COMPARED]]
        return len(last) == COMPARED and begins == [trace.key for trace in last]

    def _place_in(self, log: Sequence[Punch]) -> int:
        """The number of records up to the last published one; 0 where the log holds none of them."""
        last = list(self._traces)[-COMPARED:]
        end = self._end(log, [each.key for each in last], self._key)
        if end is None:
            # Two people may punch in one second: then times alone may end before a published punch.
            end = max(self._end(log, [each.moment for each in last], self._moment) or 0, self._end_of_most(log))
        return end

    def _end_of_most(self, log: Sequence[Punch]) -> int:
        """Behind the last published record, where most of those before it were published too; 0 where there is none.

        For a terminal that told of a punch and did not record it, or recorded it otherwise, or recorded one without
        an event.
        """
        # Of a log that began or was cleared a short time ago, no more were published than are counted or remembered.
        length = min(COMPARED, len(self._traces), max(1, self.place.count))
        last = {trace.key for trace in list(self._traces)[-COMPARED:]}
        for end in range(len(log), 0, -1):
            if self._key(log[end - 1]) not in last:
                continue
            before = [self._key(punch) in self._ordinals for punch in log[max(0, end - length) : end]]
            if sum(before) * 2 >= len(before):
                return end
        return 0

    def _told_in(self, log: Sequence[Punch], end: int) -> dict[int, int]:
        """The published records before `end`: the place of each, and the number of its trace.

        Each trace is that of one record. Where several are equal, the last traces are those of the last records.
        """
        traces = list(self._traces)
        begin = max(0, end - len(traces) - COMPARED)
        told: dict[int, int] = {}
        for marks, mark in (
            ([each.key for each in traces], self._key),
            ([each.moment for each in traces], self._moment),
        ):
            free: dict[bytes, list[int]] = defaultdict(list)
            for number in sorted(set(range(len(traces))) - set(told.values())):
                free[marks[number]].append(number)
            for at in range(end - 1, begin - 1, -1):
                if at not in told and (numbers := free.get(mark(log[at]))):
                    told[at] = numbers.pop()
        return told

    def _missed(self, told: dict[int, int]) -> list[int]:
        """The places, before the last published record, of those that had no event."""
        places, numbers = sorted(told), set(told.values())
        missed: list[int] = []
        otherwise = 0
        for before, after in itertools.pairwise(places):
            gap = range(before + 1, after)
            unrecorded = set(range(told[before] + 1, told[after])) - numbers
            if len(gap) > len(unrecorded):
                missed += gap
            else:
                otherwise += len(gap)  # recorded otherwise than they were published
        # So many were in the log at first, or were published before those that are remembered; negative, or more than
        # stand before these, after the log was cleared or lost its oldest.
        begin = self.place.count - len(told) - otherwise + self._uncounted_of(told)
        older = told[places[0]] if told else 0
        if older and (begin < 0 or older >= places[0]):
            # Older published punches are not in the log any more: the count is too small because the log looked
            # shorter, or no more records than that stand before these, and so are younger. If they are the same
            # punches, recorded otherwise, they are published twice; else they would be lost.
            begin = 0
        if begin < 0 and len(self._traces) < COMPARED:
            begin = 0  # the log looked shorter, and what was in it at first is among so few remembered punches
        return [*range(begin, places[0]), *missed] if begin >= 0 else missed

    def _uncounted_of(self, told: dict[int, int]) -> int:
        """How many of the published records that the log holds are not in the place's count."""
        if not self._uncounted:
            return 0
        traces = list(self._traces)
        return sum((traces[number].key, traces[number].ordinal) in self._uncounted for number in told.values())

    def _told_behind(self, told: dict[int, int], end: int) -> Counter[bytes]:
        """The keys of those punches that were published after the last record before `end` and are not before it."""
        numbers = set(told.values())
        last = told.get(end - 1, len(self._traces))
        return Counter(
            trace.key for number, trace in enumerate(self._traces) if number > last and number not in numbers
        )

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


def _less(punches: Iterable[Punch], told: Counter[bytes], key: Callable[[Punch], bytes]) -> list[Punch]:
    """The punches without the published ones, each of which counts once."""
    left = []
    for punch in punches:
        mark = key(punch)
        if told[mark] > 0:
            told[mark] -= 1
        else:
            left.append(punch)
    return left
