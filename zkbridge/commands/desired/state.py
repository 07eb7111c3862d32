"""users/desired: plan what a document asks for on one terminal, and leave each user's change to that user's command."""

from __future__ import annotations

from collections.abc import Mapping

from zkbridge.commands.api.command import Answer, Command
from zkbridge.commands.api.context import Context, HandOver, Onward
from zkbridge.commands.api.params import Params
from zkbridge.commands.desired.decision import Decision, Plan
from zkbridge.commands.desired.document import Asked, Document, Wanted, document_of
from zkbridge.commands.desired.refusals import Refused, RefusedAtTerminal
from zkbridge.commands.users_block import Block
from zkbridge.commands.users_delete import Delete
from zkbridge.commands.users_unblock import Unblock
from zkbridge.commands.users_update import Update
from zkbridge.contract.bodies import Body
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.plans import DESIRED, PlanBody, plan_body
from zkbridge.port.capabilities import Terminal


def carry_out(session: Terminal, params: Asked, context: Context) -> Body | HandOver:
    """Plan; with `apply` hand each change over to its command. Raises Refused or RefusedAtTerminal."""
    try:
        return _carry_out(session, params, context)
    except (Refused, RefusedAtTerminal) as refusal:
        refusal.more = {**refusal.more, "version": params.version, "device_id": context.device.id}
        raise


def _carry_out(session: Terminal, params: Asked, context: Context) -> Body | HandOver:
    document = document_in(params, context)
    table, claimed = session.users(), context.claims.all()
    decision = Decision(document, table, session, claimed=claimed, dates=context.dates)
    decision.check_limit()
    plan = decision.plan()
    check_room(session, plan)
    if params.mode:
        context.claims.note_drift(plan.users)
    if params.mode == "check":
        return _body(document, plan, context, state="applied" if plan.is_done else "drift")
    if not document.apply:
        return _body(document, plan, context, state="planned")
    still_here = frozenset(each for each in claimed if table.by_user_id(each) is not None)
    context.claims.keep(frozenset(decision.wanted) | still_here)
    asked = tuple(_changes(plan, decision.wanted))
    if not asked:
        return _body(document, plan, context, state="applied")
    return HandOver(DESIRED, (context.device.id,), asked, catch_up=True)


def check_room(session: Terminal, plan: Plan) -> None:
    """Raise Refused where the terminal has no room for all users who are new: each would cost a request, and fail."""
    if not plan.added or (left := session.sizes().users_left) is None:
        return
    if len(plan.added) > left + len(plan.deleted):
        raise Refused("document_no_room", added=len(plan.added), left=left)


def document_in(params: Asked, context: Context) -> Document:
    """The document with its rows, those of its parts read now. Raises Refused or RefusedAtTerminal."""
    rows = params.users if params.parts is None else context.claims.rows(params.source, params.parts)
    if rows is None:
        raise Refused("document_replaced")
    try:
        return document_of(params, rows, context.device, context.policy, strict=False, secrets=True)
    except Refused:
        raise
    except BridgeError as refusal:
        raise RefusedAtTerminal(refusal) from None


def _changes(plan: Plan, wanted: Mapping[str, Wanted]) -> list[Onward]:
    """What each user's command is asked, in the plan's order; `wanted` are the document's users by user_id."""
    found = [_asked("users/delete", user_id, Delete(user_id=user_id)) for user_id in plan.deleted]  # they make room
    found += [_asked("users/create", user_id, wanted[user_id].params) for user_id in plan.added]
    for user_id, fields in plan.changed:
        params = wanted[user_id].params
        own = {name: getattr(params, name) for name in fields if name in Update.model_fields}
        if params.has_dates:
            own |= {"valid_from": params.valid_from, "valid_until": params.valid_until, "blocked": None}
        found.append(_asked("users/update", user_id, Update(user_id=user_id, **own)))
    for user_id, _ in plan.failed:  # the update says why it cannot be done
        row = wanted[user_id]
        named = {name: getattr(row.params, name) for name in row.named if name in Update.model_fields}
        found.append(_asked("users/update", user_id, Update(**{**named, "user_id": user_id})))
    switched = (("users/block", Block, plan.blocked), ("users/unblock", Unblock, plan.unblocked))
    return found + [
        _dated(user_id, wanted.get(user_id)) or _asked(command, user_id, params(user_id=user_id))
        for command, params, user_ids in switched
        for user_id in user_ids
    ]


def _dated(user_id: str, row: Wanted | None) -> Onward | None:
    """The update that blocks or unblocks a user by the dates of the row; None where it has none."""
    if row is None or not row.params.has_dates:
        return None
    dates = Update(user_id=user_id, valid_from=row.params.valid_from, valid_until=row.params.valid_until)
    return _asked("users/update", user_id, dates)


def _asked(command: str, user_id: str, params: Params) -> Onward:
    return Onward(user_id, params.stored(), command)


def _body(document: Document, plan: Plan, context: Context, *, state: str) -> Body:
    return plan_body(told(document, plan, context, state=state), context.room)


def told(document: Document, plan: Plan, context: Context, *, state: str) -> PlanBody:
    """A plan as it is published, whole."""
    return {
        "version": document.version,
        "state": state,
        "dry_run": state != "applied",
        "added": list(plan.added),
        "changed": [{"user_id": user_id, "fields": list(fields)} for user_id, fields in plan.changed],
        "blocked": list(plan.blocked),
        "unblocked": list(plan.unblocked),
        "deleted": list(plan.deleted),
        "kept": plan.kept,
        "failed": [
            {"user_id": user_id, "code": error.code, "error": error.sentence(context.language)}
            for user_id, error in plan.failed
        ],
        "device_id": context.device.id,
    }


#: It is no command that callers find among the commands: it is subscribed to with `desired.enabled`.
DOCUMENT = Command(
    DESIRED,
    "planned",
    Asked,
    carry_out,
    disables=False,
    repeatable=True,
    answer=Answer(dict),
    hands_over=True,
)
