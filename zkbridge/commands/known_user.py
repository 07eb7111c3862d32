"""What the commands about one user of a terminal share."""

from __future__ import annotations

from zkbridge.commands.fields import UserId
from zkbridge.commands.registry import Params
from zkbridge.config.models import Device
from zkbridge.contract.errors import FieldFault, UserNotFound
from zkbridge.terminal.records.users import User, UserFields, surely_unfit
from zkbridge.terminal.session import Session


class OneUser(Params):
    """A user who should be on the terminal."""

    user_id: UserId

    @property
    def key(self) -> str:
        """The user."""
        return self.user_id

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """A user_id that no terminal can hold."""
        fields = UserFields(self.user_id, "")
        return surely_unfit(fields, encoding=device.encoding, name_overflow=device.name_overflow)


def find(session: Session, user_id: str) -> User:
    """The user as the terminal holds it. Raises UserNotFound."""
    user = session.users().by_user_id(user_id)
    if user is None:
        raise UserNotFound(user_id=user_id)
    return user
