"""How the bytes of an answer are cut, paced and made faulty on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.network import faults
from zkbridge.simulator.network.exchange import Piece
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire.codes import Command

if TYPE_CHECKING:
    from zkbridge.simulator.device.switches import Switches
    from zkbridge.simulator.network.exchange import Answer
    from zkbridge.simulator.network.faults import Fault

_TRICKLE = 0.02


def frames(answer: Answer, *, session: int, reply_id: int, udp: bool) -> list[bytes]:
    """The frames of an answer as they stand on the wire."""
    packets = [
        wire.Frame(part.code, session if part.session is None else part.session, reply_id, part.data).packet()
        for part in answer.parts
    ]
    return packets if udp else [wire.with_top(packet) for packet in packets]


def pieces(whole: list[bytes], switches: Switches, *, bulk: bool, udp: bool) -> list[Piece]:
    """Cut the frames of an answer into what leaves together."""
    if udp:
        return [Piece(frame) for frame in whole]
    delivery = switches.delivery
    if delivery.startswith("split-"):
        return _split(whole, int(delivery[6:]), switches.split_delay)
    if not bulk or delivery == "coalesced":
        return [Piece(b"".join(whole))] if whole else []
    if delivery == "separate":
        return [Piece(frame, switches.gap) for frame in whole]
    # The npm clients ask for all pieces at once and take what arrives together for one frame and an ACK.
    return [Piece(whole[0], switches.gap), Piece(b"".join(whole[1:]), switches.gap)]


def event_pieces(frame: bytes, switches: Switches, *, udp: bool) -> list[Piece]:
    """The same for an event: by itself, because hardly any client finds two in what arrives together."""
    if udp or switches.delivery == "coalesced" or switches.delivery.startswith("split-"):
        return pieces([frame], switches, bulk=False, udp=udp)
    return [Piece(frame, switches.gap)]


def cut(sent: list[Piece], size: int) -> list[Piece]:
    """The first bytes of what leaves."""
    kept = []
    for piece in sent:
        if size <= 0:
            break
        kept.append(Piece(piece.data[:size], piece.pause))
        size -= len(piece.data)
    return kept


def cut_in_data(whole: list[bytes], limit: int, *, udp: bool) -> int | None:
    """Where in the stream of frames the n-th byte of bulk data has left; None when there are fewer."""
    head = 8 if udp else 16
    at = 0
    for frame in whole:
        data = len(frame) - head
        if int.from_bytes(frame[head - 8 : head - 6], "little") == Command.DATA:
            if data > limit:
                return at + head + limit
            limit -= data
        at += len(frame)
    return None


def bulk_bytes(answer: Answer) -> int:
    """How much bulk data an answer carries."""
    return sum(len(part.data) for part in answer.parts if part.code == Command.DATA)


def faulty_frames(whole: list[bytes], fault: Fault) -> list[bytes]:
    """Faults of whole frames: lost, repeated, swapped, twice, or with wrong headers."""
    at = fault.frame
    if fault.do == "bad_checksum":
        return [_with_wrong_checksum(frame) for frame in whole]
    if fault.do == "bad_reply_id":
        return [_with_wrong_reply_id(frame) for frame in whole]
    orders = {
        "twice": whole * 2,
        "lose": whole[:at] + whole[at + 1 :],
        "repeat": whole[: at + 1] + whole[at : at + 1] + whole[at + 1 :],
        "swap": whole[:at] + whole[at : at + 2][::-1] + whole[at + 2 :],
    }
    return orders.get(str(fault.do), whole)


def faulty_pieces(sent: list[Piece], fault: Fault) -> list[Piece]:
    """Faults of bytes: half, random bytes, one byte at a time, and what leaves before a connection ends."""
    size = sum(len(piece.data) for piece in sent)
    match fault.do:
        case "silence":
            return []
        case "close" | "reset":
            return cut(sent, fault.after_bytes or 0)
        case "half":
            return cut(sent, size // 2 if fault.after_bytes is None else fault.after_bytes)
        case "garbage":
            return [Piece(faults.garbage(size))]
        case "trickle":
            return [Piece(bytes((byte,)), fault.delay or _TRICKLE) for piece in sent for byte in piece.data]
        case _:
            return sent


def _split(whole: list[bytes], size: int, delay: float) -> list[Piece]:
    return [Piece(frame[at : at + size], delay) for frame in whole for at in range(0, len(frame), size)]


def _header_at(frame: bytes) -> int:
    return 8 if frame.startswith(wire.MAGIC) else 0


def _with_wrong_checksum(frame: bytes) -> bytes:
    at = _header_at(frame) + 2
    return frame[:at] + bytes(byte ^ 0x5A for byte in frame[at : at + 2]) + frame[at + 2 :]


def _with_wrong_reply_id(frame: bytes) -> bytes:
    at = _header_at(frame)
    found = wire.parse_packet(frame[at:])
    if found is None:
        return frame
    other = wire.Frame(found.command, found.session, (found.reply_id + 7) & 0xFFFF, found.data)
    return frame[:at] + other.packet()
