"""ping: whether the terminal answers, and how fast."""

from __future__ import annotations

import time
from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.registry import Answer, Body, Context, Params, command
from zkbridge.commands.clock import shown_time
from zkbridge.commands.connection_check import CHECK
from zkbridge.contract.answers import like
from zkbridge.port.capabilities import TerminalClock


class Ping(Params):
    """Nothing to say."""


class Pong(TypedDict):
    """When it answered, and how fast."""

    device_time: Annotated[str | None, like("2030-01-31T08:00:00")]
    latency_ms: Annotated[float, like(12.5)]
    device_id: Annotated[str, like("principal")]


@command(
    "ping",
    params=Ping,
    code="ok",
    answer=Answer(Pong, says=("Conexion exitosa con '{device_id}'.", "Connection to '{device_id}' successful.")),
    disables=False,
    repeatable=True,
    reads=True,
    button=CHECK,
)
def ping(session: TerminalClock, _params: Ping, context: Context) -> Body:
    """Ask for the time; `latency_ms` is how long that one answer took."""
    began = time.perf_counter()
    device_time = session.time()
    latency_ms = round((time.perf_counter() - began) * 1000, 1)
    data: Pong = {"device_id": context.device.id, "device_time": shown_time(device_time), "latency_ms": latency_ms}
    return {"data": data}
