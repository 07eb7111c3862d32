"""info: what the terminal is, how full it is, and how wrong its clock goes."""

from __future__ import annotations

from typing import Any

from zkbridge.commands.clock import shown_time, wall_clock
from zkbridge.commands.registry import Context, Params, command
from zkbridge.terminal.session import Session


class Info(Params):
    """Nothing to say."""


@command("info", params=Info, code="ok", disables=False, repeatable=True)
def info(session: Session, _params: Info, context: Context) -> dict[str, Any]:
    """Tell what the terminal says; null is what it would not say. `clock_drift_s` is positive where it is fast."""
    told = session.info()
    sizes = told.sizes
    before = wall_clock(context.device)
    device_time = session.time()
    between = before + (wall_clock(context.device) - before) / 2
    drift = None if device_time is None else round((device_time - between).total_seconds(), 1)
    data = {
        "device_id": context.device.id,
        "serialnumber": told.serial_number or None,
        "device_name": told.device_name or None,
        "platform": told.platform or None,
        "firmware_version": told.firmware or None,
        "mac": told.mac or None,
        "users": {"count": sizes.users, "capacity": sizes.users_capacity},
        "fingers": {"count": sizes.fingers, "capacity": sizes.fingers_capacity},
        "records": {"count": sizes.records, "capacity": sizes.records_capacity},
        "device_time": shown_time(device_time),
        "clock_drift_s": drift,
    }
    return {"data": data}
