"""users/fingers: which fingers of a user the terminal knows; never a template."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.api.fields import MAX_FINGER_INDEX
from zkbridge.commands.api.registry import Answer, Body, Context, command
from zkbridge.commands.known_user import OneUser, find_all
from zkbridge.contract.answers import like
from zkbridge.contract.errors import UserNotFound
from zkbridge.port.capabilities import FingerReader


class Fingers(OneUser):
    """Whose fingers."""


class Row(TypedDict):
    """One finger that the terminal knows."""

    finger_index: Annotated[int, like(0, ge=0, le=9)]
    finger_name: Annotated[str, like("Menique izquierdo")]
    valid: Annotated[bool | int, like(example=True)]
    device_id: Annotated[str, like("principal")]


@command(
    "users/fingers",
    params=Fingers,
    code="ok",
    answer=Answer(Row, rows=True, counts={"total_fingers": "Fingers enrolled."}),
    errors=(UserNotFound,),
    disables=False,
    repeatable=True,
    reads=True,
)
def list_fingers(session: FingerReader, params: Fingers, context: Context) -> Body:
    """Tell the fingers in the order of the terminal's index."""
    device = context.device
    users = {user.uid: user for user in find_all(session, params.user_id, context.device)}.values()
    found = sorted((finger for user in users for finger in session.fingers(user)), key=lambda finger: finger.index)
    rows: list[Row] = [
        {
            "finger_index": finger.index,
            "finger_name": device.finger_name(finger.index, context.language),
            "valid": finger.valid,
            "device_id": device.id,
        }
        for finger in found
        if finger.index <= MAX_FINGER_INDEX
    ]
    return {"total_fingers": len(rows), "data": rows}
