"""What the commands share that say whether, and from when until when, a user is let in."""

from __future__ import annotations

from zkbridge.commands.api.fields import Flag, ValidMoment
from zkbridge.commands.api.params import ENVELOPE
from zkbridge.commands.api.registry import Context, Lasting
from zkbridge.config.models import Device
from zkbridge.contract.errors import FieldFault, InvalidField
from zkbridge.contract.texts import add_texts
from zkbridge.contract.validity import Validity
from zkbridge.machine.clock import Clock

_FIELDS = ("blocked", "valid_from", "valid_until")

add_texts(
    {
        "field.valid_moment": (
            "debe ser una fecha y hora de 2000 a 2099 sin desfase horario, por ejemplo 2030-01-31T08:00:00, o vacío",
            "must be a date-time of 2000 to 2099 without an offset, for example 2030-01-31T08:00:00, or empty",
        ),
        "field.before_valid_from": ("debe ser posterior a valid_from", "must be after valid_from"),
        "field.beside_dates": (
            "no puede ir junto con valid_from o valid_until",
            "cannot stand beside valid_from or valid_until",
        ),
    }
)


class Dated(Lasting):
    """A user who may be blocked, or let in for a time. An empty date is none; None is what is not named."""

    blocked: Flag | None = None
    valid_from: ValidMoment | None = None
    valid_until: ValidMoment | None = None

    @property
    def has_dates(self) -> bool:
        """Whether a date is named."""
        return self.valid_from is not None or self.valid_until is not None

    def date_faults(self) -> tuple[FieldFault, ...]:
        """What of the three is wrong whatever is kept of the user."""
        faults = (FieldFault("blocked", "beside_dates"),) if self.has_dates and self.blocked is not None else ()
        return faults + _order_faults(Validity(self.valid_from or None, self.valid_until or None))

    def check_device(self, device: Device, clock: Clock) -> None:
        """Raise ClockUntrusted where a date is named and the clock is not synchronised."""
        if self.has_dates and not device.validity.trust_clock:
            clock.require_synchronised("validity")

    def stored(self) -> bytes:
        """As always, less what is not named: earlier versions, whose requests may come again, did not have it."""
        absent = {name for name in _FIELDS if getattr(self, name) is None}
        return self.model_dump_json(exclude={*ENVELOPE, "catch_up", *absent}, round_trip=True).encode()

    def wants_blocked(self, user_id: str, context: Context, *, anew: bool = False) -> bool | None:
        """Whether the user is to be blocked now, None where that stays as it is; has the dates kept.

        `anew`: the user is new, and whatever is kept under the user_id is of an earlier one.
        Raises ClockUntrusted, InvalidField.
        """
        validity = self.keep_dates(user_id, context, anew=anew)
        if not self.has_dates:
            return self.blocked
        self.check_device(context.device, context.clock)  # the request may have waited, or the clock been lost
        return context.dates.are_blocking(validity)

    def keep_dates(self, user_id: str, context: Context, *, anew: bool = False) -> Validity:
        """Have the user's dates kept with the request's success, and return all that the user has from then on.

        After an earlier attempt of the request, dates that have passed since are kept too: that attempt may have
        written the state before them. Raises InvalidField.
        """
        dates = context.dates
        kept = Validity() if anew else dates.of(user_id)
        if not self.has_dates:
            validity = kept._replace(valid_from=None) if self.blocked else kept
            dates.keep(user_id, validity)
            return validity
        validity = Validity(
            kept.valid_from if self.valid_from is None else self.valid_from or None,
            kept.valid_until if self.valid_until is None else self.valid_until or None,
        )
        if faults := _order_faults(validity):
            raise InvalidField(*faults)
        dates.keep(user_id, validity if context.asked_before else dates.to_come(validity))
        return validity


def _order_faults(validity: Validity) -> tuple[FieldFault, ...]:
    valid_from, valid_until = validity
    if valid_from is None or valid_until is None or valid_from < valid_until:
        return ()
    return (FieldFault("valid_until", "before_valid_from"),)
