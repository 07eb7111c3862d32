"""What the daemon takes while it runs, and whether any of it grows beyond noise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.daemon import Daemon
from tests.support.memory import MB, resident

#: Samples over which the log's bytes are divided by the requests answered; a third of a short run.
_WINDOW = 20
_LEAST = 8


class Sample(NamedTuple):
    """The daemon at one moment, `at` seconds after the first one: bytes, counts, and requests answered so far."""

    at: float
    resident: int
    descriptors: int
    threads: int
    ledger: int
    wal: int
    log: int
    set_aside: int
    answered: int


def sample(daemon: Daemon, *, at: float, set_aside: int, answered: int) -> Sample:
    """Look at it now. Raises OSError, StopIteration if it has just ended."""
    process = Path(f"/proc/{daemon.pid}")
    return Sample(
        at=at,
        resident=resident(daemon.pid),
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
    """A figure: at the middle, at the end, by how much the fit of the second half rises, and how much is allowed."""

    name: str
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


FIGURES = (
    _Figure("resident memory, MB", lambda one: one.resident / MB, 0.03, 1.0),
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
    half = [one for one in samples if one.at >= (samples[0].at + samples[-1].at) / 2]
    judged = [_fit(figure.name, [(one.at, figure.of(one)) for one in half], figure) for figure in FIGURES]
    return [*judged, _fit(_LOG.name, _log_by_request(half), _LOG)]


def _fit(name: str, points: Sequence[tuple[float, float]], figure: _Figure) -> Growth:
    if len(points) < _LEAST:
        raise ValueError(f"{name}: {len(points)} samples are too few for a fit")
    times, values = zip(*points, strict=True)
    slope, intercept = statistics.linear_regression(times, values)
    rise = slope * (times[-1] - times[0])
    deviation = statistics.pstdev(value - slope * at - intercept for at, value in points)
    middle = slope * times[0] + intercept
    allowed = max(2 * deviation, figure.share * abs(middle) + figure.least)
    return Growth(name, middle, middle + rise, rise, allowed, max(values))


def _log_by_request(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    pairs = zip(samples, samples[min(_WINDOW, len(samples) // 3) :], strict=False)
    return [
        (late.at, (late.log - early.log) / (late.answered - early.answered))
        for early, late in pairs
        if late.answered > early.answered
    ]


def table(judged: Sequence[Growth]) -> list[str]:
    """The figures, a line each."""
    head = f"{'over the second half':<24}{'middle':>10}{'end':>10}{'most':>10}{'rise':>9}{'allowed':>9}"
    rows = [
        f"{one.name:<24}{one.middle:>10.2f}{one.end:>10.2f}{one.most:>10.2f}{one.rise:>+9.2f}{one.allowed:>9.2f}"
        + ("  GROWS" if one.grows else "")
        for one in judged
    ]
    return [head, *rows]
