"""Reads a document that says who is to be on a terminal; nothing of one that breaks a rule is used."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, NoReturn

from pydantic import BeforeValidator

from zkbridge.commands.api.command import Answer, Command
from zkbridge.commands.api.fields import Flag, count_of
from zkbridge.commands.api.params import Lasting, Params
from zkbridge.commands.api.rules import broken
from zkbridge.commands.desired.refusals import Refused
from zkbridge.commands.users_create import Create
from zkbridge.config.models import Device, Policy
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import BodyRequired, BridgeError, FieldFault, InvalidField, MissingFields
from zkbridge.contract.messages import parse_object
from zkbridge.contract.unreadable import no_object

#: The most users of one document.
MAX_USERS = 100_000
_SHARED = frozenset(Lasting.model_fields)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_USERS:
        raise broken("rows", limit=MAX_USERS)
    return value


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


class Fields(Params):
    """The fields of a document; its users are read one by one."""

    version: Annotated[int, BeforeValidator(lambda value: count_of(value, least=1))]
    users: Annotated[list[Any], BeforeValidator(_list)]
    apply: Flag = False
    delete: Annotated[str, _one_of("never", "block", "delete")] = "never"
    delete_limit: Annotated[int, BeforeValidator(lambda value: count_of(value, least=0, most=100))] = 10
    claim: Annotated[str, _one_of("named", "all")] = "named"
    repair_interval: Annotated[int, BeforeValidator(_interval)] = 0


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
    repair_interval: int


def read_document(
    payload: bytes, device: Device, policy: Policy, *, strict: bool, secrets: bool
) -> tuple[Fields, Document]:
    """The fields of a document as they came, and the document, for one device. `secrets`: it may have PINs.

    Raises BodyRequired, MissingFields, InvalidField, Forbidden or Refused.
    """
    body = parse_object(payload)
    fields = _DOCUMENT.parse({name: value for name, value in body.items() if name not in _SHARED}, strict=strict)
    assert isinstance(fields, Fields)
    if any(body.get(name) is not None for name in _SHARED) and strict:
        raise InvalidField(*(FieldFault(name, "unknown") for name in body if name in _SHARED))
    return fields, document_of(fields, device, policy, strict=strict, secrets=secrets)


def document_of(fields: Fields, device: Device, policy: Policy, *, strict: bool, secrets: bool) -> Document:
    """The document with its rows read. Raises as `read_document`."""
    if not fields.users:
        raise Refused("document_empty")
    users = _users(fields.users, device, policy, strict=strict)
    if not secrets and any("password" in each.named for each in users):
        raise Refused("document_secret")
    return Document(
        fields.version,
        users,
        fields.apply,
        fields.delete,
        fields.delete_limit,
        fields.claim,
        fields.repair_interval,
    )


def _users(rows: list[Any], device: Device, policy: Policy, *, strict: bool) -> tuple[Wanted, ...]:
    faults: list[FieldFault] = []
    users: list[Wanted] = []
    places: dict[str, int] = {}
    for place, row in enumerate(rows):
        try:
            wanted = _wanted(row, device, policy, strict=strict)
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


def _wanted(row: Any, device: Device, policy: Policy, *, strict: bool) -> Wanted:
    if not isinstance(row, dict):
        raise no_object(row)
    given = {name: value for name, value in row.items() if name not in _SHARED}
    if strict and (unknown := [name for name in row if name in _SHARED and row[name] is not None]):
        raise InvalidField(*(FieldFault(name, "unknown") for name in unknown))
    params = _ROW.parse(given, strict=strict)
    assert isinstance(params, Create)
    if faults := params.surely_wrong(device):
        raise InvalidField(*faults)
    params.check_policy(policy)
    return Wanted(params, frozenset(params.model_fields_set))


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
_ROW = Command("users/desired", "planned", Create, _never, False, True, Answer(dict))
