"""users/fingers: which fingers of a user the terminal knows; never a template."""

from __future__ import annotations

from typing import Any

from zkbridge.commands.known_user import OneUser, find
from zkbridge.commands.registry import Context, command
from zkbridge.terminal.session import Session


class Fingers(OneUser):
    """Whose fingers."""


@command("users/fingers", params=Fingers, code="ok", disables=False, repeatable=True)
def list_fingers(session: Session, params: Fingers, context: Context) -> dict[str, Any]:
    """Tell the fingers in the order of the terminal's index."""
    device = context.device
    found = sorted(session.fingers(find(session, params.user_id).uid), key=lambda finger: finger.index)
    rows = [
        {
            "finger_index": finger.index,
            "finger_name": device.finger_names[finger.index],
            "valid": finger.valid,
            "device_id": device.id,
        }
        for finger in found
        if finger.index < len(device.finger_names)
    ]
    return {"total_fingers": len(rows), "data": rows}
