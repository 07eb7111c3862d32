"""What time it is where a terminal hangs."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from zkbridge.config.models import Device


def wall_clock(device: Device) -> datetime:
    """The bridge's clock as a clock in the device's time zone shows it; without one, in that of the bridge."""
    zone = ZoneInfo(device.timezone) if device.timezone else None
    return datetime.now().astimezone(zone).replace(tzinfo=None)


def shown_time(moment: datetime | None) -> str | None:
    """A terminal's time for a reply; None where its clock shows no date."""
    return None if moment is None else moment.isoformat(timespec="seconds")
