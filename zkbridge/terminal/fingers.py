"""Fingers in one conversation: which a user has, and a new one, step by step."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from zk.exception import ZKErrorResponse

from zkbridge.contract.errors import DeviceRejected, DeviceUnreachable, TerminalError
from zkbridge.port.facts import Sizes
from zkbridge.port.fingers import Down, Ended, Finger, Outcome, Ready, Sample, Step
from zkbridge.port.fit import is_number_id
from zkbridge.port.users import User
from zkbridge.port.waker import Waker
from zkbridge.terminal.accounts import Accounts
from zkbridge.terminal.protocol.codes import Code, Command, Event
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.tables import MAX_TEMPLATES_BYTES, Unreadable, records_of
from zkbridge.terminal.protocol.wire import Frame
from zkbridge.terminal.records.record import record_in
from zkbridge.terminal.records.templates import parse_templates, upload_of

#: The table of templates among those that can be read whole.
_TEMPLATES = 2
#: Above so many fingers on a terminal, asking for one person's ten is quicker than reading them all.
_MANY = 100
FINGERS = range(10)
#: Bytes of an upload at once: what a datagram holds, and what pyzk sends.
_UPLOAD_PIECE = 1024
#: What pyzk says before its upload becomes users with fingers: the sizes of a head and of an entry.
_UPLOAD_SIZES = struct.pack("<IHH", 12, 0, 8)
#: Every event: some firmware sends those of an enrolment only to who has registered (zk-protocol `realtime.md`).
_ALL_EVENTS = 0xFFFF
_OF_ENROLMENTS = frozenset({Event.FINGER, Event.SAMPLE, Event.ENROLLED})
_GOOD_SAMPLE = 100
#: Results in the event that ends an enrolment, as pyzk 0.9 reads them; every other is a failure.
_DUPLICATE, _TIMEOUT = 5, 6
_VALID = 1
_LONG_RECORD = 72
#: What command 88 appends to a template.
_READ_TAIL = b"\1"


class Fingers(Accounts):
    """Fingers. Whatever is asked raises TerminalError when the terminal fails or refuses it."""

    #: The counts, if they were asked since the last write of this conversation.
    _room: Sizes | None = None

    def room(self) -> Sizes:
        """The counts and capacities, asked again only where this conversation has written since."""
        if self._room is None:
            self._room = self.sizes()
        return self._room

    def _change(self, operation: Command, data: bytes) -> Frame:
        self._room = None
        return super()._change(operation, data)

    def fingers(self, user: User) -> list[Finger]:
        """The fingers of one user. Raises DeviceRejected (`templates`) when they cannot be read."""
        count = self.sizes().fingers
        if count == 0:
            return []
        if count is None or count <= _MANY:
            return [finger for finger in self.templates() if finger.uid == user.uid]
        found = ((index, self.template(user, index)) for index in FINGERS)
        return [Finger(user.uid, index, _VALID, template) for index, template in found if template is not None]

    def templates(self) -> list[Finger]:
        """Every finger on the terminal. Raises DeviceRejected (`templates`) when they cannot be read."""
        raw = self._read("templates", Command.DB_RRQ, _TEMPLATES, most=MAX_TEMPLATES_BYTES)
        try:
            return parse_templates(records_of(raw, None))
        except Unreadable as error:
            raise self._unreadable("templates", str(error)) from None

    def has_finger(self, user: User, index: int) -> bool:
        """Whether the terminal holds this finger of this user."""
        return self.template(user, index) is not None

    def finger(self, user: User, index: int) -> Finger | None:
        """One finger, from the table of all, for only there stands its flag; as a valid one where it is not shown."""
        try:
            return next((each for each in self.templates() if (each.uid, each.index) == (user.uid, index)), None)
        except DeviceRejected as refusal:
            if refusal.ends_session:
                raise
            template = self.template(user, index)
            return None if template is None else Finger(user.uid, index, _VALID, template)

    def put_finger(self, user: User, finger: Finger, *, keep_flag: bool = False) -> bool:
        """Write a finger that was read before; whether the terminal holds just this one now.

        By the SDK's way, which keeps the flag; where that has no effect, by pyzk's, which makes every finger a valid
        one: with `keep_flag` for those alone that are.
        Sources: zk-protocol `data-user.md` (87), pyzk 0.9 `save_user_template` (110).
        """
        self._room = None
        self._upload(finger.template)
        self._client.request(Command.CHECKSUM_BUFFER)  # the SDK asks for it, and does not look at the answer
        written = struct.pack("<HBBH", finger.uid, finger.index, finger.flag, len(finger.template))
        self._client.request(Command.WRITE_TEMPLATE, written)
        self._end_upload()
        shown = self.template(user, finger.index)
        if shown is not None:
            return finger.is_template(shown)
        if keep_flag and finger.flag != _VALID:
            return False
        self._upload(upload_of(finger, record_in(user)))
        self._client.request(Command.SAVE_USERTEMPS, _UPLOAD_SIZES)
        self._end_upload()
        return finger.is_template(self.template(user, finger.index))

    def _upload(self, buffer: bytes) -> None:
        self._client.request(Command.FREE_DATA)
        self._client.request(Command.PREPARE_DATA, struct.pack("<I", len(buffer)))
        for at in range(0, len(buffer), _UPLOAD_PIECE):
            self._client.request(Command.DATA, buffer[at : at + _UPLOAD_PIECE])

    def _end_upload(self) -> None:
        self._client.request(Command.FREE_DATA)
        self._client.request(Command.REFRESHDATA)

    def delete_finger(self, user: User, index: int, *, spare_others: bool = False) -> bool:
        """Delete one finger; whether there was one.

        By user_id where the terminal knows that way, as pyzk does over TCP: the other takes finger 0 for all of
        them on some firmware (zk-protocol `data-user.md`). With `spare_others` that is not risked where the user has
        others: raises DeviceRejected (`other_fingers`).
        """
        self._room = None
        pin = user.user_id.encode(self.device.encoding, errors="replace")
        answer = self._client.request(Command.DELETE_TEMPLATE, struct.pack("<24sB", pin, index))
        if answer.command == Code.UNKNOWN:
            if spare_others and index == 0 and any(self.has_finger(user, other) for other in FINGERS[1:]):
                raise DeviceRejected("other_fingers", host=self.device.host, port=self.device.port)
            answer = self._client.request(Command.DELETE_USERTEMP, struct.pack("<HB", user.uid, index))
        if answer.command not in (Code.OK, Code.ERROR):
            raise self._client.rejected("DELETE_USERTEMP")
        return answer.command == Code.OK

    def enrol(
        self,
        user: User,
        index: int,
        *,
        timeout: float,
        waker: Waker,
        is_old: Callable[[bytes], bool] = lambda _template: False,
    ) -> Iterator[Step]:
        """Let a person enrol a finger at the terminal, which must be enabled; the last step is Ended.

        Outlasts the session's deadline by `timeout` seconds at most; `waker` cancels. `is_old` knows the template
        that may have been there before. Source of the order of requests: zk-protocol `realtime.md`. Raises
        DeviceRejected when the terminal will not begin.
        """
        until = Deadline.after(timeout)
        self._client.deadline = until.later(self.device.timeout)
        self._begin(user, index)
        outcome: Outcome = "failed"
        try:
            yield Ready()
            for event in self._events_of_enrolment(until, waker):
                if event.session == Event.FINGER:
                    yield Down()
                elif event.session == Event.SAMPLE:
                    yield Sample(good=event.data[:1] == bytes((_GOOD_SAMPLE,)))
                elif event.session == Event.ENROLLED:
                    outcome = _outcome(event)
                    break
            else:
                outcome = "cancelled" if waker.woken else "timeout"
        finally:
            self.end_capture()
        yield Ended(self._settled(user, index, outcome, is_old))

    def _begin(self, user: User, index: int) -> None:
        self._set_aside([event for event in self._client.events if event.session not in _OF_ENROLMENTS])
        self._client.cancel_capture()
        self._client.request(Command.EVENT, struct.pack("<I", _ALL_EVENTS))  # refused or not, it is worth a try
        self._start_enrolment(user, index)
        self._client.request(Command.STARTVERIFY)

    def _start_enrolment(self, user: User, index: int) -> None:
        """Ask for the finger in the form that goes with the terminal's records; where it is refused, in the other.

        Terminals with 72-byte records take the user_id as text, those with 28-byte records as a number (zk-protocol
        `realtime.md`; pyzk chooses by the transport, which says nothing of it). A refusal begins nothing.
        """
        forms = self._forms_of_enrolment(user, index)
        for form, is_last in zip(forms, [False] * (len(forms) - 1) + [True], strict=True):
            answer = self._client.request(Command.STARTENROLL, form)
            if answer.command == Code.OK:
                return
            if is_last or answer.command == Code.UNAUTH:
                raise self._client.rejected("STARTENROLL")
            self._client.cancel_capture()

    def _forms_of_enrolment(self, user: User, index: int) -> list[bytes]:
        """The forms to try, in their order: the user as text or as a number, on old terminals also by uid.

        A form is left out where the terminal could take it for another user. Source of the form of four bytes, uid and
        finger: the command manual of 2006.
        """
        pin = user.user_id.encode(self.device.encoding, errors="replace")
        as_text = struct.pack("<24sBB", pin, index, _VALID)
        if not is_number_id(user.user_id):
            return [as_text]
        as_number = struct.pack("<IB", int(user.user_id), index)
        if len(record_in(user)) == _LONG_RECORD:
            mistaken = as_number.split(b"\0", 1)[0].decode(self.device.encoding, errors="replace")
            return [as_text] if self.users().by_user_id(mistaken) else [as_text, as_number]
        others = [struct.pack("<HH", user.uid, index), as_text]
        return [as_number, *(form for form in others if not self._is_another_user(form, user))]

    def _is_another_user(self, form: bytes, user: User) -> bool:
        """Whether a terminal that reads a number at the beginning of a form would take it for another user."""
        mistaken = self.users().by_user_id(str(int.from_bytes(form[:4], "little")))
        return mistaken is not None and mistaken.uid != user.uid

    def _events_of_enrolment(self, until: Deadline, waker: Waker) -> Iterator[Frame]:
        """Events, each acknowledged: a terminal sends the next only then. Ends when the time is over.

        What is not about the enrolment waits for whoever listens afterwards.
        """
        others: list[Frame] = []
        try:
            while (event := self._client.event(until, waker)) is not None:
                self._client.acknowledge()
                if event.session in _OF_ENROLMENTS:
                    yield event
                else:
                    others.append(event)
        finally:
            self._set_aside([*others, *self._client.events])

    def _set_aside(self, events: list[Frame]) -> None:
        self._client.events.clear()
        self._client.events.extend(events)

    def end_capture(self) -> None:
        """The terminal asks for no finger any more, and compares them again. Raises nothing."""
        if not self._client.usable:
            return
        self._client.deadline = Deadline.after(self.device.timeout)
        with suppress(TerminalError):
            self._client.request(Command.CANCELCAPTURE)
            self._client.request(Command.EVENT, struct.pack("<I", 0))
            self._client.request(Command.STARTVERIFY)

    def _settled(self, user: User, index: int, outcome: Outcome, is_old: Callable[[bytes], bool]) -> Outcome:
        """What the template store says: newer firmware enrols well and reports otherwise (fananimi/pyzk#30, #117).

        And whoever cancels may come a moment too late. Raises ConnectionFailure also where the session is gone.
        """
        try:
            template = self.template(user, index)
        except DeviceRejected as refusal:
            if refusal.ends_session:
                raise
            if self._client.answer == Code.UNAUTH:  # it was restarted, and knows this session no more
                self._client.hang_up()
                raise DeviceUnreachable("reset", host=self.device.host, port=self.device.port) from None
            return outcome  # it shows no single templates: its word must do
        if template is None:
            return "failed" if outcome == "stored" else outcome
        return "stored" if outcome == "stored" or not is_old(template) else outcome

    def template(self, user: User, index: int) -> bytes | None:
        """One template, None where there is none: by pyzk's command, or the SDK's where that is unknown.

        What is read by pyzk's command ends in one byte 01 more (two captures in pyzk's `test.py`).
        """
        for command in (Command.READ_TEMPLATE, Command.USERTEMP_RRQ):
            try:
                template = self._client.bulk.data(command, struct.pack("<HB", user.uid, index))
                return template.removesuffix(_READ_TAIL) if command == Command.READ_TEMPLATE else template
            except ZKErrorResponse:
                if self._client.answer == Code.ERROR:
                    return None
        raise self._unreadable("templates", f"answer {self._client.answer}")


def _outcome(event: Frame) -> Outcome:
    result = int.from_bytes(event.data[:2], "little") if len(event.data) >= 2 else None
    if result == 0:
        return "stored"
    return "duplicate" if result == _DUPLICATE else "timeout" if result == _TIMEOUT else "failed"
