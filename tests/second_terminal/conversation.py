"""One conversation for any terminal, frame by frame, and what of each answer must not depend on who answers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from tests.captures import captured
from tests.simulator.raw import Packet, RawClient, user_28, user_72

PREPARE_DATA, DATA, EVENT = 1500, 1501, 500
USERS, TEMPLATES, ATTENDANCE, OPERATIONS = (9, 5), (7, 2), (13, 0), (34, 0)
FINGER = bytes(range(256)) * 4  # 1024 bytes, more than one frame of 1008
SILENCE_S = 0.5
SHORT_FINGER = bytes(range(200))


@dataclass(frozen=True)
class Seen:
    """One frame of an answer; `field` is "session" where it holds the session's number."""

    code: int
    field: str
    data: bytes


class Talker:
    """A client that writes down each answer under a name."""

    def __init__(self, client: RawClient, *, wide: bool) -> None:
        self.client = client
        self.wide = wide
        self.said: dict[str, list[Seen]] = {}

    def ask(self, name: str, command: int, data: bytes = b"") -> list[Packet]:
        """Ask, read the whole answer, and keep what can be compared."""
        assert name not in self.said
        answer = self.client.ask(command, data)
        packets = [answer]
        if answer.code == PREPARE_DATA:
            while packets[-1].code in (PREPARE_DATA, DATA):
                packets.append(self.client.read())
        assert {packet.reply_id for packet in packets} == {answer.reply_id}
        self.said[name] = [self.seen(packet) for packet in packets]
        return packets

    def seen(self, packet: Packet) -> Seen:
        """The frame without what is another terminal's own choice: the number of its session."""
        field = "session" if packet.session == self.client.session else str(packet.session)
        return Seen(packet.code, field, packet.data)

    def read_buffered(self, name: str, data_set: tuple[int, int], piece: int) -> None:
        """1503, all pieces, 1502; the last word of 1503's answer means nothing that is known (3.8)."""
        inner, fct = data_set
        (answer,) = self.ask(f"{name}: 1503", 1503, struct.pack("<bhii", 1, inner, fct, 0))
        if answer.code == DATA:
            return
        first = self.said[f"{name}: 1503"][0]
        self.said[f"{name}: 1503"] = [Seen(first.code, first.field, first.data[:9])]
        (size,) = struct.unpack_from("<I", answer.data, 1)
        for start in range(0, size, piece):
            self.ask(f"{name}: 1504 from {start}", 1504, struct.pack("<ii", start, min(piece, size - start)))
        self.ask(f"{name}: 1504 beyond the end", 1504, struct.pack("<ii", size, 4))
        self.ask(f"{name}: 1502", 1502)

    def events(self, name: str, count: int) -> None:
        """So many events, each acknowledged before the next is read."""
        self.said[name] = [self.event() for _ in range(count)]

    def events_until_silence(self, name: str, at_most: int = 9) -> None:
        """All events that come before half a second of silence."""
        self.said[name] = []
        patience = self.client.socket.gettimeout()
        self.client.socket.settimeout(SILENCE_S)
        with suppress(TimeoutError):
            while len(self.said[name]) < at_most:
                self.said[name].append(self.event())
        self.client.socket.settimeout(patience)

    def event(self) -> Seen:
        """The next packet, which is an event; it is acknowledged."""
        packet = self.client.read()
        assert (packet.code, packet.reply_id) == (EVENT, 0)
        self.client.send_packet(acknowledgement(self.client.session))
        return Seen(packet.code, str(packet.session), packet.data)


def acknowledgement(session: int) -> bytes:
    """What a client answers an event: 2000, its session, reply id 0 (1.4)."""
    words = (2000, session, 0)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("<HHHH", 2000, total ^ 0xFFFF, session, 0)


def record(uid: int, number: int, *, wide: bool) -> bytes:
    """A user with everything set."""
    if wide:
        return user_72(uid, str(number), b"User", b"1234", privilege=14 if uid == 1 else 0, card=uid, group=1)
    return user_28(uid, number, b"User", b"1234", privilege=14 if uid == 1 else 0, card=uid, group=1)


def upload_finger(talker: Talker, name: str, uid: int, finger: int, template: bytes) -> None:
    """The way of the SDK: 1500, 1501, 119, 87, 1502 (3.9)."""
    talker.ask(f"{name}: 1500", 1500, struct.pack("<HH", len(template), 0))
    talker.ask(f"{name}: 1501", 1501, template)
    talker.ask(f"{name}: 119", 119)
    talker.ask(f"{name}: 87", 87, struct.pack("<HBBH", uid, finger, 1, len(template)))
    talker.ask(f"{name}: 1502", 1502)


def questions(talker: Talker) -> None:
    """What changes nothing."""
    for option in ("~SerialNumber", "~Platform", "MAC", "~ZKFPVersion", "~DeviceName", "~PIN2Width", "NetMask"):
        talker.ask(f"option {option}", 11, option.encode() + b"\0")
    talker.ask("option without NUL", 11, b"~SerialNumber")
    talker.ask("option that no terminal has", 11, b"~Nobody\0")
    talker.ask("sizes", 50)
    talker.ask("version", 1100)
    talker.ask("PIN width", 69, b"\x20\x50")
    talker.ask("state", 64)
    talker.ask("door", 75)
    talker.ask("a command that no terminal has", 4711, b"x")
    talker.ask("command 2001", 2001, b"~Nobody\0")
    talker.ask("command 65535", 65535, b"~Nobody\0")


def changes(talker: Talker) -> None:
    """What is done to users, options, clock and door."""
    talker.ask("SDKBuild", 12, b"SDKBuild=1")
    talker.ask("SDKBuild is kept", 11, b"SDKBuild\0")
    talker.ask("set the clock", 202, bytes.fromhex("7f f4 1c 32"))
    (answer,) = talker.ask("the clock", 201)
    (value,) = struct.unpack("<I", answer.data)
    assert 0 <= value - 840758399 < 60
    del talker.said["the clock"]
    talker.ask("a clock of no calendar", 202, struct.pack("<I", (1 * 31 + 30) * 86400))
    talker.ask("disable", 1003)
    talker.ask("disable for a time", 1003, struct.pack("<I", 30))
    for uid in (1, 2, 3):
        talker.ask(f"write user {uid}", 8, record(uid, 100 + uid, wide=talker.wide))
    talker.ask("write over user 3", 8, record(3, 103, wide=talker.wide))
    talker.ask("write a record of another firmware", 8, record(9, 9, wide=not talker.wide))
    talker.ask("refresh", 1013)
    talker.ask("delete user 3", 18, struct.pack("<H", 3))
    talker.ask("delete user 3 again", 18, struct.pack("<H", 3))
    talker.ask("write the verify mode", 79, struct.pack("<HB21x", 1, 137))
    talker.ask("read the verify mode", 80, struct.pack("<H", 1))
    talker.ask("sizes with users", 50)
    talker.read_buffered("two users", USERS, 16384)
    talker.ask("enable", 1002)
    talker.ask("unlock", 31, struct.pack("<I", 30))
    talker.ask("voice", 1017, struct.pack("<I", 10))
    talker.ask("write the LCD", 66, struct.pack("<hB", 1, 0) + b" Closed")
    talker.ask("clear the LCD", 67)


def fingers(talker: Talker) -> None:
    """Templates: written, read in three ways, deleted in three."""
    upload_finger(talker, "a finger of 1024 bytes", 1, 3, FINGER)
    upload_finger(talker, "a finger of 200 bytes", 1, 4, SHORT_FINGER)
    upload_finger(talker, "a finger of user 2", 2, 0, SHORT_FINGER)
    talker.ask("88: 1024 bytes", 88, struct.pack("<HB", 1, 3))
    talker.ask("88: 200 bytes", 88, struct.pack("<HB", 1, 4))
    talker.ask("88: none", 88, struct.pack("<HB", 1, 9))
    talker.ask("9: 1024 bytes", 9, struct.pack("<HB", 1, 3))
    talker.ask("9: none", 9, struct.pack("<HB", 1, 9))
    talker.read_buffered("templates", TEMPLATES, 16384)
    talker.ask("sizes with fingers", 50)
    talker.ask("134: a finger", 134, struct.pack("<24sB", b"101", 3))
    talker.ask("134: again", 134, struct.pack("<24sB", b"101", 3))
    talker.ask("134: of nobody", 134, struct.pack("<24sB", b"999", 3))
    talker.ask("19: a finger", 19, struct.pack("<HB", 1, 4))
    talker.ask("19: again", 19, struct.pack("<HB", 1, 4))
    talker.ask("19: all of user 2", 19, struct.pack("<H", 2))
    upload_finger(talker, "a finger for nobody", 77, 0, SHORT_FINGER)


def access(talker: Talker) -> None:
    """Time zones, groups and unlock combinations, as an F19's documents have them (section 7, C9)."""
    talker.ask("group of user 1", 21, bytes((1, 0, 0, 0)))
    talker.ask("user 1 into group 5", 22, bytes((1, 0, 0, 0, 5)))
    talker.ask("group of user 1 now", 21, bytes((1, 0, 0, 0)))
    talker.ask("zones of user 1", 23, bytes((1, 0, 0, 0)))
    talker.ask("user 1 with zones of its own", 24, struct.pack("<5I", 1, 1, 8, 7, 6))
    talker.ask("zones of user 1 now", 23, bytes((1, 0, 0, 0)))
    talker.read_buffered("users with zones", USERS, 16384)
    talker.ask("user 1 with the zones of the group", 24, struct.pack("<5I", 1, 0, 0, 0, 0))
    talker.ask("user 1 into group 1", 22, bytes((1, 0, 0, 0, 1)))
    talker.ask("users with zones again", 23, bytes((1, 0, 0, 0)))
    days = captured.ZONE_48[2:30]
    talker.ask("write zone 48", 28, struct.pack("<I", 48) + days)
    talker.ask("zone 48", 27, struct.pack("<I", 48))
    talker.ask("write group 77", 26, captured.GROUP_77)
    talker.ask("group 77", 25, bytes((77,)) + bytes(7))
    talker.ask("write combination 7", 30, captured.COMBINATION_7)
    talker.ask("combination 7", 29, bytes((7,)) + bytes(7))
    talker.ask("combination 1, as it came", 29, bytes((1,)) + bytes(7))


def endings(talker: Talker) -> None:
    """What empties tables, and the goodbye."""
    talker.ask("clear the admins", 20)
    talker.read_buffered("users without admins", USERS, 16384)
    talker.ask("clear the attendance log", 15)
    talker.read_buffered("no attendance", ATTENDANCE, 16384)
    talker.ask("clear the operation log", 33)
    talker.ask("clear everything", 14)
    talker.ask("sizes of an empty terminal", 50)
    talker.read_buffered("no users", USERS, 16384)
    talker.ask("exit", 1001)


def enrolment(talker: Talker, user_id: str, finger: int, events: int) -> None:
    """Ask for a finger, follow all events, and end as pyzk does (3.10)."""
    talker.ask("62 before an enrolment", 62)
    data = (
        struct.pack("<24sBB", user_id.encode(), finger, 1) if talker.wide else struct.pack("<IB", int(user_id), finger)
    )
    talker.ask("61", 61, data)
    talker.events("the events of an enrolment", events)
    *steps, last = talker.said["the events of an enrolment"]
    # How long the template became is each terminal's own matter.
    talker.said["the events of an enrolment"] = [*steps, Seen(last.code, last.field, last.data[:2] + last.data[4:])]
    talker.ask("62 after an enrolment", 62)
    talker.ask("60 after an enrolment", 60)
    talker.ask("61 for a finger that is stored", 61, data)
    talker.ask("61 for nobody", 61, data.replace(user_id.encode(), b"998") if talker.wide else b"\xe6\3\0\0\1")


def sound(said: dict[str, list[Seen]]) -> dict[str, list[Seen]]:
    """The same without what says nothing of the protocol: the firmware, and how many operations it has noted."""

    def data_of(name: str, data: bytes) -> bytes:
        if name.startswith("sizes"):
            return data[:40] + data[44:]
        return data[-1:] if name == "version" else data

    return {
        name: [Seen(seen.code, seen.field, data_of(name, seen.data)) for seen in answer]
        for name, answer in said.items()
    }


def disagreements(one: dict[str, list[Seen]], other: dict[str, list[Seen]]) -> dict[str, str]:
    """What two terminals did differently, by kind, with an example of each."""
    found: dict[str, str] = {}
    for name in sorted({*one, *other}):
        left, right = one.get(name), other.get(name)
        if left is None or right is None:
            found.setdefault(name, f"{shown(left)}\n    {shown(right)}")
        elif left != right:
            for kind in kinds(name, left, right):
                found.setdefault(kind, f"{name}:\n    {shown(left)}\n    {shown(right)}")
    return found


def kinds(name: str, left: list[Seen], right: list[Seen]) -> Iterator[str]:
    """In what two answers differ; the answer's name where it is not a bulk answer in both."""
    if not (left and right and left[0].code == right[0].code == PREPARE_DATA):
        yield name
        return
    (one, other) = (b"".join(seen.data for seen in answer[1:]) for answer in (left, right))
    if one != other:
        yield "what follows a template" if name.startswith("88") else f"the content of {name}"
    if left[0].data[4:] != right[0].data[4:]:
        yield "the frame size that PREPARE_DATA announces"
    if one == other and [len(seen.data) for seen in left] != [len(seen.data) for seen in right]:
        yield "how many bytes a DATA frame has"
    if {seen.field for seen in left[1:-1]} != {seen.field for seen in right[1:-1]}:
        yield "the session field of DATA frames"
    if left[-1].field != right[-1].field:
        yield "the session field of the closing ACK"


def shown(answer: list[Seen] | None) -> str:
    """An answer on one line."""
    if answer is None:
        return "not asked"
    if not answer:
        return "nothing"
    return " | ".join(f"{seen.code} [{seen.field}] {len(seen.data)}: {seen.data[:48].hex(' ')}" for seen in answer)
