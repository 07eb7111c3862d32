"""A terminal's users in one conversation: added, changed, deleted."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence

from zkbridge.contract.errors import DeviceFull, DeviceRejected, InvalidField, TerminalError
from zkbridge.port import fit as fitting
from zkbridge.port.facts import Sizes
from zkbridge.port.users import User, UserChanges, UserFields
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.records.layout import LAYOUTS, WIDEST_USER_ID, RecordSize
from zkbridge.terminal.records.record import Record, record_in
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.terminal.records.users import encode, rewrite
from zkbridge.terminal.user_reading import UserReading

log = logging.getLogger(__name__)


class Accounts(UserReading):
    """Changes of users. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    _added = 0

    def sizes(self) -> Sizes:
        """The terminal's own counts, read now; all None if it does not report them."""
        self._added = 0
        return super().sizes()

    def fit(self, fields: UserFields) -> UserFields:
        """The user as this terminal will hold it. Raises InvalidField with every fault."""
        return self._fit(fields, self.users().record_size)

    def fit_changes(self, user: User, changes: UserChanges) -> UserChanges:
        """The changes as this terminal will hold them. Raises InvalidField with every fault."""
        return fitting.fit_changes(
            changes,
            LAYOUTS[record_in(user).size].limits,
            encoding=self.device.encoding,
            name_overflow=self.device.name_overflow,
        )

    def add_user(self, fields: UserFields, uid: int) -> Record:
        """Write a new user, and return the record; `refresh` once after the last.

        Raises InvalidField, DeviceFull, DeviceRejected.
        """
        return self._add(lambda size: self._encode(fields, uid, size))

    def _add(self, made: Callable[[RecordSize], Record]) -> Record:
        """Write a new user's record, which is made for the size of the terminal's records."""
        self._must_be_verified()
        table = self.users()
        raw = made(table.record_size)
        if not self._write(raw):
            if not table.guessed or self._sizes.is_full(added=self._added):
                raise self._refused()
            raw = self._add_in_other_size(made, table)
        if table.guessed:
            table.settle(raw.size)
            self.known = self.known._replace(record_size=raw.size)
        self._added += 1
        return raw

    def changed(self, user: User, changes: UserChanges) -> Record:
        """The record that `change_user` writes. Raises InvalidField."""
        return rewrite(user, self.fit_changes(user, changes), encoding=self.device.encoding)

    def change_user(self, user: User, changes: UserChanges) -> None:
        """Write the user's record with these changes, over the one of its uid. Raises InvalidField."""
        self._must_be_verified()
        if not self._write(self.changed(user, changes)):
            raise self._client.rejected("USER_WRQ")

    def delete_user(self, uid: int) -> None:
        """Delete a user; the templates go with the user."""
        self._must_be_verified()
        if self._change(Command.DELETE_USER, struct.pack("<H", uid)).command != Code.OK:
            raise self._client.rejected("DELETE_USER")

    def delete_users(self, users: Sequence[User]) -> None:
        """Delete several, each uid once.

        Raises what `delete_user` raises where all are refused: of some, the table must show it.
        """
        refusals, uids = [], dict.fromkeys(user.uid for user in users)
        for uid in uids:
            try:
                self.delete_user(uid)
            except DeviceRejected as refusal:
                if refusal.ends_session:
                    raise
                refusals.append(refusal)
        if refusals and len(refusals) == len(uids):
            raise refusals[0]

    def record_of(self, fields: UserFields, uid: int) -> Record:
        """The record that `add_user` writes. Raises InvalidField."""
        return self._encode(fields, uid, self.users().record_size)

    def keeps_user_id(self, user_id: str) -> bool:
        """Whether the terminal is known to keep a user_id of this length whole.

        Some keep fewer bytes than they say or than their records have; a user_id in a table shows how many.
        """
        table, size = self.users(), len(user_id.encode(self.device.encoding))
        if table.record_size != 72 or size <= self.known.kept_user_id_bytes:
            return True
        widest = table.widest_user_id()
        if widest > self.known.kept_user_id_bytes:
            self.known = self.known._replace(kept_user_id_bytes=widest)
        return size <= widest

    def take_back(self, user: User, fields: UserFields) -> InvalidField | None:
        """Delete a user whose user_id was cut when it was written, and remember how many bytes are kept.

        Returns what is wrong with the fields for this terminal, None where the user could not be deleted.
        """
        self.known = self.known._replace(cut_user_id_bytes=record_in(user).user_id_bytes)
        try:
            self.delete_user(user.uid)
            self.refresh()
            self.fit(fields)
        except InvalidField as fault:
            return fault
        except DeviceRejected as refusal:
            if refusal.ends_session:
                raise
            log.warning("device=%s has cut a user_id and does not delete uid %d", self.device.id, user.uid)
        return None

    def _must_be_verified(self) -> None:
        if not self.is_verified:
            raise RuntimeError("the table was read ahead, and not compared with the terminal's count")

    def _fit(self, fields: UserFields, size: RecordSize) -> UserFields:
        limits = LAYOUTS[size].limits
        if size == 72:
            limits = limits._replace(user_id_bytes=self._user_id_width())
        return fitting.fit(fields, limits, encoding=self.device.encoding, name_overflow=self.device.name_overflow)

    def _user_id_width(self) -> int:
        """Bytes of a user_id: as configured or as the terminal says, but no more than it was seen to keep."""
        width = self._told_width() if self.device.user_id_width == "auto" else self.device.user_id_width
        return min(width, self.known.cut_user_id_bytes or width)

    def _told_width(self) -> int:
        """Bytes of a user_id as remembered, or as the terminal says; 24 where it will not say."""
        if self.known.user_id_width is None:
            told = self.option("~PIN2Width") or ""
            widths = {str(width): width for width in range(1, WIDEST_USER_ID + 1)}
            self.known = self.known._replace(user_id_width=widths.get(told, WIDEST_USER_ID))
        return self.known.user_id_width or WIDEST_USER_ID

    def _encode(self, fields: UserFields, uid: int, size: RecordSize) -> Record:
        fitted = self._fit(fields, size)  # the size may have turned out to be another since the caller did this
        return encode(fitted, uid=uid, group=self.device.group, record_size=size, encoding=self.device.encoding)

    def _write(self, raw: bytes) -> bool:
        return self._change(Command.USER_WRQ, raw).command == Code.OK

    def _add_in_other_size(self, made: Callable[[RecordSize], Record], table: RecordTable) -> Record:
        """An empty terminal does not show its record size, but it refuses the wrong one (fananimi/pyzk#128)."""
        refused = self._client.rejected("USER_WRQ")
        size: RecordSize = 28 if table.record_size == 72 else 72
        try:
            raw = made(size)
        except InvalidField:
            if self.known.record_size is None:
                raise
            raise refused from None  # it has used the other size before: that was not the reason
        if not self._write(raw):
            raise refused
        return raw

    def _refused(self) -> TerminalError:
        if self._sizes.is_full(added=self._added):
            return DeviceFull(host=self.device.host, port=self.device.port)
        return self._client.rejected("USER_WRQ")
