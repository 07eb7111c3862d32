"""The log of punches of a simulated terminal: it may be cleared, full, or look shorter for a while than it is."""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random

from torture.simulated.machine import here

#: A record of 40 bytes: uid, user id, how it was verified, time, kind.
PUNCH = struct.Struct("<H24sBIB8x")
#: An event: user id, how it was verified, kind, time.
EVENT = struct.Struct("<24sBB6s")
#: Punches that a log can hold which is never full here.
ROOM = 100_000
_EPOCH = datetime(2030, 1, 31, 8, 0, 0)  # noqa: DTZ001 - a terminal's wall clock has no zone
#: Punches in a log before the bridge first connects; how many more have room in some logs. Only logs that start with 25
#: or more overwrite: they cannot lose all that they hold while the bridge is away, after which it could not find its
#: place. One of the long logs passes 200 punches later (`SHORT_LOG` of the bridge), of the other only the end is read.
_BEFORE, _OVERWRITING, _MORE = (0, 0, 3, 25, 190, 300), 25, (3, 7)


class PunchLog:
    """The punches that the terminal holds, by their numbers: each is made a second after the one before.

    `first` punches are in it at the start. With a `capacity` it is full one day: then it drops its oldest for each new
    one (`overwrites`), or takes no more.
    """

    def __init__(self, first: int = 0, capacity: int = ROOM, *, overwrites: bool = False) -> None:
        self.first = first
        self.capacity = capacity
        self.overwrites = overwrites
        self.records: dict[int, bytes] = {}
        self.shrank = False  #: whether it was cleared, or has lost its oldest
        self.acknowledged: set[int] = set()  #: those whose event the bridge has acknowledged
        self.read: set[int] = set()  #: those that it held when a reading began that ended well
        self.wrongs: list[str] = []
        self.made: list[int] = []  #: those that were recorded since the start
        self.place = 0  #: how far the bridge has read it, as it keeps on disk
        self._next = 0
        self._arrived: defaultdict[int, deque[int]] = defaultdict(deque)  #: by connection, without acknowledgement
        self._hidden, self._hidden_until = 0, 0.0
        self._shown: set[int] | None = None
        self._shorter: set[int] = set()  #: connections on which it counted fewer than the bridge had read
        for _ in range(first):
            self.add()
        self.made.clear()

    @classmethod
    def drawn(cls, random: Random) -> PunchLog:
        """One of many kinds."""
        first = random.choice(_BEFORE)
        capacity = first + random.choice(_MORE) if random.random() < 0.6 else ROOM
        return cls(first, capacity, overwrites=first >= _OVERWRITING)

    @property
    def is_full(self) -> bool:
        """Whether it has no room for one more."""
        return len(self.records) >= self.capacity

    def add(self) -> int | None:
        """Somebody punches: the number of that; None where the log takes no more."""
        number, self._next = self._next, self._next + 1
        if self.is_full:
            if not self.overwrites:
                return None
            self.shrank = True
            del self.records[min(self.records)]
        when = moment(number)
        packed = (((when.year - 2000) * 12 + when.month - 1) * 31 + when.day - 1) * 86400
        packed += (when.hour * 60 + when.minute) * 60 + when.second
        self.records[number] = PUNCH.pack(1, b"7", 1, packed, 0)
        self.made.append(number)
        return number

    def clear(self) -> None:
        """Forget all of them."""
        self.shrank = True
        self.records.clear()

    def hide(self, punches: int, *, lasting: float) -> None:
        """Show, and count, so many fewer for some seconds: the terminal is busy."""
        self._hidden, self._hidden_until = punches, here().now + lasting

    def come_to_order(self) -> None:
        """Show all."""
        self._hidden_until = 0.0

    def must_be_published(self) -> set[int]:
        """Those that must be published, whatever became of the log."""
        return {number for number in self.records if number >= self.first} | self.acknowledged | self.read

    # -- what the bridge asks for ----------------------------------------------------------------------------------

    def event_of(self, number: int) -> bytes:
        """The bytes of the event that is sent for a punch."""
        when = moment(number)
        at = bytes([when.year - 2000, when.month, when.day, when.hour, when.minute, when.second])
        return EVENT.pack(b"7", 1, 0, at)

    def note_arrived(self, connection: int, event: bytes) -> None:
        """An event has arrived at the bridge, perhaps the same one twice: it acknowledges them in this order."""
        year, *rest = EVENT.unpack(event)[3]
        when = datetime(2000 + year, *rest)  # noqa: DTZ001 - a terminal's wall clock has no zone
        self._arrived[connection].append(round((when - _EPOCH).total_seconds()))

    def note_acknowledged(self, connection: int) -> None:
        """The bridge has acknowledged an event: by that it has it on disk."""
        if self._arrived[connection]:
            self.acknowledged.add(self._arrived[connection].popleft())

    def count(self, connection: int) -> int:
        """What the terminal answers to the question how many it holds."""
        told = len(self._visible())
        if told >= self.place:
            self._shorter.clear()
        else:
            self._shorter.add(connection)
        return told

    def table(self, *, less: int = 0) -> list[bytes]:
        """The records as the terminal sends them now, less some at the end."""
        visible = self._visible()
        sent = dict(list(visible.items())[: max(0, len(visible) - less)])
        numbers = {number for number in sent if number >= self.first}
        self._shown = numbers if self._shown is None else self._shown & numbers
        return list(sent.values())

    def _visible(self) -> Mapping[int, bytes]:
        if here().now >= self._hidden_until:
            return self.records
        return dict(list(self.records.items())[: max(0, len(self.records) - self._hidden)])

    # -- what the bridge makes of it -------------------------------------------------------------------------------

    def begin_reading(self) -> None:
        """The bridge begins to read the log."""
        self._shown = None

    def end_reading(self) -> None:
        """The bridge has read the log, and keeps what was new in it."""
        self.read |= self._shown or set()

    def move_place(self, count: int) -> None:
        """The bridge notes on disk that it has read so far."""
        if count < self.place and len(self._shorter) < 2:
            self.wrongs.append(f"the place in a log goes back from {self.place} to {count} on doubt")
        self.place = count


def moment(number: int) -> datetime:
    """When a punch was made, by the terminal's clock."""
    return _EPOCH + timedelta(seconds=number)
