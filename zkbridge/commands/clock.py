"""The local time in a terminal's time zone."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from typing_extensions import TypedDict

from zkbridge.config.models import Device
from zkbridge.contract.answers import like


class Clock(TypedDict):
    """What a terminal's clock shows."""

    device_time: Annotated[str | None, like("2030-01-31T08:00:00")]
    device_id: Annotated[str, like("principal")]


def wall_clock(device: Device, at: float | None = None) -> datetime:
    """The bridge's clock as a clock in the device's time zone shows it; without one, in that of the bridge.

    `at` is the moment (Unix time); None is now.
    """
    zone = ZoneInfo(device.timezone) if device.timezone else None
    return datetime.fromtimestamp(time.time() if at is None else at, UTC).astimezone(zone).replace(tzinfo=None)


def shown_time(moment: datetime | None) -> str | None:
    """A terminal's time for a reply; None where its clock shows no date."""
    return None if moment is None else moment.isoformat(timespec="seconds")
