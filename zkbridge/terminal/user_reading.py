"""A terminal's table of users in one conversation: read whole, and compared with the terminal's count."""

from __future__ import annotations

import logging
from contextlib import suppress

from zkbridge.contract.errors import ConnectionFailure
from zkbridge.port.users import shortage
from zkbridge.terminal.known import Pieces
from zkbridge.terminal.machine import Machine
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.tables import MAX_USERS, Unreadable, records_of
from zkbridge.terminal.records.layout import RecordSize
from zkbridge.terminal.records.record_size import in_order, is_plausible, record_size_of
from zkbridge.terminal.records.user_table import RecordTable

log = logging.getLogger(__name__)

_USERS = 5
#: Readings of the table until it agrees with the terminal's count, or is the same twice.
_READINGS = 3


class UserReading(Machine):
    """The table of users. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    _table: RecordTable | None = None
    _ahead: bytes | None = None  # the records of a table that is not proven yet

    def users(self, *, again: bool = False) -> RecordTable:
        """The terminal's users, read once for the session, or `again`.

        Raises DeviceRejected (`table`) when the table cannot be read, or reads as empty where users are counted; where
        the terminal is disabled, to be changed, also when it is short of users that are counted.
        """
        if self._table is None or again:
            self._table = self._read_users()
            self._ahead = None
        return self._whole(self._table)

    def read_ahead(self) -> None:
        """Read the table, and leave it to `verify_counts` to compare it with the terminal's count.

        Until then no reply may be sent by it and nothing written: a plan made by it may have to be made anew. The table
        is read so only where the terminal has still to free its copy, which takes time, and where its record size is
        known; elsewhere this is `users`. Raises the same.
        """
        size = self.known.record_size if self.device.record == "auto" else self.device.record
        if size is None or self.device.transport == "udp":
            self.users()
            return
        raw, records = self._read_raw(), b""
        if self._client.exchange.is_freeing:
            with suppress(Unreadable):
                records = records_of(raw, None)
        if not records or len(records) % size or len(records) > MAX_USERS * size:
            self._table = self._read_users(raw)
            self._whole(self._table)
            return
        self._ahead = records
        self._table = self._table_in(records, size)

    def verify_counts(self) -> bool:
        """Compare the table that was read ahead with the terminal's count; False if it had to be read anew.

        True also where no table was read ahead. Raises what `users` raises.
        """
        if self._ahead is None:
            return True
        records, count = self._ahead, self.count()
        size = self.users().record_size
        if count is not None and len(records) == count * size and self._record_size(records, count) == size:
            self._ahead = None
            return True
        self.users(again=True)
        return False

    @property
    def is_verified(self) -> bool:
        """Whether the table agrees with the terminal's count, so that replies and writes may rest on it."""
        return self._ahead is None

    def read_unverified(self) -> RecordTable:
        """Read the table without comparing it with the terminal's count; `users` returns it from now on.

        A user in it is there; one who is missing may still appear later. Raises DeviceRejected (`table`).
        """
        try:
            self._table = self._table_of(self._read("table", Command.USERTEMP_RRQ, _USERS), count=None)
        except Unreadable as error:
            raise self._unreadable("table", str(error)) from None
        if not len(self._table):
            raise self._unreadable("table", "it reads as empty")
        return self._table

    def seed_table(self, table: RecordTable) -> None:
        """Use the table of an earlier session in this one, without reading it."""
        self._table = table

    def count(self) -> int | None:
        """How many users the terminal counts now; None if it does not report that."""
        return self.sizes().users

    def _forget(self) -> None:
        self._table = self._ahead = None

    def _read_users(self, raw: bytes | None = None) -> RecordTable:
        """Read until table and count agree: a user may be added at the keypad between the two.

        `raw` is what was read already.
        """
        found: RecordTable | None = None
        detail = ""
        for _ in range(_READINGS):
            before = found
            try:
                found = self._read_table(raw)
            except Unreadable as error:
                detail = str(error)
                continue
            finally:
                raw = None
            if self._sizes.users in (None, len(found)) or (before is not None and found.same_records(before)):
                break
        if found is None:
            raise self._unreadable("table", detail)
        if not len(found) and self._sizes.users:
            # Taken as empty, the next user would be written over the first of those who are there.
            raise self._unreadable("table", f"it reads as empty, but counts {self._sizes.users} users")
        found.hidden = max((self._sizes.users or 0) - len(found), 0)
        return found

    def _whole(self, table: RecordTable) -> RecordTable:
        """The table; where it is short, a user_id or a uid that seems free may be that of a user who is not shown."""
        if table.hidden and self.disables:
            raise self._unreadable("table", shortage(table))
        return table

    def _read_table(self, raw: bytes | None) -> RecordTable:
        if raw is None:
            raw = self._read_raw()
        return self._table_of(raw, self.count())

    def _table_of(self, raw: bytes, count: int | None) -> RecordTable:
        records = records_of(raw, count)
        size = self._record_size(records, count)
        # Where datagrams carry no number, some cut a table just between records: those that changed places on the
        # way make a table that looks right. Where the uids do not show that, a second reading in other datagrams does.
        in_doubt = not self._client.bulk.numbered and not in_order(records, record_size=size)
        if in_doubt and self._read("table", Command.USERTEMP_RRQ, _USERS, shifted=True) != raw:
            raise Unreadable("it reads differently each time")
        if records and self.device.record == "auto":
            self.known = self.known._replace(record_size=size)
        return self._table_in(records, size)

    def _table_in(self, records: bytes, size: RecordSize) -> RecordTable:
        return RecordTable(
            records,
            record_size=size,
            encoding=self.device.encoding,
            host=self.device.host,
            port=self.device.port,
            guessed=not records and self.device.record == "auto",
        )

    def _read_raw(self) -> bytes:
        """The table as it comes, its pieces asked for together where the terminal takes that.

        Whether it does is tried with the first reading of a session: what was written meanwhile is not to wait for it.
        """
        tried = (Pieces.TOGETHER, Pieces.RETRIED) if self._table is None else (Pieces.TOGETHER,)
        together = self.known.pieces in tried
        try:
            raw = self._read("table", Command.USERTEMP_RRQ, _USERS, together=together)
        except ConnectionFailure:
            if self._client.bulk.took_together is False:
                self._learn_of_pieces()
            raise
        self._learn_of_pieces()
        return raw

    def _learn_of_pieces(self) -> None:
        pieces = self.known.pieces.after(self._client.bulk.took_together)
        if pieces is not self.known.pieces:
            log.info("device=%s asks for the pieces of a table: %s", self.device.id, pieces)
            self.known = self.known._replace(pieces=pieces)

    def _record_size(self, records: bytes, count: int | None) -> RecordSize:
        if self.device.record != "auto":
            size = self._configured_size(records, count, self.device.record)
        elif records:
            size = record_size_of(records, count=count, known=self.known.record_size, encoding=self.device.encoding)
        else:
            size = self.known.record_size or (72 if self.device.transport == "tcp" else 28)
        if size is None:
            users = "users" if count is None else f"{count} users"
            raise Unreadable(f"{len(records)} bytes are no records of {users}")
        if len(records) > MAX_USERS * size:
            raise Unreadable(f"it has {len(records) // size} users, and a terminal holds at most {MAX_USERS}")
        return size

    def _configured_size(self, records: bytes, count: int | None, size: RecordSize) -> RecordSize | None:
        """The size that the configuration says, unless the length or both the count and the looks are of another."""
        if len(records) % size:
            return None
        fits = count is None or count * size == len(records)
        return size if fits or is_plausible(records, size, encoding=self.device.encoding) else None
