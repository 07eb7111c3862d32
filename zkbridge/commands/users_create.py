"""users/create: one new user, unless the terminal holds that user_id already."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from zkbridge.commands.api.fields import ADMINISTRATOR, USER, Card, Privilege
from zkbridge.commands.api.keypad import with_keypad
from zkbridge.commands.api.registry import Answer, Body, Change, Context, command
from zkbridge.commands.api.text_fields import Name, NewUserId, Password
from zkbridge.commands.dated import Dated
from zkbridge.commands.uids import choose_uid
from zkbridge.config.models import Device, Policy
from zkbridge.contract.answers import like
from zkbridge.contract.errors import ClockUntrusted, DeviceFull, FieldFault, Forbidden, InvalidField, UserExists
from zkbridge.port.capabilities import UserStore
from zkbridge.port.fit import surely_unfit
from zkbridge.port.users import User, UserFields, UserRecord, UserTable


class Create(Dated):
    """A new user; password and card never leave for a log or a reply."""

    user_id: NewUserId
    name: Name
    password: Password = Field(default="", repr=False)
    privilege: Privilege = USER
    card: Card = Field(default=0, repr=False)

    @property
    def key(self) -> str:
        """The user."""
        return self.user_id

    def fields(self) -> UserFields:
        """The user as asked for, before it is fitted to a terminal."""
        return UserFields(self.user_id, self.name, self.password, self.privilege, self.card)

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """What fits no terminal with this device's encoding, and what its keypad cannot type."""
        faults = surely_unfit(self.fields(), encoding=device.encoding, name_overflow=device.name_overflow)
        return with_keypad(faults, device, user_id=self.user_id, password=self.password) + self.date_faults()

    def check_policy(self, policy: Policy) -> None:
        """Raise Forbidden for an administrator where those may not come over MQTT."""
        if self.privilege == ADMINISTRATOR and not policy.administrators:
            raise Forbidden("administrators")


class Created(TypedDict):
    """What the terminal holds now; a name that was cut is answered as it was cut."""

    user_id: Annotated[str, like("123")]
    name: Annotated[str, like("Juan Perez")]
    device_id: Annotated[str, like("principal")]


@command(
    "users/create",
    params=Create,
    code="created",
    answer=Answer(Created, says=("Usuario registrado.", "User registered.")),
    errors=(UserExists, DeviceFull, ClockUntrusted),
    disables=True,
    repeatable=True,
    creates_user=True,
)
def create(session: UserStore, params: Create, context: Context) -> Body | Change:
    """Plan the user, or answer if an earlier attempt of this request has written it already."""
    table = session.users()
    fields = session.fit(params.fields())
    known = table.by_user_id(fields.user_id)
    if known is not None and not (context.asked_before and _is_there(session, fields, params)):
        raise UserExists(user_id=fields.user_id)
    if known is not None:  # also without a synchronised clock: the user is written, and its dates are carried out later
        params.keep_dates(fields.user_id, context, anew=True)
        return _body(fields, context)
    blocked = params.wants_blocked(fields.user_id, context, anew=True)
    wanted = params.fields()._replace(blocked=bool(blocked))
    uid = _choose_uid(session, fields, context)
    written: list[UserRecord] = []

    def apply() -> Body:
        written.append(session.add_user(wanted, uid))
        return _body(session.fit(params.fields()), context)  # an empty terminal shows its record size only now

    def kept(table: UserTable) -> bool:
        there = any(sent.is_held_by(user) for user in table.all_by_user_id(fields.user_id) for sent in written)
        return there and session.keeps_user_id(fields.user_id)  # which remembers it

    def counts() -> bool:
        return session.keeps_user_id(fields.user_id)

    def amiss(table: UserTable) -> InvalidField | None:
        user = table.by_uid(uid)
        cut = user is not None and any(sent.is_cut_off_in(user) for sent in written)
        return session.take_back(user, params.fields()) if user is not None and cut else None

    return Change(intent={"uid": uid}, apply=apply, grows=1, counts=counts, kept=kept, amiss=amiss)


def _is_there(session: UserStore, fields: UserFields, params: Create) -> bool:
    """Whether the terminal holds just this user; with dates, before or after one of them."""
    states = (False, True) if params.has_dates else (bool(params.blocked),)
    users = session.users().all_by_user_id(fields.user_id)
    records = [
        (session.record_of(fields._replace(blocked=state), user.uid), user) for user in users for state in states
    ]
    return any(record.is_held_by(user) for record, user in records)


def _choose_uid(session: UserStore, fields: UserFields, context: Context) -> int:
    def is_cut(there: User, uid: int) -> bool:
        return session.record_of(fields, uid).is_cut_off_in(there)

    return choose_uid(session.users(), fields.user_id, context, is_cut=is_cut)


def _body(fields: UserFields, context: Context) -> Body:
    return {"data": {"user_id": fields.user_id, "name": fields.name, "device_id": context.device.id}}
