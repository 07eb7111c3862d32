"""device/restart: have a terminal restart; once."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.registry import Answer, Body, Change, Context, Params, command
from zkbridge.contract.answers import like
from zkbridge.port.capabilities import Power


class Restart(Params):
    """Nothing to say."""


class Restarting(TypedDict):
    """Which terminal, and whether it confirmed."""

    acknowledged: Annotated[
        bool,
        like(example=True, description="false: it ended the connection instead of an answer, as some firmware does."),
    ]
    device_id: Annotated[str, like("principal")]


@command(
    "device/restart",
    params=Restart,
    code="restarting",
    answer=Answer(Restarting, says=("El dispositivo se está reiniciando.", "The device is restarting.")),
    disables=False,
    repeatable=False,
)
def restart(session: Power, _params: Restart, context: Context) -> Change:
    """Plan the restart; the terminal's availability shows when it runs again."""

    def apply() -> Body:
        return {"data": {"acknowledged": session.restart(), "device_id": context.device.id}}

    return Change(intent={}, apply=apply)
