"""Whether and from when until when a user is let in: the fields, and the dates of a device's users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zkbridge.contract.validity import Validity, is_blocked, to_come
from zkbridge.machine.clock import SYSTEM, Clock


@dataclass
class UserDates:
    """The dates that are kept, and what a request makes of its user's.

    `zone` is the time zone of the terminal, None for that of this machine. `change` is the user_id and what is kept of
    its dates from the request's success on; None where the request does not touch them.
    """

    zone: str | None = None
    clock: Clock = SYSTEM
    kept: Mapping[str, Validity] = field(default_factory=dict)
    change: tuple[str, Validity] | None = None

    def of(self, user_id: str) -> Validity:
        """What is kept of a user's dates."""
        return self.kept.get(user_id, Validity())

    def keep(self, user_id: str, validity: Validity) -> None:
        """Have these dates kept with the request's success; none forgets the user."""
        if validity != self.of(user_id):
            self.change = user_id, validity

    def are_blocking(self, validity: Validity) -> bool:
        """Whether a user with these dates is to be kept out now."""
        return is_blocked(validity, self.clock.now(), self.zone)

    def to_come(self, validity: Validity) -> Validity:
        """These dates less those that have passed."""
        return to_come(validity, self.clock.now(), self.zone)
