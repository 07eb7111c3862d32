"""users/update: change what is named of a user, and leave every other bit of the record."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from zkbridge.commands.api.fields import ADMINISTRATOR, Card, Privilege
from zkbridge.commands.api.keypad import with_keypad
from zkbridge.commands.api.registry import Answer, Change, Context, Lasting, command
from zkbridge.commands.api.text_fields import Name, Password
from zkbridge.commands.known_user import KnownUser, OneUser, find_all, how_many, must_be_alone
from zkbridge.config.models import Device, Policy
from zkbridge.contract.errors import FieldFault, Forbidden, UserNotFound
from zkbridge.port.capabilities import UserStore
from zkbridge.port.fit import surely_unfit_changes
from zkbridge.port.users import User, UserChanges, UserTable

_CHANGEABLE = ("name", "password", "privilege", "card")


class Update(OneUser, Lasting):
    """What a user shall be; None is what stays as it is."""

    name: Name | None = None
    password: Password | None = Field(default=None, repr=False)
    privilege: Privilege | None = None
    card: Card | None = Field(default=None, repr=False)

    def changes(self) -> UserChanges:
        """What is named."""
        return UserChanges(self.name, self.password, self.privilege, self.card)

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """What fits no terminal with this device's encoding, what its keypad cannot type, or nothing to change."""
        faults = super().surely_wrong(device)
        faults += surely_unfit_changes(self.changes(), encoding=device.encoding, name_overflow=device.name_overflow)
        faults = with_keypad(faults, device, password=self.password or "")
        if all(getattr(self, name) is None for name in _CHANGEABLE):
            faults += (FieldFault("name", "any_of", {"names": ", ".join(_CHANGEABLE)}),)
        return faults

    def check_policy(self, policy: Policy) -> None:
        """Raise Forbidden for an administrator where those may not come over MQTT."""
        if self.privilege == ADMINISTRATOR and not policy.administrators:
            raise Forbidden("administrators")


@command(
    "users/update",
    params=Update,
    code="updated",
    answer=Answer(KnownUser, says=("Usuario '{user_id}' actualizado.", "User '{user_id}' updated.")),
    errors=(UserNotFound,),
    disables=True,
    repeatable=True,
)
def update(session: UserStore, params: Update, context: Context) -> dict[str, Any] | Change:
    """Plan the changes of the user's record, or of each of several; or answer if the terminal holds them already."""
    users, changes = find_all(session, params.user_id), params.changes()
    user_id = users[0].user_id
    more = {**_other_name(session, users[0], changes), **how_many(len(users))}
    body = {"data": {"user_id": user_id, **more, "device_id": context.device.id}}
    others = [user for user in users if session.changed(user, changes) != user.record]
    if not others:
        return body
    must_be_alone(session.users(), users, context.device)

    def apply() -> dict[str, Any]:
        for user in others:
            session.change_user(user, changes)
        return body

    def kept(table: UserTable) -> bool:
        now = table.all_by_user_id(user_id)
        return len(now) == len(users) and all(session.changed(user, changes).is_held_by(user) for user in now)

    return Change(intent={"uids": [user.uid for user in users]}, apply=apply, kept=kept, lost="not_changed")


def _other_name(session: UserStore, user: User, changes: UserChanges) -> dict[str, str]:
    """The name, where the terminal holds it cut or spelled otherwise."""
    name = session.fit_changes(user, changes).name
    return {"name": name} if name is not None and name != changes.name else {}
