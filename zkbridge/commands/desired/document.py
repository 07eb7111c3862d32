"""Reads a document that says who is to be on a terminal; nothing of one that breaks a rule is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

from pydantic import BeforeValidator

from zkbridge.commands.api.command import Answer, Command
from zkbridge.commands.api.fields import Flag, count_of
from zkbridge.commands.api.params import Lasting, Params
from zkbridge.commands.api.rules import broken, described
from zkbridge.commands.desired.refusals import Refused
from zkbridge.commands.users_create import Create
from zkbridge.config.models import Device, Policy
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import BodyRequired, BridgeError, FieldFault, InvalidField, MissingFields
from zkbridge.contract.messages import parse_object
from zkbridge.contract.plans import MAX_PARTS, MAX_USERS, PART
from zkbridge.contract.unreadable import no_object

#: The last part of the topic of a part of a document.
_NUMBER = re.compile("[1-9][0-9]{0,2}")
_SHA256 = re.compile("[0-9a-f]{64}")
#: What may become of absent users, and who is claimed.
DELETE, CLAIM = ("never", "block", "delete"), ("named", "all")
_SHARED = frozenset(Lasting.model_fields)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_USERS:
        raise broken("rows", limit=MAX_USERS)
    return value


def _digests(value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PARTS or not all(map(_is_digest, value)):
        raise broken("parts", limit=MAX_PARTS)
    return value


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _one_of(*choices: str) -> BeforeValidator:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise broken("choice", choices=", ".join(choices))
        return value

    return BeforeValidator(check)


def _interval(value: object) -> int:
    if value == 0 and not isinstance(value, bool):
        return 0
    return count_of(value, least=60, most=86_400)


class Rules(Params):
    """What happens to users whom a document does not name."""

    delete: Annotated[
        str,
        _one_of(*DELETE),
        described("What happens to claimed users who are absent.", "string", enum=list(DELETE)),
    ] = "never"
    delete_limit: Annotated[
        int,
        BeforeValidator(lambda value: count_of(value, least=0, most=100)),
        described(
            "The most percent of the claimed users who may be absent, 0 to 100; a numeric string counts.",
            "integer",
            "string",
            examples=[10],
        ),
    ] = 10
    claim: Annotated[
        str,
        _one_of(*CLAIM),
        described("Which users are claimed: those in applied documents, or all.", "string", enum=list(CLAIM)),
    ] = "named"


class Options(Rules):
    """The fields of a document beside its users."""

    version: Annotated[int, BeforeValidator(lambda value: count_of(value, least=1))]
    apply: Flag = False
    repair_interval: Annotated[int, BeforeValidator(_interval)] = 0


class _Sent(Options):
    """The fields of a document as it comes. `replaces` is the version that it replaces although that one is higher."""

    replaces: Annotated[int, BeforeValidator(lambda value: count_of(value, least=1))] = 0


class Fields(_Sent):
    """The fields of a document; its users are read one by one."""

    users: Annotated[list[Any], BeforeValidator(_list)]


class Manifest(_Sent):
    """The fields of a document in parts. `parts` has the SHA-256 of each part's payload, in hexadecimal."""

    parts: Annotated[list[str], BeforeValidator(_digests)]


class PartFields(Params):
    """The fields of a part."""

    users: Annotated[list[Any], BeforeValidator(_list)]


class Asked(Options):
    """A document as the ledger keeps it: with its users, or with the parts that are kept of `source`'s topic."""

    users: Annotated[list[Any], BeforeValidator(_list)] | None = None
    parts: Annotated[list[str], BeforeValidator(_digests)] | None = None
    source: str = ""
    #: `check` compares the terminal with the document, `repair` makes it equal again; "" is a document that came.
    mode: Literal["", "check", "repair"] = ""

    def without_pins(self) -> Asked:
        """The same, as it may be kept: no row has a PIN."""
        rows = self.users and [_without_pin(row) for row in self.users]
        return self.model_copy(update={"users": rows})


class Wanted(NamedTuple):
    """One user of a document, with the names of the fields that the row has."""

    params: Create
    named: frozenset[str]

    @property
    def user_id(self) -> str:
        """The user_id, in its one spelling."""
        return self.params.user_id

    def __repr__(self) -> str:
        return f"<Wanted {self.user_id!r}>"  # the rest is secret, or somebody's name


class Document(NamedTuple):
    """A document that breaks no rule; see section 13 of the contract for its fields."""

    version: int
    users: tuple[Wanted, ...]
    apply: bool
    delete: str
    delete_limit: int
    claim: str


def part_number(command: str) -> int | None:
    """The number of the part on whose topic something came: of `users/desired/part/3` it is 3; None for any other."""
    head, _, number = command.rpartition("/")
    is_part = head == PART and _NUMBER.fullmatch(number) is not None and int(number) <= MAX_PARTS
    return int(number) if is_part else None


def read_fields(payload: bytes, *, strict: bool) -> Fields | Manifest:
    """The fields of a document or of a manifest. Raises BodyRequired, MissingFields or InvalidField."""
    return fields_of(parse_object(payload), strict=strict)


def fields_of(body: JsonObject, *, strict: bool) -> Fields | Manifest:
    """The same of its JSON object. Raises MissingFields or InvalidField."""
    in_parts = body.get("parts") is not None
    fields = (_MANIFEST if in_parts else _DOCUMENT).parse(_own(body, strict=strict), strict=strict)
    assert isinstance(fields, Manifest if in_parts else Fields)
    return fields


def read_part(payload: bytes, devices: Sequence[Device], policy: Policy, *, number: int, strict: bool) -> list[Any]:
    """The rows of a part, which break no rule of any of the devices.

    Raises BodyRequired, MissingFields, InvalidField, Forbidden or Refused.
    """
    body = parse_object(payload)
    try:
        fields = _PART.parse(_own(body, strict=strict), strict=strict)
        assert isinstance(fields, PartFields)
        users_of(fields.users, devices, policy, strict=strict, secrets=False)
    except InvalidField as refusal:
        faults = (fault._replace(name=f"part[{number}].{fault.name}") for fault in refusal.faults)
        raise InvalidField(*faults, more=refusal.more_errors) from None
    return fields.users


def document_of(
    fields: Options, rows: list[Any], device: Device, policy: Policy, *, strict: bool, secrets: bool
) -> Document:
    """The document with its rows read, for one device; `secrets`: it may have PINs.

    Raises MissingFields, InvalidField, Forbidden or Refused.
    """
    return Document(
        fields.version,
        users_of(rows, (device,), policy, strict=strict, secrets=secrets),
        fields.apply,
        fields.delete,
        fields.delete_limit,
        fields.claim,
    )


def users_of(
    rows: list[Any], devices: Sequence[Device], policy: Policy, *, strict: bool, secrets: bool
) -> tuple[Wanted, ...]:
    """The users of rows, of which none breaks a rule of any device; each row is read once.

    Raises MissingFields, InvalidField, Forbidden or Refused.
    """
    if not rows:
        raise Refused("document_empty")
    users = _users(rows, devices, policy, strict=strict)
    if not secrets and any("password" in each.named for each in users):
        raise Refused("document_secret")
    return users


def _own(body: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    """The fields of a body less those that only commands have. Raises InvalidField."""
    if strict and (unknown := [name for name in body if name in _SHARED and body[name] is not None]):
        raise InvalidField(*(FieldFault(name, "unknown") for name in unknown))
    return {name: value for name, value in body.items() if name not in _SHARED}


def _users(rows: list[Any], devices: Sequence[Device], policy: Policy, *, strict: bool) -> tuple[Wanted, ...]:
    faults: list[FieldFault] = []
    users: list[Wanted] = []
    places: dict[str, int] = {}
    for place, row in enumerate(rows):
        try:
            wanted = _wanted(row, devices, policy, strict=strict)
        except (BodyRequired, MissingFields, InvalidField) as refusal:
            faults += _faults(place, row, refusal)
            continue
        first = places.setdefault(id_spelling(wanted.user_id), place)
        if first != place:
            raise Refused("document_ambiguous", rows=f"users[{first}], users[{place}]")
        users.append(wanted)
    if faults:
        raise InvalidField(*faults)
    return tuple(users)


def _wanted(row: Any, devices: Sequence[Device], policy: Policy, *, strict: bool) -> Wanted:
    if not isinstance(row, dict):
        raise no_object(row)
    params = _ROW.parse(_own(row, strict=strict), strict=strict)
    assert isinstance(params, Create)
    for device in devices:
        if faults := params.surely_wrong(device):
            raise InvalidField(*faults)
    params.check_policy(policy)
    return Wanted(params, frozenset(params.model_fields_set))


def _without_pin(row: Any) -> Any:
    return {name: value for name, value in row.items() if name != "password"} if isinstance(row, dict) else row


def _faults(place: int, row: Any, refusal: BridgeError) -> list[FieldFault]:
    where = f"users[{place}]"
    if isinstance(refusal, (InvalidField, MissingFields)):
        faults = [fault._replace(name=f"{where}.{fault.name}") for fault in refusal.faults]
        told = {fault.name for fault in refusal.faults}
        absent = refusal.names if isinstance(refusal, MissingFields) and isinstance(row, dict) else ()
        more = [name for name in absent if row.get(name) is None and name not in told]
        return faults + [FieldFault(f"{where}.{name}", "required") for name in more]
    return [FieldFault(where, "object")]


def _never(*_: object) -> NoReturn:
    raise TypeError("a document is no command")


_DOCUMENT = Command("users/desired", "planned", Fields, _never, False, True, Answer(dict))
_MANIFEST = _DOCUMENT._replace(params=Manifest)
_PART = _DOCUMENT._replace(params=PartFields)
_ROW = Command("users/desired", "planned", Create, _never, False, True, Answer(dict))
