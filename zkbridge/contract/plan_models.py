"""What documents of desired users and their plans hold, as models: for the description that machines read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zkbridge.contract.answers import Fault, like
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.plans import MAX_PARTS, MAX_USERS, MAX_VERSION

_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


class DesiredUser(_Body):
    """A user who is to be on the terminal, with the fields of users/create."""

    user_id: str | int = like("123")
    name: str = like("Juan Perez")
    password: str = Field(default="", description="A PIN, only with `desired.secrets: true`, never in a part.")
    privilege: int = Field(default=0)
    card: int = Field(default=0)
    blocked: bool = Field(default=False)
    valid_from: str = Field(default="")
    valid_until: str = Field(default="")


class DesiredDocument(_Body):
    """Who is to be on a terminal: the document, or with `parts` the manifest of one in parts. Retained."""

    version: int = like(7, "A document replaces only one of a lower version.", ge=1, le=MAX_VERSION)
    replaces: int = Field(
        default=0, description="The version that it replaces although that one is higher.", ge=0, le=MAX_VERSION
    )
    users: list[DesiredUser] | None = Field(default=None, description="Instead of `parts`.", max_length=MAX_USERS)
    parts: list[str] | None = Field(
        default=None, description="The SHA-256 of each part's payload, in hexadecimal, in order.", max_length=MAX_PARTS
    )
    apply: bool = Field(default=False, description="true: it is carried out; false: only planned.")
    delete: Literal["never", "block", "delete"] = Field(default="never", description="What absent users become.")
    delete_limit: int = Field(default=10, description="The most percent who may be absent.", ge=0, le=100)
    claim: Literal["named", "all"] = Field(default="named", description="Who of the terminal's users is claimed.")
    repair_interval: int = Field(default=0, description="0, or 60 to 86400 seconds.", ge=0, le=86_400)


class DesiredPart(_Body):
    """A part of a document of desired users. Retained."""

    users: list[DesiredUser] = like([{"user_id": "123", "name": "Juan Perez"}])


class PlannedChange(_Body):
    """A user of whom something else is wanted; `fields` only where nothing was done yet."""

    user_id: str = like("123")
    fields: list[str] = Field(default=[])


class PlannedFailure(_Body):
    """A user for whom it cannot be done, or was not."""

    user_id: str = like("125")
    code: str = like("device_full")
    error: str | None = like("No hay espacio en el dispositivo.")


class DesiredPlan(BaseModel):
    """What a document of desired users means for a terminal, what was done, or why nothing is done."""

    # What has neither is an answer of some command, and no plan.
    model_config = ConfigDict(
        extra="allow",
        defer_build=True,
        json_schema_extra={"anyOf": [{"required": ["state"]}, {"required": ["request_id"]}]},
    )

    success: bool = like(example=True)
    status: int = like(200)
    code: str = like("planned", "Of a refusal, its code; else planned, applied, partial or waiting.")
    state: Literal["planned", "applied", "partial", "refused", "waiting", "drift"] | None = Field(
        default=None, description="Absent where the terminal failed, and of a user who was done late."
    )
    device_id: str = Field(default="")
    version: int = Field(default=0)
    dry_run: bool = Field(default=True)
    added: list[str] = Field(default=[])
    changed: list[PlannedChange] = Field(default=[])
    blocked: list[str] = Field(default=[])
    unblocked: list[str] = Field(default=[])
    deleted: list[str] = Field(default=[])
    failed: list[PlannedFailure] = Field(default=[])
    kept: int = Field(default=0, description="Users who are not claimed.")
    waiting: int = Field(default=0, description="Users who are done when the terminal answers again.")
    counts: dict[str, int] = Field(default={}, description="How long each list is, also where it is cut.")
    more: Literal[True] = Field(default=True, description="Lists were cut; absent otherwise.")
    error: str = Field(default="", description="One sentence for people, if it is refused or waits.")
    errors: list[Fault] = Field(default=[])
    absent: list[str] = Field(default=[], description="100 at most of those for whom `delete_limit` refuses it.")
    part: int = Field(default=0, description="The number of the part that is refused.")
    until: str = Field(default="", description="Until when it waits for the terminal.")
    request_id: str | None = Field(default=None, description="The version as text; of a comparison with more behind.")


_LISTS: dict[str, list[Any]] = {"added": ["124"], "changed": [], "blocked": [], "unblocked": [], "deleted": []}
_COUNTS = {name: len(entries) for name, entries in _LISTS.items()} | {"failed": 0}
#: By the name of the message: what it holds, and examples.
MESSAGES: dict[str, tuple[type[BaseModel], list[JsonObject]]] = {
    "usersDesired": (
        DesiredDocument,
        [
            {"version": 7, "users": [{"user_id": "123", "name": "Juan Perez"}], "apply": True, "delete": "block"},
            {"version": 8, "parts": [_DIGEST], "apply": True},
        ],
    ),
    "usersDesiredPart": (DesiredPart, [{"users": [{"user_id": "123", "name": "Juan Perez"}]}]),
    "usersDesiredPlan": (
        DesiredPlan,
        [
            {
                "success": True,
                "version": 7,
                "state": "planned",
                "dry_run": True,
                **_LISTS,
                "kept": 3,
                "failed": [],
                "device_id": "principal",
                "counts": _COUNTS,
                "status": 200,
                "code": "planned",
                "request_id": "7",
            },
            {
                "success": False,
                "error": "Faltan partes del documento: 3, 7.",
                "status": 409,
                "code": "document_incomplete",
                "state": "waiting",
                "device_id": "principal",
            },
        ],
    ),
}
