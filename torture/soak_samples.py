"""What the daemon takes while it runs, and whether any of it grows beyond noise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from tests.support.daemon import Daemon
from tests.support.memory import MB, resident
from torture.soak_heap import Held

_LEAST = 8
#: Parts of the half that is judged: of each the lowest value is taken, or the log's bytes are divided by its answers.
_PARTS = 20


class Sample(NamedTuple):
    """The daemon at one moment, `at` seconds after the first one: bytes, counts, and requests answered so far."""

    at: float
    resident: int
    objects: int
    heap: int
    descriptors: int
    threads: int
    ledger: int
    wal: int
    log: int
    set_aside: int
    answered: int


def sample(daemon: Daemon, held: Held, *, at: float, set_aside: int, answered: int) -> Sample:
    """Look at it now; `held` is what it says itself. Raises OSError, StopIteration if it has just ended."""
    process = Path(f"/proc/{daemon.pid}")
    return Sample(
        at=at,
        resident=resident(daemon.pid),
        objects=held.objects,
        heap=held.heap,
        descriptors=sum(1 for _ in (process / "fd").iterdir()),
        threads=sum(1 for _ in (process / "task").iterdir()),
        ledger=_size(daemon.state / "ledger.db"),
        wal=_size(daemon.state / "ledger.db-wal"),
        log=_size(daemon.log_path),
        set_aside=set_aside,
        answered=answered,
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class Growth(NamedTuple):
    """A figure: at first, at the middle, at the end, by how much the fit of the second half rises, what is allowed."""

    name: str
    begin: float
    middle: float
    end: float
    rise: float
    allowed: float
    most: float

    @property
    def grows(self) -> bool:
        """Whether it rises by more than noise."""
        return self.rise > self.allowed


class _Figure(NamedTuple):
    name: str
    of: Callable[[Sample], float]
    #: A rise that is never called growth: the share of the value, and what is added to that.
    share: float
    least: float
    #: Whether only the lowest value of each `_PARTS`th counts: what is held while little is being done.
    at_rest: bool = False


# Resident memory is the most that was needed at one time, with what was left free in between since. While 20 terminals
# are read at random, it rises by a step each time that more of them are read at once than ever before: ever more
# rarely, but in ten minutes not yet rarely (by 0 to 9 % in the second half of several runs of 10 to 60 minutes).
# So it may rise by 15 %. A leak shows in what is held: the objects and the heap, at rest.
FIGURES = (
    _Figure("resident memory, MB", lambda one: one.resident / MB, 0.15, 1.0),
    _Figure("objects at rest, 1,000", lambda one: one.objects / 1000, 0.04, 2.0, at_rest=True),
    _Figure("heap at rest, MB", lambda one: one.heap / MB, 0.05, 0.5, at_rest=True),
    _Figure("descriptors", lambda one: one.descriptors, 0.0, 2.0),
    _Figure("threads", lambda one: one.threads, 0.0, 2.0),
    _Figure("ledger, MB", lambda one: one.ledger / MB, 0.05, 0.25),
    _Figure("ledger's WAL, MB", lambda one: one.wal / MB, 0.05, 1.0),
    _Figure("set aside", lambda one: one.set_aside, 0.0, 0.5),
)


_LOG = _Figure("log, bytes a request", lambda one: one.log / max(1, one.answered), 0.5, 100.0)


def judge(samples: Sequence[Sample]) -> list[Growth]:
    """Each figure by a straight line through the second half of the samples.

    Its rise is noise up to twice the deviation from that line, or up to what the figure is allowed.
    """
    middle = (samples[0].at + samples[-1].at) / 2
    figures = [(figure, [(one.at, figure.of(one)) for one in samples]) for figure in FIGURES]
    return [_fit(figure, points, middle) for figure, points in [*figures, (_LOG, _log_by_request(samples))]]


def _fit(figure: _Figure, points: Sequence[tuple[float, float]], middle_at: float) -> Growth:
    half = [(at, value) for at, value in points if at >= middle_at]
    if len(half) < _LEAST:
        raise ValueError(f"{figure.name}: {len(half)} samples are too few for a fit")
    if figure.at_rest:
        size = max(1, len(half) // _PARTS)
        half = [min(half[at : at + size], key=itemgetter(1)) for at in range(0, len(half), size)]
    times, values = zip(*half, strict=True)
    slope, intercept = statistics.linear_regression(times, values)
    rise = slope * (times[-1] - times[0])
    deviation = statistics.pstdev(value - slope * at - intercept for at, value in half)
    middle = slope * times[0] + intercept
    allowed = max(2 * deviation, figure.share * abs(middle) + figure.least)
    return Growth(figure.name, points[0][1], middle, middle + rise, rise, allowed, max(values))


def _log_by_request(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Bytes a request, in parts with as many answers each: while a broker is away there are none, and many after it."""
    step = max(1.0, (samples[-1].answered - samples[0].answered) / (2 * _PARTS))
    found, early = [], samples[0]
    for late in samples:
        if late.answered - early.answered >= step:
            found.append((late.at, (late.log - early.log) / (late.answered - early.answered)))
            early = late
    return found


def table(judged: Sequence[Growth]) -> list[str]:
    """The figures, a line each."""
    head = f"{'':<24}{'start':>10}{'middle':>10}{'end':>10}{'most':>10}{'rise':>9}{'allowed':>9}"
    rows = [
        f"{one.name:<24}{one.begin:>10.2f}{one.middle:>10.2f}{one.end:>10.2f}{one.most:>10.2f}{one.rise:>+9.2f}{one.allowed:>9.2f}"
        + ("  GROWS" if one.grows else "")
        for one in judged
    ]
    return [head, *rows]
