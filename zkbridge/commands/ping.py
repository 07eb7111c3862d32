"""ping: whether the terminal answers, and how fast."""

from __future__ import annotations

import time
from typing import Any

from zkbridge.commands.clock import shown_time
from zkbridge.commands.registry import Context, Params, command
from zkbridge.terminal.session import Session


class Ping(Params):
    """Nothing to say."""


@command("ping", params=Ping, code="ok", disables=False, repeatable=True)
def ping(session: Session, _params: Ping, context: Context) -> dict[str, Any]:
    """Ask for the time; `latency_ms` is how long that one answer took."""
    began = time.perf_counter()
    device_time = session.time()
    latency_ms = round((time.perf_counter() - began) * 1000, 1)
    return {
        "data": {"device_id": context.device.id, "device_time": shown_time(device_time), "latency_ms": latency_ms},
    }
