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
from zkbridge.terminal.port import UserStore
from zkbridge.terminal.records.comparison import holds
from zkbridge.terminal.records.fit import fit, surely_unfit
from zkbridge.terminal.records.user_table import UserTable
from zkbridge.terminal.records.users import SIZES, User, UserFields, rewrite

#: The bits of the permission byte that say what somebody is; bit 0 keeps a user out, and is not asked for here.
#: Source: adrobinoga/zk-protocol `data-user.md`.
_ROLE = 0b1110
#: A user_id that fits every terminal: that of the user is on the terminal already.
_FITTING = "1"
_CHANGEABLE = ("name", "password", "privilege", "card")


class Update(OneUser, Lasting):
    """What a user shall be; None is what stays as it is."""

    name: Name | None = None
    password: Password | None = Field(default=None, repr=False)
    privilege: Privilege | None = None
    card: Card | None = Field(default=None, repr=False)

    def texts(self) -> UserFields:
        """The new texts, to be measured."""
        return UserFields(_FITTING, self.name or "", self.password or "")

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """What fits no terminal with this device's encoding, what its keypad cannot type, or nothing to change."""
        faults = super().surely_wrong(device)
        faults += surely_unfit(self.texts(), encoding=device.encoding, name_overflow=device.name_overflow)
        faults = with_keypad(faults, device, password=self.password or "")
        if all(getattr(self, name) is None for name in _CHANGEABLE):
            faults += (FieldFault("name", "any_of", {"names": ", ".join(_CHANGEABLE)}),)
        return faults

    def check_policy(self, policy: Policy) -> None:
        """Raise Forbidden for an administrator where those may not come over MQTT."""
        if self.privilege == ADMINISTRATOR and not policy.administrators:
            raise Forbidden("administrators")

    def fitted(self, user: User, device: Device) -> UserFields:
        """The new texts as the terminal will hold them. Raises InvalidField."""
        return fit(
            self.texts(),
            record_size=next(size for size in SIZES if size == len(user.raw)),
            encoding=device.encoding,
            user_id_width=len(_FITTING),
            name_overflow=device.name_overflow,
        )

    def applied_to(self, user: User, device: Device) -> bytes:
        """The user's record with what is named put in. Raises InvalidField."""
        texts = self.fitted(user, device)
        fields = UserFields(
            user.user_id,
            user.name if self.name is None else texts.name,
            user.password if self.password is None else texts.password,
            user.privilege if self.privilege is None else user.privilege & ~_ROLE | self.privilege & _ROLE,
            user.card if self.card is None else self.card,
        )
        return rewrite(user, fields, encoding=device.encoding)


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
    """Plan the record that the user shall have, or each of several; or answer if the terminal holds it already."""
    users = find_all(session, params.user_id)
    user_id = users[0].user_id
    more = {**_other_name(params, users[0], context), **how_many(len(users))}
    body = {"data": {"user_id": user_id, **more, "device_id": context.device.id}}
    changed = [raw for user in users if (raw := params.applied_to(user, context.device)) != user.raw]
    if not changed:
        return body
    must_be_alone(session.users(), users, context.device)

    def apply() -> dict[str, Any]:
        for raw in changed:
            session.change_user(raw)
        return body

    def kept(table: UserTable) -> bool:
        now = table.all_by_user_id(user_id)
        return len(now) == len(users) and all(holds(user, params.applied_to(user, context.device)) for user in now)

    return Change(intent={"uids": [user.uid for user in users]}, apply=apply, kept=kept, lost="not_changed")


def _other_name(params: Update, user: User, context: Context) -> dict[str, str]:
    """The name, where the terminal holds it cut or spelled otherwise."""
    name = params.fitted(user, context.device).name
    return {"name": name} if params.name is not None and name != params.name else {}
