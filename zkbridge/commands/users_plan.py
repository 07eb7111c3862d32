"""users/plan: what a document of desired users means for the terminal now; nothing is changed."""

from __future__ import annotations

from typing import Annotated, ClassVar

from typing_extensions import TypedDict

from zkbridge.commands.api.lists import Rows, RowsOf
from zkbridge.commands.api.params import ENVELOPE, Lasting
from zkbridge.commands.api.registry import Answer, Body, Context, command
from zkbridge.commands.desired.decision import Decision
from zkbridge.commands.desired.document import Asked, Rules
from zkbridge.commands.desired.refusals import Refused
from zkbridge.commands.desired.state import document_in, told
from zkbridge.commands.users_create import Create
from zkbridge.contract.answers import like
from zkbridge.contract.errors import BridgeError, FieldFault, InvalidField
from zkbridge.contract.plans import plan_body
from zkbridge.contract.texts import shown
from zkbridge.port.capabilities import UserStore

#: The fields of a row.
_ROW = frozenset(Create.model_fields) - frozenset(Lasting.model_fields)


class NoDocument(BridgeError):
    """The bridge has no document for the terminal, or no longer has its parts."""

    status, code = 404, "no_document"
    sentences: ClassVar = {
        "": (
            "No hay documento de usuarios para este dispositivo.",
            "There is no document of users for this device.",
        )
    }


class Plan(Rules):
    """The users who are to be there; without them the last document of the terminal counts, with its own rules."""

    users: (
        Annotated[
            Rows, RowsOf(Create, "users who are to be there; without them the last document of the terminal is planned")
        ]
        | None
    ) = None

    def unknown_inside(self) -> tuple[FieldFault, ...]:
        """A document with such a row is refused."""
        rows = ((place, row) for place, row in enumerate(self.users or ()) if isinstance(row, dict))
        return tuple(
            FieldFault(f"users[{place}].{shown(name)}", "unknown")
            for place, row in rows
            for name, value in row.items()
            if value is not None and name not in _ROW
        )


class Changed(TypedDict):
    """A user of whom something else is wanted."""

    user_id: Annotated[str, like("123")]
    fields: Annotated[list[str], like(["card"])]


class Failed(TypedDict):
    """A user for whom the terminal has no room or no way."""

    user_id: Annotated[str, like("125")]
    code: Annotated[str, like("invalid_field")]
    error: Annotated[str, like("name: demasiado largo")]


class Planned(TypedDict):
    """What would be done, by user_id."""

    version: Annotated[int, like(7, "Of the document; 0 where the request had the users.", ge=0)]
    state: Annotated[str, like("planned")]
    dry_run: Annotated[bool, like(example=True)]
    added: Annotated[list[str], like(["124"])]
    changed: Annotated[list[Changed], like([{"user_id": "123", "fields": ["card"]}])]
    blocked: Annotated[list[str], like([])]
    unblocked: Annotated[list[str], like([])]
    deleted: Annotated[list[str], like([])]
    kept: Annotated[int, like(3, "Users who are not claimed.", ge=0)]
    failed: Annotated[list[Failed], like([])]
    device_id: Annotated[str, like("principal")]
    counts: Annotated[dict[str, int], like({"added": 1, "changed": 1}, "How long each list is, also where it is cut.")]
    over_limit: Annotated[bool, like(False, "Whether `delete_limit` would refuse the document.")]


@command(
    "users/plan",
    params=Plan,
    code="planned",
    answer=Answer(Planned, says=("Plan calculado.", "Plan made.")),
    errors=(NoDocument,),
    disables=False,
    repeatable=True,
    reads=True,
)
def plan_users(session: UserStore, params: Plan, context: Context) -> Body:
    """Plan the rows of the request, or the last document. Raises NoDocument, InvalidField or Refused."""
    asked = _asked(params, context)
    try:
        document = document_in(asked, context)
    except Refused as refusal:
        if refusal.why == "document_replaced":
            raise NoDocument from None
        if params.users is None:
            raise  # it was refused for this at its turn, too
        raise InvalidField(FieldFault("users", "repeated")) from None
    claimed = context.claims.all()
    decision = Decision(document, session.users(), session, claimed=claimed, dates=context.dates)
    body = plan_body(told(document, decision.plan(), context, state="planned"), context.room)
    version = 0 if params.users is not None else document.version
    return {"data": {**body, "version": version, "over_limit": decision.is_over_limit}}


def _asked(params: Plan, context: Context) -> Asked:
    if params.users is not None:
        rules = {name: getattr(params, name) for name in Rules.model_fields if name not in ENVELOPE}
        return Asked(version=1, users=params.users, **rules)
    kept = context.claims.document()
    if kept is None:
        raise NoDocument
    return Asked.model_validate_json(kept)
