"""How data in several packets came: their sizes, the pauses between them, and what the last one carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.report.commands import Switches
from zkbridge.terminal.report.recording import Exchange, Packet, Recording

#: Milliseconds of silence between two reads of a socket from which on the terminal has made a pause.
_PAUSE_MS = 1.5
#: From so many equal reads on a stream counts as cut into segments, if they are smaller than any network makes them.
_SEGMENTS, _SMALL_SEGMENT = 3, 1000
#: Packets of the shortest bulk answer: PREPARE_DATA, one DATA, the closing ACK.
_FEWEST = 3


def delivery(recording: Recording) -> Switches:
    """The findings, by the names of the simulator's switches."""
    answers = list(_bulk_answers(recording))
    pieces = [each for each in answers if each.line == "tcp" and each.asks(Command.READ_BUFFER)]
    direct = [each for each in answers if each.line == "tcp" and not each.asks(Command.READ_BUFFER)]
    datagrams = [each for each in answers if each.line == "udp"]
    sizes = {"tcp_packet": pieces, "direct_packet": direct, "udp_packet": datagrams}
    found: Switches = {name: size for name, each in sizes.items() if (size := _frame_size(each))}
    if pieces and _hint(pieces[0]) != found.get("tcp_packet"):
        found["packet_hint"] = _hint(pieces[0])
    if answers:
        found |= {"session_field_of_data": _data_field(answers), "session_field_of_closing_ack": _ack_field(answers)}
    cut = _cut(recording)
    return found | ({"delivery": cut} if cut else {})


def session_fields(exchange: Exchange) -> list[int]:
    """What the DATA packets of a bulk answer carry in their session field."""
    return [each.session for each in exchange.own if each.command == Command.DATA]


def _frame_size(answers: list[Exchange]) -> int | None:
    """The bytes of data in a full packet: seen where an answer has several; else announced, unless one was larger."""
    several = [each.own[1].length for each in answers if len(each.own) > _FEWEST]
    if several:
        return max(several)
    largest = max((packet.length for each in answers for packet in each.own[1:-1]), default=0)
    announced = _hint(answers[0]) if answers else 0
    return announced if announced >= largest > 0 else None


def _hint(answer: Exchange) -> int:
    return int.from_bytes(answer.own[0].data[4:8], "little")


def _data_field(answers: list[Exchange]) -> str:
    """`session` where all have the session's id, which the head of the answer carries; else `index`."""
    same = all(set(session_fields(each)) == {each.own[0].session} for each in answers)
    return "session" if same else "index"


def _ack_field(answers: list[Exchange]) -> str:
    """What the closing ACK carries, where all answers agree on it; `index` where that is not clear."""
    meanings: dict[str, Callable[[Exchange], int]] = {
        "session": lambda each: each.own[0].session,
        "size": lambda each: sum(packet.length for packet in each.own[1:-1]) & 0xFFFF,
        "index": lambda each: len(each.own) - _FEWEST,
    }
    fits = [name for name, meant in meanings.items() if all(each.own[-1].session == meant(each) for each in answers)]
    return fits[0] if fits else "index"


def _cut(recording: Recording) -> str | None:
    """How a stream was cut, by the reads of the largest bulk answer over TCP; None where there is none."""
    answers = [each for each in _bulk_answers(recording) if each.line == "tcp"]
    if not answers:
        return None
    largest = max(answers, key=lambda each: sum(packet.length for packet in each.own))
    reads = largest.arrived
    ends = _ends(largest.own)
    segment = _segment(reads, ends)
    if segment:
        return f"split-{segment}"
    pauses = _paused_at(reads)
    if ends[0] in pauses:
        return "separate" if ends[-2] in pauses else "js"
    return "coalesced"


def _segment(reads: tuple[tuple[float, int], ...], ends: list[int]) -> int | None:
    """The size of the segments that the DATA packet came in, where most reads within it have the same, smaller one."""
    at, inside = 0, []
    for _when, size in reads:
        at += size
        if ends[0] < at < ends[-2]:
            inside.append(size)
    if len(inside) < _SEGMENTS:
        return None
    size, times = Counter(inside).most_common(1)[0]
    return size if size < _SMALL_SEGMENT and times * 2 > len(inside) else None


def _ends(packets: Iterable[Packet]) -> list[int]:
    """Where in the stream each packet ends."""
    at, ends = 0, []
    for packet in packets:
        at += 16 + packet.length
        ends.append(at)
    return ends


def _paused_at(reads: tuple[tuple[float, int], ...]) -> set[int]:
    """After how many bytes there was a pause."""
    at, pauses = 0, set()
    for (before, size), (after, _size) in pairwise(reads):
        at += size
        if after - before >= _PAUSE_MS:
            pauses.add(at)
    return pauses


def _bulk_answers(recording: Recording) -> Iterator[Exchange]:
    for each in recording.exchanges:
        if (
            len(each.own) >= _FEWEST
            and each.code == Command.PREPARE_DATA
            and len(each.own[0].data) == 8
            and not each.end
        ):
            yield each
