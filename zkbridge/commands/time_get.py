"""time/get: what the terminal's clock shows."""

from __future__ import annotations

from zkbridge.commands.api.registry import Answer, Body, Context, Params, command
from zkbridge.commands.clock import Clock, shown_time
from zkbridge.port.capabilities import TerminalClock


class Get(Params):
    """Nothing to say."""


@command("time/get", params=Get, code="ok", answer=Answer(Clock), disables=False, repeatable=True, reads=True)
def get_time(session: TerminalClock, _params: Get, context: Context) -> Body:
    """Tell the terminal's wall clock; null where it shows no date."""
    data: Clock = {"device_id": context.device.id, "device_time": shown_time(session.time())}
    return {"data": data}
