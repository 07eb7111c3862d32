"""door/state: whether the door is open."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.registry import Answer, Body, Context, Params, command
from zkbridge.contract.answers import like
from zkbridge.port.capabilities import Door


class State(Params):
    """Nothing to say."""


class DoorState(TypedDict):
    """What the terminal reports of its door."""

    open: Annotated[bool, like(example=False)]
    device_id: Annotated[str, like("principal")]


@command(
    "door/state",
    params=State,
    code="ok",
    answer=Answer(DoorState),
    disables=False,
    repeatable=True,
    reads=True,
)
def state(session: Door, _params: State, context: Context) -> Body:
    """Tell whether the door is open, as the terminal reports it now."""
    return {"data": {"open": session.door_open(), "device_id": context.device.id}}
