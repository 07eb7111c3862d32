"""attendance/clear: delete the log of punches, once every punch in it was published or read."""

from __future__ import annotations

from typing import Annotated, ClassVar

from typing_extensions import TypedDict

from zkbridge.commands.api.fields import Total
from zkbridge.commands.api.registry import Answer, Body, Change, Context, Params, command
from zkbridge.config.models import Device
from zkbridge.contract.answers import like
from zkbridge.contract.bodies import Details
from zkbridge.contract.errors import BridgeError, DeviceRejected, FieldFault, OutcomeUnknown, Unsupported
from zkbridge.contract.texts import Language
from zkbridge.port.capabilities import Terminal


class Unsent(TypedDict):
    """What `punches_unsent` adds to its reply."""

    unsent: Annotated[int, like(3, "Punches of the device that the broker has not confirmed.")]


class Counted(TypedDict):
    """What `log_changed` adds to its reply."""

    count: Annotated[int, like(38, "How many punches the terminal counts.")]


class PunchesUnsent(BridgeError):
    """The broker has not confirmed all punches of the device, so the log was not cleared. Facts: unsent."""

    status, code = 409, "punches_unsent"
    sentences: ClassVar = {
        "": (
            "El broker todavía no confirmó {unsent} marcaciones de '{device}'; no se borró nada.",
            "The broker has not confirmed {unsent} punches of '{device}' yet; nothing was deleted.",
        )
    }
    example: ClassVar = {"unsent": 3}
    adds: ClassVar = Unsent

    def details(self, _language: Language) -> Details:
        """`unsent`, and `retryable`."""
        return {"retryable": True, "unsent": self.facts["unsent"]}


class LogChanged(BridgeError):
    """The log is not the one that was published or read; `count` is the number of its punches."""

    status, code = 409, "log_changed"
    sentences: ClassVar = {
        "": (
            "El registro de '{device}' tiene {count} marcaciones, no {total}; no se borró nada.",
            "The log of '{device}' has {count} punches, not {total}; nothing was deleted.",
        ),
        "unpublished": (
            "El registro de '{device}' tiene marcaciones que todavía no se publicaron; no se borró nada.",
            "The log of '{device}' has punches that were not published yet; nothing was deleted.",
        ),
    }
    example: ClassVar = {"count": 38, "total": 37}
    adds: ClassVar = Counted

    def details(self, _language: Language) -> Details:
        """`count`."""
        return {"count": self.facts["count"]}


class Clear(Params):
    """How many punches the caller has read; needed where the bridge does not publish them."""

    total: Total | None = None

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """No `total` for a device whose punches are not published."""
        return (FieldFault("total", "required"),) if self.total is None and device.attendance == "off" else ()


class Cleared(TypedDict):
    """How many punches the log held."""

    cleared: Annotated[int, like(37)]
    device_id: Annotated[str, like("principal")]


@command(
    "attendance/clear",
    params=Clear,
    code="cleared",
    answer=Answer(
        Cleared,
        says=("Registro de asistencia borrado ({cleared}).", "Attendance log cleared ({cleared})."),
    ),
    errors=(PunchesUnsent, LogChanged, OutcomeUnknown),
    disables=True,
    repeatable=True,
)
def clear(session: Terminal, params: Clear, context: Context) -> Body | Change:
    """Plan to clear the log, or answer if an earlier attempt of this request has cleared it already.

    Raises PunchesUnsent, LogChanged, Unsupported; OutcomeUnknown where the log may have been cleared and filled again.
    """
    count = _count(session, context)
    if context.asked_before:
        return _settled(count, context)
    if params.total is not None and params.total != count:
        raise LogChanged(device=context.device.id, count=count, total=params.total)
    if count == 0:
        return _body(0, context)
    if context.device.attendance == "live":
        _must_be_published(session, count, context)

    def apply() -> Body:
        # People are kept off since before the first count; this one is the last thing before the log goes.
        if (now := _count(session, context)) != count:
            raise LogChanged(device=context.device.id, count=now, total=count)
        session.clear_attendance()
        if _count(session, context):
            refusal = DeviceRejected("log_not_cleared", host=context.device.host, port=context.device.port)
            refusal.effect = "unknown"
            raise refusal
        context.backlog.note_cleared()
        return _body(count, context)

    # The count of punches was compared in `apply`: no user was changed that the table could show.
    return Change(intent={"count": count}, apply=apply, counts=lambda: True)


def _count(session: Terminal, context: Context) -> int:
    """How many punches the terminal counts. Raises Unsupported where it does not count them."""
    count = session.sizes().records
    if count is None:
        raise Unsupported(host=context.device.host, port=context.device.port, operation="GET_FREE_SIZES")
    return count


def _settled(count: int, context: Context) -> Body:
    """The answer to a request of which an earlier attempt was asked of the terminal. Raises OutcomeUnknown.

    A log only grows: with fewer punches than before it was cleared. With as many or more it may have been cleared and
    filled again, and clearing it now could delete punches that were never read.
    """
    before = context.tried[-1]["count"] if context.tried else count
    if count and count >= before:
        raise OutcomeUnknown
    context.backlog.note_cleared()
    return _body(before, context)


def _must_be_published(session: Terminal, count: int, context: Context) -> None:
    """Raise PunchesUnsent or LogChanged unless the broker has confirmed every punch of the log."""
    device = context.device
    published = context.backlog.published()
    if published is None or published.records != count or _is_another(session, published.serial):
        raise LogChanged("unpublished", device=device.id, count=count)
    if published.unsent:
        raise PunchesUnsent(device=device.id, unsent=published.unsent)
    if _is_full(session) and not context.backlog.knows_all(session.attendance()):
        raise LogChanged("unpublished", device=device.id, count=count)


def _is_another(session: Terminal, serial: str) -> bool:
    """Whether another terminal answers than the one whose punches were published."""
    told = session.info().serial_number
    return bool(told and serial) and told != serial


def _is_full(session: Terminal) -> bool:
    """Whether a new punch may have taken the place of the oldest: then the count does not show it."""
    sizes = session.sizes()
    return bool(sizes.records_capacity) and (sizes.records or 0) >= (sizes.records_capacity or 0)


def _body(cleared: int, context: Context) -> Body:
    return {"data": {"cleared": cleared, "device_id": context.device.id}}
