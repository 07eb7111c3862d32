"""Punches in one conversation: the log as it stands, and each as it happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from zkbridge.contract.errors import TerminalError
from zkbridge.terminal.accounts import Accounts
from zkbridge.terminal.codes import Command, Event
from zkbridge.terminal.deadline import Deadline
from zkbridge.terminal.punches import Punch, in_order, parse_event, parse_log
from zkbridge.terminal.tables import Unreadable, records_of
from zkbridge.terminal.waker import Waker

#: Readings of the log until it can be read.
_READINGS = 3


class Attendance(Accounts):
    """Punches. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    def attendance(self) -> list[Punch]:
        """The whole attendance log, oldest first. Raises DeviceRejected (`log`) when it cannot be read."""
        detail = ""
        for _ in range(_READINGS):
            count = self.sizes().records
            if count == 0:
                return []  # some terminals refuse to send an empty log; pyzk 0.9 does not ask for it either
            try:
                return self._named(self._read_log(count))
            except Unreadable as error:
                detail = str(error)
        raise self._unreadable("log", detail)

    def listen(self, *, idle: float, waker: Waker) -> Iterator[Punch | None]:
        """Each punch as it happens, until `waker` wakes us; outlasts the session's deadline.

        After `idle` seconds of silence the terminal is asked for a sign of life, and None is yielded: a connection
        that died in silence ends in DeviceTimeout. A punch is acknowledged once the next is asked for.
        """
        self._take_time()
        self._register(Event.PUNCH)
        try:
            yield from self._events(idle, waker)
        finally:
            if self._client.usable:
                self._take_time()
                with suppress(TerminalError):
                    self._register(0)

    def _events(self, idle: float, waker: Waker) -> Iterator[Punch | None]:
        while not waker.woken:
            self._take_time(idle)
            event = self._client.event(Deadline.after(idle), waker)
            self._take_time()
            if event is not None:
                if event.session == Event.PUNCH:
                    yield from self._named(parse_event(event.data), live=True)
                self._take_time()
                self._client.acknowledge()
            elif not waker.woken:
                self._command(Command.GET_TIME)
                yield None

    def _register(self, mask: int) -> None:
        self._do("REG_EVENT", lambda: self._client.reg_event(mask))

    def _take_time(self, more: float = 0.0) -> None:
        """Who listens has no end in sight: each question has the device's timeout."""
        self._client.deadline = Deadline.after(more + self.device.timeout)

    def _read_log(self, count: int | None) -> list[Punch]:
        records = records_of(self._read("log", Command.ATTLOG_RRQ), count)
        punches = parse_log(records, count)
        if punches is None:
            raise Unreadable(f"{len(records)} bytes are no records of {'punches' if count is None else count}")
        if self.device.transport == "udp" and not in_order(punches):
            # Datagrams may have changed places: a second reading in others must begin like the first.
            again = records_of(self._read("log", Command.ATTLOG_RRQ, shifted=True), count)
            if not again.startswith(records):
                raise Unreadable("it reads differently each time")
        return punches

    def _named(self, punches: Iterable[Punch], *, live: bool = False) -> list[Punch]:
        """Punches with the user_id of the user who has the uid now, where the record itself has none."""
        return [
            punch
            if punch.user_id is not None or punch.uid is None
            else replace(punch, user_id=self._user_id(punch.uid, live=live))
            for punch in punches
        ]

    def _user_id(self, uid: int, *, live: bool) -> str:
        user = self.users().by_uid(uid)
        if user is None and live:  # who is at the terminal now is in its table, though perhaps not in ours yet
            user = self.users(again=True).by_uid(uid)
        return str(uid) if user is None else user.user_id
