"""users/delete-finger: delete one fingerprint of a user, and leave the user's others."""

from __future__ import annotations

from typing import Annotated, ClassVar

from typing_extensions import TypedDict

from zkbridge.commands.api.fields import FingerIndex
from zkbridge.commands.api.registry import Answer, Body, Change, Context, Lasting, command
from zkbridge.commands.known_user import OneUser, find_all
from zkbridge.contract.answers import like
from zkbridge.contract.errors import BridgeError, UserNotFound
from zkbridge.port.capabilities import FingerStore
from zkbridge.port.users import UserTable


class FingerNotFound(BridgeError):
    """The terminal does not have this finger of the user. Facts: user_id, finger_index."""

    status, code = 404, "finger_not_found"
    sentences: ClassVar = {
        "": (
            "El usuario '{user_id}' no tiene registrado el dedo {finger_index}.",
            "User '{user_id}' has no finger {finger_index}.",
        )
    }


class DeleteFinger(OneUser, Lasting):
    """Whose finger, and which."""

    finger_index: FingerIndex


class Deleted(TypedDict):
    """The finger that is gone."""

    user_id: Annotated[str, like("123")]
    finger_index: Annotated[int, like(6, ge=0, le=9)]
    finger_name: Annotated[str, like("Indice derecho")]
    device_id: Annotated[str, like("principal")]


@command(
    "users/delete-finger",
    params=DeleteFinger,
    code="finger_deleted",
    answer=Answer(Deleted, says=("Huella eliminada.", "Fingerprint deleted.")),
    errors=(UserNotFound, FingerNotFound),
    disables=True,
    repeatable=True,
)
def delete_finger(session: FingerStore, params: DeleteFinger, context: Context) -> Body | Change:
    """Plan the end of the finger, or answer if an earlier attempt of this request has deleted it already."""
    users = find_all(session, params.user_id, context.device)
    index = params.finger_index
    owners = [user for user in users if session.has_finger(user, index)]
    body: Body = {
        "data": {
            "user_id": users[0].user_id,
            "finger_index": index,
            "finger_name": context.device.finger_name(index, context.language),
            "device_id": context.device.id,
        }
    }
    if not owners and context.asked_before:
        return body
    if not owners:
        raise FingerNotFound(user_id=users[0].user_id, finger_index=index)

    def apply() -> Body:
        for user in owners:
            session.delete_finger(user, index, spare_others=True)
        return body

    def kept(_table: UserTable) -> bool:
        return not any(session.has_finger(user, index) for user in owners)

    intent = {"uids": [user.uid for user in owners]}
    return Change(intent=intent, apply=apply, kept=kept, lost="finger_not_deleted")
