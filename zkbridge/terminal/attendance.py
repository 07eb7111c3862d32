"""Punches in one conversation: the log as it stands, and each as it happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zk.exception import ZKErrorResponse

from zkbridge.contract.errors import DeviceRejected, DeviceUnreachable, Unsupported
from zkbridge.port.punches import Punch
from zkbridge.port.users import UserTable
from zkbridge.port.waker import Waker
from zkbridge.terminal.accounts import Accounts
from zkbridge.terminal.protocol.codes import Code, Command, Event
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.tables import MAX_LOG_BYTES, Unreadable, records_of
from zkbridge.terminal.records.decoded import Decoded
from zkbridge.terminal.records.punches import in_order, is_record_size, parse_event, parse_log

#: Before the records stands how long they are.
_LENGTH_BYTES = 4
#: Readings of the log until it can be read.
_READINGS = 3


class Attendance(Accounts):
    """Punches. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    def attendance(self, *, give_up: Callable[[], bool] = lambda: False) -> Sequence[Punch]:
        """The whole attendance log, oldest first, its empty records among them.

        Raises DeviceRejected (`log`) when it cannot be read, or is not as long as the terminal counts.

        `give_up` is asked now and then; ReadInterrupted is raised when it says so.
        """
        detail = ""
        for _ in range(_READINGS):
            count = self.sizes().records
            if count == 0:
                return []  # some terminals refuse to send an empty log; pyzk 0.9 does not ask for it either
            try:
                return self._named(self._read_log(count, give_up))
            except Unreadable as error:
                detail = str(error)
        raise self._unreadable("log", detail)

    def clear_attendance(self) -> None:
        """Delete every punch of the log, while people are kept off. Raises Unsupported, DeviceRejected.

        Source: the ZKSoftware manual of 2006; the SDK has REFRESHDATA follow.
        """
        answer = self._change(Command.CLEAR_ATTLOG, b"")
        if answer.command == Code.UNKNOWN:
            raise Unsupported(host=self.device.host, port=self.device.port, operation="CLEAR_ATTLOG")
        if answer.command != Code.OK:
            raise self._client.rejected("CLEAR_ATTLOG")
        self.refresh()

    def attendance_from(self, number: int, *, give_up: Callable[[], bool] = lambda: False) -> Sequence[Punch] | None:
        """The log from a record on, counted from 0; None where only the whole log can be read.

        Over datagrams nothing but the whole shows whether they came in order.
        """
        count = self.sizes().records
        if self.device.transport == "udp" or count is None or count <= number:
            return None

        def start_at(size: int) -> int:
            step, rest = divmod(size - _LENGTH_BYTES, count)
            return 0 if rest or not is_record_size(step) else _LENGTH_BYTES + step * number

        try:
            data, size = self._client.bulk.table(
                Command.ATTLOG_RRQ, give_up=give_up, start_at=start_at, most=MAX_LOG_BYTES
            )
        except (ZKErrorResponse, Unreadable):
            return None
        left = count - number
        punches = None if len(data) == size else parse_log(data, range(left, left + 1))
        return None if punches is None else self._named(punches)

    def listen(self, *, again: bool = False) -> None:
        """Have the terminal send each punch. Raises DeviceRejected where it will not.

        `again`: it agreed before on this connection. If it answers 2005 then, as to any command before CONNECT, it was
        restarted and does not know the session any more: raises DeviceUnreachable, and the connection is closed.
        """
        try:
            self._do("REG_EVENT", lambda: self._client.reg_event(Event.PUNCH))
        except DeviceRejected:
            if not again or self._client.answer != Code.UNAUTH:
                raise
            self._client.hang_up()
            raise DeviceUnreachable("reset", host=self.device.host, port=self.device.port) from None

    def hear(self, seconds: float, waker: Waker) -> list[Punch] | None:
        """The punches of the next event, none of an event of another kind; None if none came, or `waker` interrupted.

        Whatever the terminal sent since it was asked to `listen` is received, also what came between a request and its
        answer. Each event is to be acknowledged.
        """
        self.extend(Deadline.after(seconds + self.device.timeout))
        event = self._client.event(Deadline.after(seconds), waker)
        if event is None:
            return None
        return self._named_live(parse_event(event.data)) if event.session == Event.PUNCH else []

    def acknowledge(self) -> None:
        """Tell the terminal that an event has arrived."""
        self._client.acknowledge()

    def _read_log(self, count: int | None, give_up: Callable[[], bool]) -> Sequence[Punch]:
        records = records_of(self._log_as_sent(give_up), count)
        punches = self._punches_in(records, count)
        if not self._client.bulk.numbered and not in_order(punches):
            # Datagrams may have changed places: a second reading in others must begin like the first.
            again = records_of(self._log_as_sent(give_up, shifted=True), count)
            if again[: len(records)] != records:
                raise Unreadable("it reads differently each time")
        return punches

    def _punches_in(self, records: memoryview, before: int | None) -> Sequence[Punch]:
        """The punches in a log that was read, given the count before. Raises Unreadable where length and count differ.

        People do not wait until a log is read: what they added meanwhile may stand in it, or only in the count after.
        """
        counts = None if before is None else range(before, before + 1)
        punches = parse_log(records, counts)
        if punches is None and before is not None and (after := self.sizes().records) is not None:
            counts = range(before, after + 1)
            punches = parse_log(records, counts)
        if punches is None:
            raise Unreadable(f"{len(records)} bytes are no records of {'punches' if before is None else before}")
        return punches

    def _log_as_sent(self, give_up: Callable[[], bool], *, shifted: bool = False) -> memoryview:
        """The bytes of the log. Over datagrams two readings may be compared, so each may have half of what one may."""
        most = MAX_LOG_BYTES // (2 if self.device.transport == "udp" else 1)
        return self._view("log", Command.ATTLOG_RRQ, shifted=shifted, give_up=give_up, most=most)

    def _named(self, punches: Sequence[Punch]) -> Sequence[Punch]:
        """Punches with the user_id of the user who has the uid now, where the record itself has none."""
        if not punches or punches[0].user_id is not None:  # the records of one log are all alike
            return punches
        table = self.users()
        if isinstance(punches, Decoded):
            return punches.mapped(lambda punch: _named_by(table, punch))
        return [_named_by(table, punch) for punch in punches]

    def _named_live(self, punches: Sequence[Punch]) -> list[Punch]:
        """The same for punches that happen now: who is at the terminal is in its table, though perhaps not in ours."""
        unnamed = [punch.uid for punch in punches if punch.user_id is None and punch.uid is not None]
        if not unnamed:
            return list(punches)
        table = self.users()
        if any(table.by_uid(uid) is None for uid in unnamed):
            table = self.users(again=True)
        return [_named_by(table, punch) for punch in punches]


def _named_by(table: UserTable, punch: Punch) -> Punch:
    if punch.user_id is not None or punch.uid is None:
        return punch
    user = table.by_uid(punch.uid)
    return punch._replace(user_id=str(punch.uid) if user is None else user.user_id)
