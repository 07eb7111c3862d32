"""users/copy: write users of one terminal, with their fingers, to others."""

from __future__ import annotations

from pydantic import Field

from zkbridge.commands.api.fields import CatchUp, Flag
from zkbridge.commands.api.names import Targets, UserIds
from zkbridge.commands.api.params import ENVELOPE
from zkbridge.commands.api.registry import Context, HandOver, Onward, Params, command
from zkbridge.commands.api.text_fields import UserId
from zkbridge.commands.transfer import COPIED, WRITE, AlgorithmDiffers, CopyIncomplete, read_people
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceFull, FieldFault, UserExists, UserNotFound
from zkbridge.contract.texts import add_texts
from zkbridge.port.capabilities import Terminal

add_texts(
    {
        "field.user_id_or_user_ids": (
            "hace falta user_id o user_ids, y solo uno de los dos",
            "either user_id or user_ids is needed, and only one of them",
        ),
        "field.is_source": (
            "no puede nombrar el dispositivo del que se copia",
            "cannot name the device that is copied from",
        ),
        "field.unknown_device": (
            "no hay dispositivo ni grupo '{device}'; hay: {known}",
            "there is no device or group '{device}'; there are: {known}",
        ),
        "field.names": (
            "debe ser una lista de 1 a {most} textos, sin repetidos",
            "must be a list of 1 to {most} texts, none of them twice",
        ),
    }
)


class Copy(Params):
    """Whom to copy, and where to."""

    user_id: UserId | None = None
    user_ids: UserIds | None = None
    to: Targets
    fingers: Flag = True
    overwrite: Flag = False
    catch_up: CatchUp = Field(
        default=False,
        description="With expires_at: until then, a target that does not answer is written when it answers again.",
    )

    @property
    def waits(self) -> bool:
        """As asked: the targets may be caught up later, not the device that is copied from."""
        return self.catch_up

    @property
    def targets(self) -> tuple[str, ...]:
        """The devices and groups that get the users."""
        return self.to

    @property
    def who(self) -> tuple[str, ...]:
        """The users, in the order of the request."""
        return self.user_ids or (self.user_id or "",)

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """No user or two ways to name one, and a copy to where it comes from."""
        faults = [] if (self.user_id is None) != (self.user_ids is None) else [FieldFault(*_ONE_OF)]
        if device.id in self.to:
            faults.append(FieldFault("to", "is_source"))
        return tuple(faults)

    def stored(self) -> bytes:
        """As always, and whether the targets may wait: the device that is copied from passes that on."""
        return self.model_dump_json(exclude=set(ENVELOPE), round_trip=True).encode()


_ONE_OF = "user_id", "user_id_or_user_ids"


@command(
    "users/copy",
    params=Copy,
    code="copied",
    answer=COPIED,
    errors=(UserNotFound, UserExists, DeviceFull, AlgorithmDiffers, CopyIncomplete),
    disables=False,
    repeatable=True,
    hands_over=True,
)
def copy(session: Terminal, params: Copy, context: Context) -> HandOver:
    """Read the users, and leave it to the targets to write them: each user of each target is a request of its own."""
    people, algorithm = read_people(session, params.who, context, fingers=params.fingers)
    how = {"overwrite": params.overwrite, "exact": params.overwrite and params.fingers}
    asked = [Onward(each.user.user_id, each.write(algorithm=algorithm, **how).stored()) for each in people]
    return HandOver(WRITE, params.to, tuple(asked), catch_up=params.catch_up)
