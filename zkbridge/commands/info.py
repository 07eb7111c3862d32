"""info: what the terminal is, how full it is, and how far its clock is off."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.registry import Answer, Body, Context, Params, command
from zkbridge.commands.clock import shown_time, wall_clock
from zkbridge.commands.connection_check import CHECK
from zkbridge.contract.answers import like
from zkbridge.port.capabilities import Facts


class Info(Params):
    """Nothing to say."""


class Usage(TypedDict):
    """How many there are, and may be."""

    count: Annotated[int | None, like(37)]
    capacity: Annotated[int | None, like(3000)]


class Machine(TypedDict):
    """What the terminal says of itself; null is what it would not say."""

    serialnumber: Annotated[str | None, like("DGD9190019050335743")]
    device_name: Annotated[str | None, like("K40/ID")]
    platform: Annotated[str | None, like("ZLM60_TFT")]
    firmware_version: Annotated[str | None, like("Ver 6.60 Apr 28 2017")]
    mac: Annotated[str | None, like("00:17:61:c8:ec:17")]
    users: Usage
    fingers: Usage
    records: Usage
    device_time: Annotated[str | None, like("2030-01-31T08:00:00")]
    clock_drift_s: Annotated[float | None, like(1.5)]
    device_id: Annotated[str, like("principal")]


@command(
    "info",
    params=Info,
    code="ok",
    answer=Answer(Machine),
    disables=False,
    repeatable=True,
    reads=True,
    button=CHECK,
)
def info(session: Facts, _params: Info, context: Context) -> Body:
    """Return what the terminal reports, null for the rest. `clock_drift_s` is positive if its clock is ahead.

    The drift is accurate to half a second, and to half of the time that the terminal takes to answer.
    """
    told = session.info()
    sizes = told.sizes
    before = wall_clock(context.device)
    device_time = session.time()
    between = before + (wall_clock(context.device) - before) / 2
    # The terminal shows whole seconds: its clock is half a second further on average.
    drift = None if device_time is None else round((device_time - between).total_seconds() + 0.5, 1)
    data: Machine = {
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
