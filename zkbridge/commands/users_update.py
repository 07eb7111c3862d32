"""users/update: change what is named of a user, and leave every other bit of the record."""

from __future__ import annotations

from pydantic import Field

from zkbridge.commands.api.fields import ADMINISTRATOR, Card, Privilege
from zkbridge.commands.api.keypad import with_keypad
from zkbridge.commands.api.registry import Answer, Body, Change, Context, command
from zkbridge.commands.api.text_fields import Name, Password
from zkbridge.commands.dated import Dated
from zkbridge.commands.known_user import KnownUser, OneUser, change_all, find_all, how_many
from zkbridge.config.models import Device, Policy
from zkbridge.contract.errors import ClockUntrusted, FieldFault, Forbidden, UserNotFound
from zkbridge.port.capabilities import UserStore
from zkbridge.port.fit import surely_unfit_changes
from zkbridge.port.users import User, UserChanges

_CHANGEABLE = ("name", "password", "privilege", "card", "blocked", "valid_from", "valid_until")


class Update(OneUser, Dated):
    """What a user shall be; None is what stays as it is."""

    name: Name | None = None
    password: Password | None = Field(default=None, repr=False)
    privilege: Privilege | None = None
    card: Card | None = Field(default=None, repr=False)

    def changes(self) -> UserChanges:
        """What is named of the record; whether the user is blocked follows from what is kept, too."""
        return UserChanges(self.name, self.password, self.privilege, self.card)

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """What fits no terminal with this device's encoding, what its keypad cannot type, or nothing to change."""
        faults = super().surely_wrong(device)
        faults += surely_unfit_changes(self.changes(), encoding=device.encoding, name_overflow=device.name_overflow)
        faults = with_keypad(faults, device, password=self.password or "")
        if all(getattr(self, name) is None for name in _CHANGEABLE):
            faults += (FieldFault("name", "any_of", {"names": ", ".join(_CHANGEABLE)}),)
        return faults + self.date_faults()

    def check_policy(self, policy: Policy) -> None:
        """Raise Forbidden for an administrator where those may not come over MQTT."""
        if self.privilege == ADMINISTRATOR and not policy.administrators:
            raise Forbidden("administrators")


@command(
    "users/update",
    params=Update,
    code="updated",
    answer=Answer(KnownUser, says=("Usuario '{user_id}' actualizado.", "User '{user_id}' updated.")),
    errors=(UserNotFound, ClockUntrusted),
    disables=True,
    repeatable=True,
)
def update(session: UserStore, params: Update, context: Context) -> Body | Change:
    """Plan the changes of the user's record, or of each of several; or answer if the terminal holds them already."""
    users, changes = find_all(session, params.user_id, context.device), params.changes()
    user_id = users[0].user_id
    more = {**_other_name(session, users[0], changes), **how_many(len(users))}
    body: Body = {"data": {"user_id": user_id, **more, "device_id": context.device.id}}
    changes = changes._replace(blocked=params.wants_blocked(user_id, context))
    return change_all(session, users, changes, body, context)


def _other_name(session: UserStore, user: User, changes: UserChanges) -> dict[str, str]:
    """The name, where the terminal holds it cut or spelled otherwise."""
    name = session.fit_changes(user, changes).name
    return {"name": name} if name is not None and name != changes.name else {}
