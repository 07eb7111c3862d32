"""What the commands about one user of a terminal share."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from zkbridge.commands.registry import Params
from zkbridge.commands.text_fields import UserId
from zkbridge.config.models import Device
from zkbridge.contract.answers import like
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import FieldFault, UserNotFound
from zkbridge.terminal.records.users import User, UserFields, UserTable, surely_unfit
from zkbridge.terminal.session import Session


class OneUser(Params):
    """A user who should be on the terminal."""

    user_id: UserId

    @property
    def key(self) -> str:
        """The user."""
        return id_spelling(self.user_id)

    def surely_wrong(self, device: Device) -> tuple[FieldFault, ...]:
        """A user_id that no terminal can hold, however it is spelled."""
        return self._unfit(self.user_id, device) and self._unfit(id_spelling(self.user_id), device)

    def _unfit(self, user_id: str, device: Device) -> tuple[FieldFault, ...]:
        fields = UserFields(user_id, "")
        return surely_unfit(fields, encoding=device.encoding, name_overflow=device.name_overflow)


class KnownUser(TypedDict):
    """Whose record it was."""

    user_id: Annotated[str, like("123")]
    device_id: Annotated[str, like("principal")]


def find(session: Session, user_id: str) -> User:
    """The user as the terminal holds it. Raises UserNotFound."""
    user = held(session.users(), user_id)
    if user is None:
        raise UserNotFound(user_id=user_id)
    return user


def held(table: UserTable, user_id: str) -> User | None:
    """The user with this very user_id; where there is none, the one that `users/create` makes of it."""
    return table.by_user_id(user_id) or table.by_user_id(id_spelling(user_id))
