"""Punches in one conversation: the log as it stands, and each as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zk.exception import ZKErrorResponse

from zkbridge.terminal.accounts import Accounts
from zkbridge.terminal.protocol.codes import Command, Event
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.tables import Unreadable, records_of
from zkbridge.terminal.protocol.waker import Waker
from zkbridge.terminal.records.punches import Punch, in_order, is_record_size, parse_event, parse_log

#: Before the records stands how long they are.
_LENGTH_BYTES = 4
#: Readings of the log until it can be read.
_READINGS = 3


class Attendance(Accounts):
    """Punches. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    def attendance(self, *, give_up: Callable[[], bool] = lambda: False) -> list[Punch]:
        """The whole attendance log, oldest first, its empty records among them.

        Raises DeviceRejected (`log`) when it cannot be read, or is not as long as the terminal counts.

        `give_up` is asked now and then; GivenUp is raised when it says so.
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

    def attendance_from(self, number: int, *, give_up: Callable[[], bool] = lambda: False) -> list[Punch] | None:
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
            data, size = self._client.read_with_buffer(Command.ATTLOG_RRQ, give_up=give_up, start_at=start_at)
        except ZKErrorResponse:
            return None
        left = count - number
        punches = None if len(data) == size else parse_log(data, range(left, left + 1))
        return None if punches is None else self._named(punches)

    def listen(self) -> None:
        """Have the terminal tell each punch. Raises DeviceRejected where it will not."""
        self._do("REG_EVENT", lambda: self._client.reg_event(Event.PUNCH))

    def hear(self, seconds: float, waker: Waker) -> list[Punch] | None:
        """The punches of the next event, none of an event of another kind; None when nobody spoke, or `waker` did.

        Whatever the terminal told since it was asked to `listen` is heard, also what came between a request and its
        answer. Each event is to be acknowledged.
        """
        self.extend(Deadline.after(seconds + self.device.timeout))
        event = self._client.event(Deadline.after(seconds), waker)
        if event is None:
            return None
        return self._named(parse_event(event.data), live=True) if event.session == Event.PUNCH else []

    def acknowledge(self) -> None:
        """Tell the terminal that an event has arrived."""
        self._client.acknowledge()

    def _read_log(self, count: int | None, give_up: Callable[[], bool]) -> list[Punch]:
        records = records_of(self._read("log", Command.ATTLOG_RRQ, give_up=give_up), count)
        punches = self._punches_in(records, count)
        if self.device.transport == "udp" and not in_order(punches):
            # Datagrams may have changed places: a second reading in others must begin like the first.
            again = records_of(self._read("log", Command.ATTLOG_RRQ, shifted=True, give_up=give_up), count)
            if not again.startswith(records):
                raise Unreadable("it reads differently each time")
        return punches

    def _punches_in(self, records: bytes, before: int | None) -> list[Punch]:
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

    def _named(self, punches: Iterable[Punch], *, live: bool = False) -> list[Punch]:
        """Punches with the user_id of the user who has the uid now, where the record itself has none."""
        return [
            punch
            if punch.user_id is not None or punch.uid is None
            else punch._replace(user_id=self._user_id(punch.uid, live=live))
            for punch in punches
        ]

    def _user_id(self, uid: int, *, live: bool) -> str:
        user = self.users().by_uid(uid)
        if user is None and live:  # who is at the terminal now is in its table, though perhaps not in ours yet
            user = self.users(again=True).by_uid(uid)
        return str(uid) if user is None else user.user_id
