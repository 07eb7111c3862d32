"""time/sync: set the terminal's clock."""

from __future__ import annotations

from datetime import datetime

from zkbridge.commands.api.fields import LocalMoment
from zkbridge.commands.api.registry import Answer, Body, Change, Context, Params, command
from zkbridge.commands.clock import Clock, shown_time, wall_clock
from zkbridge.contract.errors import ClockUntrusted
from zkbridge.port.capabilities import TerminalClock


class Sync(Params):
    """What the clock shall show; without it, the bridge's clock in the device's time zone."""

    time: LocalMoment | None = None


@command(
    "time/sync",
    params=Sync,
    code="synchronized",
    answer=Answer(Clock, says=("[{device_id}] Hora sincronizada.", "[{device_id}] Time synchronized.")),
    errors=(ClockUntrusted,),
    disables=False,
    repeatable=True,
)
def sync_time(session: TerminalClock, params: Sync, context: Context) -> Change:
    """Plan the new time, which is determined only when it is sent to the terminal. Raises ClockUntrusted."""
    if params.time is None:
        context.clock.require_plausible()

    def apply() -> Body:
        session.set_time(wall_clock(context.device) if params.time is None else datetime.fromisoformat(params.time))
        data: Clock = {"device_id": context.device.id, "device_time": shown_time(session.time())}
        return {"data": data}

    return Change(intent={}, apply=apply)
