"""The names of a terminal's users, read now and then for the events of their punches."""

from __future__ import annotations

import time
from contextlib import suppress

from zkbridge.contract.errors import DeviceRejected
from zkbridge.port.users import User
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.terminal.session import Session

#: Seconds after which the users' names are read again, and the same for a user who was not in the table.
NAMES_S, STRANGER_S = 3600.0, 30.0


class UserNames:
    """The users' names as the terminal has them. `patience_s` is the longest that reading its table may take."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._table: RecordTable | None = None
        self._read_at = float("-inf")

    @property
    def table(self) -> RecordTable | None:
        """The table that was read last, if it is not outdated."""
        return self._table

    def forget(self) -> None:
        """Read the table anew the next time: a user's name may have changed."""
        self._table, self._read_at = None, float("-inf")

    def name_of(self, session: Session, user_id: str) -> str:
        """The name of a user; empty for one whom the terminal does not know, or while it shows no table.

        Raises TerminalError, DeviceRejected aside.
        """
        age = time.monotonic() - self._read_at
        with suppress(DeviceRejected):
            user = self._user(user_id)
            if age > NAMES_S or (user is None and age > STRANGER_S):
                self._read(session)
                user = self._user(user_id)
            return "" if user is None else user.name
        return ""

    def _user(self, user_id: str) -> User | None:
        return None if self._table is None else self._table.by_user_id(user_id)

    def _read(self, session: Session) -> None:
        self._read_at = time.monotonic()
        session.extend(Deadline.after(self._patience_s))
        self._table = session.users(again=True)
