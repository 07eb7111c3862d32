"""The dates from and until which a user is let in, and which change is due at a moment.

Both ends are wall clock times at the terminal's place. A time that the clock shows twice counts when it comes first;
one that it skips counts when as much time has passed (PEP 495, `fold` 0).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

#: Seconds after a moment from which on what it asked for was done late.
LATE_S = 60.0

Reason = Literal["valid_from", "valid_until"]


class Validity(NamedTuple):
    """The dates that are still to come, as `2030-01-31T08:00:00`; None where that end is open."""

    valid_from: str | None = None
    valid_until: str | None = None


class Due(NamedTuple):
    """A change that is due: the right state, the moment that it was due, and the dates that are left."""

    blocked: bool
    reason: Reason
    moment: str
    is_late: bool
    left: Validity


def instant(moment: str, zone: str | None) -> float:
    """A wall clock time in seconds since 1970; without a zone, in that of this machine."""
    shown = datetime.fromisoformat(moment)
    return (shown if zone is None else shown.replace(tzinfo=ZoneInfo(zone))).timestamp()


def is_blocked(validity: Validity, now: float, zone: str | None) -> bool:
    """Whether the user is to be blocked at a moment."""
    valid_from, valid_until = _instants(validity, zone)
    return (valid_from is not None and now < valid_from) or (valid_until is not None and now >= valid_until)


def to_come(validity: Validity, now: float, zone: str | None) -> Validity:
    """The dates without those that have passed."""
    valid_from, valid_until = _instants(validity, zone)
    return Validity(
        validity.valid_from if valid_from is not None and now < valid_from else None,
        validity.valid_until if valid_until is not None and now < valid_until else None,
    )


def next_instant(validity: Validity, zone: str | None) -> float | None:
    """The first of the dates, in seconds since 1970; None where there is none."""
    return min((each for each in _instants(validity, zone) if each is not None), default=None)


def due(validity: Validity, now: float, zone: str | None) -> Due | None:
    """The change that is due now, None where no date has passed. Where both have passed only `valid_until` counts."""
    valid_from, valid_until = _instants(validity, zone)
    if valid_until is not None and validity.valid_until is not None and now >= valid_until:
        return Due(True, "valid_until", validity.valid_until, now - valid_until > LATE_S, Validity())
    if valid_from is not None and validity.valid_from is not None and now >= valid_from:
        late = now - valid_from > LATE_S
        return Due(False, "valid_from", validity.valid_from, late, validity._replace(valid_from=None))
    return None


def _instants(validity: Validity, zone: str | None) -> tuple[float | None, float | None]:
    valid_from, valid_until = validity
    return (
        None if valid_from is None else instant(valid_from, zone),
        None if valid_until is None else instant(valid_until, zone),
    )
