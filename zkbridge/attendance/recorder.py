"""Stores punches on disk until they are published, together with how far the terminal's log has been read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from zkbridge.attendance.bookmark import COMPARED, REMEMBERED, Bookmark, identity, moment_of
from zkbridge.attendance.hooks import ListenerHooks
from zkbridge.attendance.names import UserNames
from zkbridge.contract.bodies import PunchBody
from zkbridge.contract.messages import encode
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Place, Trace
from zkbridge.port.punches import Punch
from zkbridge.terminal.session import Session


class Recorder:
    """The punches of one device, each kept once and in order.

    `most` punches may wait for the broker, of all devices together. Every method that writes raises LedgerUnavailable
    where the disk does not take it; the place is then unknown until `open`.
    """

    def __init__(self, device_id: str, ledger: Ledger, names: UserNames, *, most: int, hooks: ListenerHooks) -> None:
        self._device_id = device_id
        self._ledger = ledger
        self._names = names
        self._most = most
        self._hooks = hooks
        self._bookmark: Bookmark | None = None

    @property
    def is_open(self) -> bool:
        """Whether the place is known as it stands on disk."""
        return self._bookmark is not None

    @property
    def book(self) -> Bookmark:
        """The place. Raises LedgerUnavailable after an earlier failure to keep it."""
        if self._bookmark is None:
            raise LedgerUnavailable("how far the log was read is not known")
        return self._bookmark

    @property
    def count(self) -> int:
        """How many records of the log are kept, counted from its beginning. Raises LedgerUnavailable."""
        return self.book.place.count

    def open(self, place: Place) -> None:
        """Go on at a place that stands on disk."""
        self._bookmark = Bookmark(place, self._ledger.digest)

    def begin(self, place: Place) -> None:
        """Begin at a place: what stands before it in the log is not published."""
        self._ledger.punches.add(self._device_id, [], place, most_traces=REMEMBERED, anew=True)
        self.open(place)

    def lose(self) -> None:
        """Note that the place in memory may differ from the one on disk."""
        self._bookmark = None

    def has_no_room(self) -> bool:
        """Whether no more punches are kept until the broker takes some: the terminal's log keeps them as well."""
        return self._ledger.punches.count_unsent() >= self._most

    def keep(self, session: Session, punches: Iterable[Punch], *, count: int) -> None:
        """Store punches that came as events, and the log's count, in one commit."""
        self.keep_rows(session, [(punch, False) for punch in punches], count=count)

    def keep_rows(self, session: Session, rows: Iterable[tuple[Punch, bool]], *, count: int) -> None:
        """Store punches; `rows` holds each with whether it is late, that is, read from the log without an event.

        Raises TerminalError, or ReadInterrupted, where a name is to be read: then the punches are not stored, and are
        as new as before.
        """
        # Every name before the first trace: what is remembered in the bookmark counts as published.
        named = [(punch, late, self._name_of(session, punch)) for punch, late in rows]
        bodies: list[bytes] = []
        traces: list[Trace] = []
        for punch, late, name in named:
            trace = self.book.trace(punch)
            traces.append(trace)
            if not punch.is_empty:
                bodies.append(encode(self._body(punch, name, trace.ordinal, late=late)))
        if bodies or count != self.count:
            self.move_to(count, bodies, traces)
        if bodies:
            self._hooks.note_punches()

    def move_to(self, count: int, bodies: Sequence[bytes] = (), traces: Sequence[Trace] = ()) -> None:
        """Store that the log is read up to a count, with the new punches before it."""
        book, self._bookmark = self.book, None  # differs from the disk if that fails
        place = Place(book.place.serial, count, tuple(traces))
        if bodies or count != book.place.count:
            self._ledger.punches.add(self._device_id, bodies, place, most_traces=REMEMBERED)
        book.place = place
        self._bookmark = book

    def remember(self, log: Sequence[Punch]) -> None:
        """If no punch is remembered yet, remember the last of `log`, a part without new ones. None is published."""
        if not log or self.book.traces:
            return
        book, place = self.book, self.book.place
        traces = tuple(book.trace(punch) for punch in log[-COMPARED:])
        self._bookmark = None
        self._ledger.punches.add(self._device_id, [], replace(place, traces=traces), most_traces=REMEMBERED, anew=True)
        self._bookmark = book

    def arrange(self, log: Sequence[Punch]) -> None:
        """Put the remembered punches in the order of the log, all of which is published."""
        if not log or (traces := self.book.in_order_of(log)) == self.book.traces:
            return
        place = replace(self.book.place, traces=traces)
        self._bookmark = None
        self._ledger.punches.add(self._device_id, [], place, most_traces=REMEMBERED, anew=True)
        self.open(place)

    def _name_of(self, session: Session, punch: Punch) -> str:
        return "" if punch.is_empty else self._names.name_of(session, punch.user_id or "")

    def _body(self, punch: Punch, name: str, ordinal: int, *, late: bool) -> PunchBody:
        body: PunchBody = {
            "user_id": punch.user_id or "",
            "name": name,
            "timestamp": moment_of(punch) or None,
            "status": punch.status,
            "punch": punch.punch,
            "device_id": self._device_id,
            "id": identity(self._device_id, punch, ordinal),
        }
        return {**body, "late": True} if late else body
