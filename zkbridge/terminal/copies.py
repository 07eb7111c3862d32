"""Copies users and fingers of one terminal to another, under a uid of the target."""

from __future__ import annotations

import codecs

from zkbridge.contract.errors import FieldFault, InvalidField
from zkbridge.port.fingers import Finger
from zkbridge.port.users import User, UserCopy, UserFields
from zkbridge.terminal.fingers import Fingers
from zkbridge.terminal.records.layout import RecordSize
from zkbridge.terminal.records.record import Record, record_in
from zkbridge.terminal.records.users import decode, encode, with_uid

#: The character that stands in a text for bytes that its encoding cannot decode.
_UNREAD = "\ufffd"
#: How often the table of templates is read until it has as many as the terminal counts.
_READINGS = 2


class Copies(Fingers):
    """Copies of users. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    #: As the terminal said it in this conversation; empty where it does not say, None before it was asked.
    _algorithm: str | None = None

    def copy_of(self, user: User) -> UserCopy:
        """The user, to be written to another terminal."""
        fields = user.user_id, user.name, user.password, user.privilege, user.card, user.group
        return UserCopy(*fields, bytes(record_in(user)), self.device.encoding)

    def copied(self, copy: UserCopy, uid: int) -> Record:
        """The record that `put_copy` writes. Raises InvalidField with what does not fit this terminal."""
        return self._copied(copy, uid, self.users().record_size)

    def put_copy(self, copy: UserCopy, uid: int, *, over: User | None = None) -> User:
        """Write another terminal's user as a new one, or `over` the one of this uid; returns what was written.

        Raises InvalidField, DeviceFull, DeviceRejected.
        """
        if over is None:
            raw = self._add(lambda size: self._copied(copy, uid, size))
        else:
            self._must_be_verified()
            raw = self.copied(copy, uid)
            if not self._write(raw):
                raise self._client.rejected("USER_WRQ")
        return decode(raw, encoding=self.device.encoding)

    def all_fingers(self) -> list[Finger]:
        """Every finger on the terminal, with its flag.

        A table with fewer of them than the terminal counts is read again: somebody may have deleted one meanwhile.
        Raises DeviceRejected (`templates`) when they cannot be read, or stay too few: none is left out in silence.
        """
        counted = self.sizes().fingers
        for _ in range(_READINGS):
            if counted == 0:
                return []
            found = self.templates()
            if counted is None or len(found) >= counted:
                return found
            counted = self.sizes().fingers
        raise self._unreadable("templates", f"{len(found)} of {counted}")

    def finger_algorithm(self) -> str | None:
        """The version of the algorithm of its templates (`~ZKFPVersion`); None where the terminal does not say."""
        if self._algorithm is None:
            self._algorithm = self.option("~ZKFPVersion") or ""
        return self._algorithm or None

    def _copied(self, copy: UserCopy, uid: int, size: RecordSize) -> Record:
        """The bytes as they are where size and encoding are the same, else the fields, with the group's time zones."""
        if len(copy.record) == size and codecs.lookup(copy.encoding) == codecs.lookup(self.device.encoding):
            self._fit(UserFields(copy.user_id, ""), size)  # a terminal may keep fewer bytes than its records have
            return with_uid(copy.record, uid)
        encoding = self.device.encoding
        texts = {"user_id": copy.user_id, "name": copy.name, "password": copy.password}
        unread = [FieldFault(name, "encoding", {"encoding": encoding}) for name in texts if _UNREAD in texts[name]]
        if unread:
            raise InvalidField(*unread)
        fields = UserFields(copy.user_id, copy.name, copy.password, copy.privilege, copy.card)
        return encode(self._fit(fields, size), uid=uid, group=copy.group, record_size=size, encoding=encoding)
