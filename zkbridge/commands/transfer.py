"""Copies a user with the fingers: reads them at one terminal, writes them at another, reads them back and compares.

The inner command `users/copy/write` writes one user. What it is asked holds the record and the templates: the ledger
keeps it like a PIN, until the user is written, and no reply or log has any of it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Annotated, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from zkbridge.commands.api.registry import Answer, Body, Change, Context, Params, command
from zkbridge.commands.api.stored_fields import Base64, Byte, EncodingName, StoredMoment
from zkbridge.commands.finger_set import FingerSet
from zkbridge.commands.known_user import find_all, must_be_alone
from zkbridge.commands.uids import choose_uid
from zkbridge.contract.answers import like
from zkbridge.contract.bodies import Details
from zkbridge.contract.errors import BridgeError, DeviceFull, DeviceRejected, Forbidden, UserExists
from zkbridge.contract.validity import Validity
from zkbridge.port.capabilities import FingerReader, Terminal
from zkbridge.port.fingers import Finger
from zkbridge.port.users import User, UserCopy, UserFields, UserTable

#: The inner command that writes one user.
WRITE = "users/copy/write"
#: Characters of a template in base64: its length is sent to the terminal in 16 bits.
MAX_TEMPLATE = 65_535 // 3 * 4


class AlgorithmDiffers(BridgeError):
    """The target has another fingerprint algorithm and could not recognise these fingers; nothing was done."""

    status, code = 409, "algorithm_differs"
    sentences: ClassVar = {
        "": (
            "Las huellas son del algoritmo {theirs} y el dispositivo usa el {ours}; fingers: false copia sin huellas.",
            "The fingerprints are of algorithm {theirs}, the device uses {ours}; fingers: false copies without them.",
        )
    }
    example: ClassVar = {"theirs": "9", "ours": "10"}


class _Differing(TypedDict):
    """The fingers in which the terminal differs from what was sent."""

    missing_fingers: Annotated[list[int], like([6], "The terminal's index of each finger that is missing.")]
    extra_fingers: Annotated[list[int], like([], "And of each that it was to delete and still holds.")]


class CopyIncomplete(BridgeError):
    """The user is on the target, but some fingers are missing or could not be deleted. Facts: user_id, fingers."""

    status, code = 500, "copy_incomplete"
    sentences: ClassVar = {
        "": (
            "El usuario '{user_id}' está en el dispositivo, pero no todas sus huellas (faltan: {fingers}).",
            "User '{user_id}' is on the device, but not all of the fingerprints (missing: {fingers}).",
        ),
        "extra": (
            "El usuario '{user_id}' está en el dispositivo, pero con huellas que no se pudieron borrar ({fingers}).",
            "User '{user_id}' is on the device, but with fingerprints that could not be deleted ({fingers}).",
        ),
    }
    example: ClassVar = {"fingers": "6"}
    adds = _Differing

    def details(self, _language: object) -> Details:
        """`effect`, for a part was written; `missing_fingers` and `extra_fingers`."""
        return {"effect": "unknown", **(self.more or {"missing_fingers": [6], "extra_fingers": []})}


class _Template(BaseModel):
    """One finger, its template as base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True, defer_build=True)

    index: Byte
    flag: Byte
    template: Base64 = Field(repr=False, max_length=MAX_TEMPLATE)

    def finger(self, uid: int) -> Finger:
        """The finger, of the user with this uid."""
        return Finger(uid, self.index, self.flag, b64decode(self.template))


class Write(Params):
    """A user as another terminal holds it, and the fingers; `algorithm` is that of the templates, if it is known.

    `exact`: other fingers of the user at the target are deleted.
    """

    user_id: str
    name: str = Field(repr=False)
    password: str = Field(repr=False)
    privilege: Byte
    card: int = Field(repr=False, ge=0, le=0xFFFFFFFF)
    group: Byte
    record: Base64 = Field(repr=False)
    encoding: EncodingName
    fingers: tuple[_Template, ...] = Field(default=(), repr=False)
    algorithm: str | None = None
    overwrite: bool = False
    exact: bool = False
    valid_from: StoredMoment | None = None
    valid_until: StoredMoment | None = None

    @property
    def key(self) -> str:
        """The user."""
        return self.user_id

    def copy_of_user(self) -> UserCopy:
        """The user."""
        texts = self.user_id, self.name, self.password
        return UserCopy(*texts, self.privilege, self.card, self.group, b64decode(self.record), self.encoding)


class Person(NamedTuple):
    """A user with the fingers and the dates, as they were read."""

    user: UserCopy
    fingers: Sequence[Finger]
    validity: Validity = Validity()

    def write(self, *, algorithm: str | None, overwrite: bool, exact: bool = False) -> Write:
        """What is asked of the terminal that gets it."""
        record = b64encode(self.user.record).decode()
        fingers = tuple(
            _Template(index=each.index, flag=each.flag, template=b64encode(each.template).decode())
            for each in self.fingers
        )
        return Write(
            **self.user._replace(record=b"")._asdict() | {"record": record},
            fingers=fingers,
            algorithm=algorithm,
            overwrite=overwrite,
            exact=exact,
            valid_from=self.validity.valid_from,
            valid_until=self.validity.valid_until,
        )


class Written(TypedDict):
    """What the terminal holds now; a name that was cut is answered as it was cut."""

    user_id: Annotated[str, like("123")]
    name: Annotated[str, like("Juan Perez")]
    fingers: Annotated[list[int], like([0, 6], "The terminal's index of each finger that was copied.")]
    removed_fingers: Annotated[list[int], like([], "And of each that the user had besides and that was deleted.")]
    device_id: Annotated[str, like("entrada")]


COPIED = Answer(Written, says=("Usuario '{user_id}' copiado.", "User '{user_id}' copied."))


def read_people(
    session: Terminal, user_ids: Sequence[str], context: Context, *, fingers: bool
) -> tuple[list[Person], str | None]:
    """Users with their fingers, and the algorithm of these.

    Raises UserNotFound, DeviceRejected where one has several records or shares a uid, Forbidden for an administrator
    where the policy allows none.
    """
    users = [_one(session, user_id, context) for user_id in user_ids]
    if not context.policy.administrators and any(session.copy_of(user).role for user in users):
        raise Forbidden("administrators")
    found = _fingers_of(session, users) if fingers else {}
    algorithm = session.finger_algorithm() if any(found.values()) else None
    people = [Person(session.copy_of(user), found.get(user.uid, ()), context.dates.of(user.user_id)) for user in users]
    return people, algorithm


def _one(session: Terminal, user_id: str, context: Context) -> User:
    device = context.device
    users = find_all(session, user_id, device)
    if len(users) > 1:
        raise DeviceRejected("several_records", host=device.host, port=device.port, user_id=user_id, records=len(users))
    must_be_alone(session.users(), users, device)
    return users[0]


def _fingers_of(session: FingerReader, users: Sequence[User]) -> dict[int, list[Finger]]:
    """The fingers of users by uid, from the table of all: only there stand their flags, and that there is one.

    A command that asks for a single finger refuses and has none with the same answer, so it cannot take its place.
    """
    found = session.all_fingers()
    return {user.uid: [finger for finger in found if finger.uid == user.uid] for user in users}


@command(
    WRITE,
    params=Write,
    code="copied",
    answer=COPIED,
    errors=(UserExists, DeviceFull, AlgorithmDiffers, CopyIncomplete),
    disables=True,
    repeatable=True,
    inner=True,
)
def write(session: Terminal, params: Write, context: Context) -> Body | Change:
    """Plan what the terminal lacks of the user, or answer if it lacks nothing.

    Raises UserExists where it holds another user under that user_id, unless it is to be overwritten.
    """
    _require_algorithm(session, params)
    copy = params.copy_of_user()
    user = _held(session, params, context)
    uid = _choose_uid(session, copy, context) if user is None else user.uid
    record = session.copied(copy, uid)
    same = user is not None and record.is_held_by(user)
    wanted = FingerSet([each.finger(uid) for each in params.fingers], exact=params.exact)
    missing = wanted.fingers if user is None else wanted.missing(session, user)
    extra = [] if user is None else wanted.surplus(session, user)
    removed = sorted({*extra, *(index for tried in context.tried for index in tried.get("removes", ()))})
    context.dates.keep(params.user_id, Validity(params.valid_from, params.valid_until))
    if user is not None and same and not missing and not extra:
        return _body(user, params, context, removed)
    begun = context.asked_before and same
    if user is not None and not params.overwrite:
        taken = [each for each in missing if session.has_finger(user, each.index)]
        if not same or taken:
            raise UserExists(user_id=params.user_id)
    _require_room(session, user, missing, context, freed=len(extra))
    fields = UserFields(copy.user_id, copy.name)
    written: list[User] = []

    def apply() -> Body:
        target = user if user is not None and same else session.put_copy(copy, uid, over=user)
        written.append(target)
        wanted.write(session, target, missing, extra)
        return _body(target, params, context, removed)

    def kept(table: UserTable) -> bool:
        now = table.by_user_id(params.user_id)
        there = now is not None and any(sent.record.is_held_by(now) for sent in written)
        return now is not None and there and session.keeps_user_id(params.user_id) and wanted.are_held(session, now)

    def amiss(table: UserTable) -> BridgeError | None:
        now = table.by_user_id(params.user_id)
        if now is not None and any(sent.record.is_held_by(now) for sent in written):
            lacking, left = [each.index for each in wanted.missing(session, now)], wanted.surplus(session, now)
            said = ", ".join(str(index) for index in lacking or left)
            more = {"missing_fingers": lacking, "extra_fingers": left}
            return CopyIncomplete("" if lacking else "extra", user_id=params.user_id, fingers=said, more=more)
        cut = table.by_uid(uid)
        if user is None and cut is not None and any(sent.record.is_cut_off_in(cut) for sent in written):
            return session.take_back(cut, fields)
        return None

    intent = {"uid": uid, **({"removes": extra} if extra else {})}
    return Change(intent=intent, apply=apply, grows=user is None, kept=kept, amiss=amiss, begun=begun)


def _require_algorithm(session: FingerReader, params: Write) -> None:
    """Raise AlgorithmDiffers where both terminals say which one they use, and say two."""
    if not params.fingers or params.algorithm is None:
        return
    ours = session.finger_algorithm()
    if ours is not None and ours != params.algorithm:
        raise AlgorithmDiffers(theirs=params.algorithm, ours=ours)


def _held(session: Terminal, params: Write, context: Context) -> User | None:
    """The target's user with this user_id. Raises UserExists or DeviceRejected where its record is not alone."""
    table = session.users()
    users = table.all_by_user_id(params.user_id)
    if len(users) > 1 and not params.overwrite:
        raise UserExists(user_id=params.user_id)
    return _one(session, params.user_id, context) if users else None


def _choose_uid(session: Terminal, copy: UserCopy, context: Context) -> int:
    def is_cut(there: User, uid: int) -> bool:
        return session.copied(copy, uid).is_cut_off_in(there)

    return choose_uid(session.users(), copy.user_id, context, is_cut=is_cut)


def _require_room(
    session: Terminal, user: User | None, missing: Sequence[Finger], context: Context, *, freed: int
) -> None:
    """Raise DeviceFull where the terminal says that the user, or all of the fingers, do not fit.

    `freed` fingers are deleted first.
    """
    host, port = context.device.host, context.device.port
    sizes = session.room()
    if user is None and sizes.users_left == 0:
        raise DeviceFull(host=host, port=port)
    added = len(missing) if user is None else sum(not session.has_finger(user, each.index) for each in missing)
    if added and sizes.fingers_left is not None and sizes.fingers_left + freed < added:
        raise DeviceFull("fingers", host=host, port=port)


def _body(held: User, params: Write, context: Context, removed: list[int]) -> Body:
    fingers = {"fingers": [each.index for each in params.fingers], "removed_fingers": removed}
    return {"data": {"user_id": params.user_id, "name": held.name, **fingers, "device_id": context.device.id}}
