"""Lists of users: each row is a request for another command, with a result of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from zkbridge.commands.api.command import Command
from zkbridge.commands.api.fields import CatchUp
from zkbridge.commands.api.params import Lasting, Params
from zkbridge.commands.api.rules import broken
from zkbridge.contract.errors import BridgeError, FieldFault, InvalidField
from zkbridge.contract.texts import add_texts, shown
from zkbridge.contract.unreadable import no_object

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

#: More rows are not taken in one message: each is a request of its own in the ledger.
MAX_ROWS = 5_000
#: What belongs to the whole list.
_SHARED = frozenset(Lasting.model_fields)

add_texts(
    {
        "field.rows": (
            "debe ser una lista de 1 a {limit} objetos",
            "must be a list of 1 to {limit} objects",
        ),
        "field.repeated": (
            "ya está en una fila anterior de la lista",
            "is in an earlier row of the list",
        ),
    }
)


def _rows(value: object) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ROWS:
        raise broken("rows", limit=MAX_ROWS)
    return value


class RowsOf(NamedTuple):
    """Describes the rows of a list for the description that machines read: the fields of one user's command."""

    params: type[Params]
    said: str = "a row that fails fails alone"

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = self.params.model_json_schema()
        properties = {name: each for name, each in schema["properties"].items() if name not in _SHARED}
        items = {"type": "object", "properties": properties, "required": schema["required"]}
        said = f"1 to {MAX_ROWS:,} users; {self.said}."
        example = {name: properties[name]["examples"][0] for name in schema["required"]}
        array = {"type": "array", "description": said, "minItems": 1, "maxItems": MAX_ROWS, "items": items}
        return array | {"examples": [[example]]}


#: The rows as they came; `rows_of` reads them.
Rows = Annotated[list[Any], BeforeValidator(_rows)]


class Many(Lasting):
    """A list. A fault of a row is that row's answer, and each row waits for itself where it may."""

    users: Rows
    catch_up: CatchUp = Field(
        default=False,
        description="With expires_at: until then, rows of a device that does not answer are executed later.",
    )


class Row(NamedTuple):
    """One row: what it asks for, or why it asks for nothing.

    `user_id` is in one spelling, or as it came where it breaks a rule; "" where it is no text.
    `content` is equal for rows that ask for the same.
    """

    user_id: str
    content: bytes
    params: Params | None = None
    refusal: BridgeError | None = None

    def __repr__(self) -> str:
        return f"<Row of {self.user_id!r}>"  # what is asked may be secret


def rows_of(many: Many, single: Command, *, strict: bool) -> Iterator[Row]:
    """Read each row as a request for `single`; the second of one user and every later one is refused."""
    seen: set[str] = set()
    for raw in many.users:
        row = _row_of(raw, single, strict=strict)
        if row.params is not None:
            if row.user_id in seen:
                repeated = InvalidField(FieldFault("user_id", "repeated"))
                row = row._replace(params=None, refusal=repeated)
            seen.add(row.user_id)
        yield row


def _row_of(raw: Any, single: Command, *, strict: bool) -> Row:
    content = json.dumps(raw, default=str).encode()
    if not isinstance(raw, dict):
        return Row("", content, refusal=no_object(raw))
    try:
        params = single.parse({name: each for name, each in raw.items() if name not in _SHARED}, strict=strict)
        unknown = [name for name, each in raw.items() if name in _SHARED and each is not None]
        if unknown and strict:
            raise InvalidField(*(FieldFault(name, "unknown") for name in unknown))
    except BridgeError as refusal:
        return Row(_named(raw.get("user_id")), content, refusal=refusal)
    return Row(params.key or "", params.stored(), params)


def _named(user_id: object) -> str:
    is_told = isinstance(user_id, (str, int)) and not isinstance(user_id, bool)
    return shown(str(user_id).strip()) if is_told else ""
