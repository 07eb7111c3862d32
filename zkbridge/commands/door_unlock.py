"""door/unlock: open the door for some seconds; once, and not late."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.fields import DoorSeconds
from zkbridge.commands.api.registry import Answer, Body, Button, Change, Context, Lock, Params, command
from zkbridge.config.models import Device
from zkbridge.contract.answers import like
from zkbridge.contract.errors import ClockUntrusted, Forbidden
from zkbridge.machine.clock import Clock
from zkbridge.port.capabilities import Door


class Unlock(Params):
    """For how long."""

    seconds: DoorSeconds = 3

    def check_device(self, device: Device, clock: Clock) -> None:
        """Raise Forbidden where the door is not enabled, ClockUntrusted where the clock is not synchronised."""
        if not device.door.enabled:
            raise Forbidden("door", device=device.id)
        if not device.door.trust_clock:
            clock.require_synchronised()

    def max_age_s(self, device: Device) -> float:
        """The longest age of a request (seconds): after it the person is not at the door any more."""
        return device.door.max_age


class Opened(TypedDict):
    """Which door."""

    device_id: Annotated[str, like("principal")]


@command(
    "door/unlock",
    params=Unlock,
    code="unlocked",
    answer=Answer(Opened, says=("Puerta abierta.", "Door opened.")),
    errors=(ClockUntrusted,),
    disables=False,
    repeatable=False,
    delay_limit=lambda device: device.door.max_age if device.door.enabled else None,
    opens_s=lambda params: params.seconds,
    button=Button(
        "unlock",
        ("Abrir puerta", "Unlock door"),
        "mdi:door-open",
        offered=lambda device: device.door.enabled,
        lock=Lock("lock", ("Cerradura", "Lock"), "mdi:door-closed-lock", refused='{"seconds":0}'),
    ),
)
def unlock(session: Door, params: Unlock, context: Context) -> Change:
    """Plan to open the door. Raises Forbidden, ClockUntrusted."""
    params.check_device(context.device, context.clock)  # the configuration may have changed while the request waited

    def apply() -> Body:
        session.unlock(params.seconds)
        return {"data": {"device_id": context.device.id}}

    return Change(intent={}, apply=apply)
