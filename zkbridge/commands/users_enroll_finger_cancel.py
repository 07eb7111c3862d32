"""users/enroll-finger/cancel: end an enrolment at once, whether a person is at it or it still waits its turn."""

from __future__ import annotations

from typing import Annotated, ClassVar

from typing_extensions import TypedDict

from zkbridge.commands.api.fields import FingerIndex
from zkbridge.commands.api.registry import Answer, Body, Context, Params, ending
from zkbridge.commands.api.text_fields import UserId
from zkbridge.commands.enrolment_errors import EnrollCancelled
from zkbridge.commands.users_enroll_finger import Enroll
from zkbridge.contract.answers import like
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import BridgeError


class EnrollNotFound(BridgeError):
    """The device has no enrolment to cancel: none was requested, or it has ended."""

    status, code = 404, "enroll_not_found"
    sentences: ClassVar = {
        "": (
            "No hay ningún enrolamiento que cancelar en '{device}'.",
            "There is no enrolment to cancel on '{device}'.",
        ),
    }


class Cancel(Params):
    """Which enrolment, if there are several: that of a user, of a finger; without either, the next to end."""

    user_id: UserId | None = None
    finger_index: FingerIndex | None = None

    def ends(self, other: Params) -> bool:
        """Whether it is the one that is meant."""
        return (
            isinstance(other, Enroll)
            and (self.user_id is None or id_spelling(self.user_id) == other.key)
            and self.finger_index in (None, other.finger_index)
        )


class Cancelled(TypedDict):
    """The enrolment that was ended."""

    user_id: Annotated[str, like("123")]
    finger_index: Annotated[int, like(6, ge=0, le=9)]
    device_id: Annotated[str, like("principal")]


@ending(
    "users/enroll-finger/cancel",
    of="users/enroll-finger",
    error=EnrollCancelled,
    params=Cancel,
    code="cancelled",
    answer=Answer(Cancelled, says=("Enrolamiento cancelado.", "Enrolment cancelled.")),
    errors=(EnrollNotFound,),
)
def cancel(ended: Enroll | None, _params: Cancel, context: Context) -> Body:
    """Tell which enrolment was ended. Raises EnrollNotFound."""
    if ended is None:
        raise EnrollNotFound(device=context.device.id)
    return {
        "data": {"user_id": ended.user_id, "finger_index": ended.finger_index, "device_id": context.device.id},
    }
