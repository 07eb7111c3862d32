"""Read whole tables: prepare a buffer, read it in pieces, free it; and the direct reads of old clients.

Sources: zk-protocol data.md; pyzk 0.9; captures of a K40 by TCP (coding-libs/js_zklib issue 53) and of a terminal by
UDP (issue 7 there); pyzk issue 172 (G2).
"""

from __future__ import annotations

import struct

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.device.terminal import Terminal
from zkbridge.simulator.network.exchange import Answer, Part
from zkbridge.simulator.requests.table import Request, command, need, ok
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import Code, Command

_BUFFER_REQUEST = struct.Struct("<bHii")
_PIECE_REQUEST = struct.Struct("<ii")

#: pyzk reads 1024 bytes of a datagram that answers 1503.
_UDP_INLINE = 1016
_FCT_TEMPLATES, _FCT_USERS = 2, 5
#: SMS, user data and work codes: tables that are always empty here.
_EMPTY_FCTS = (6, 7, 8)


@command(Command.PREPARE_BUFFER)
def prepare(request: Request) -> Answer:
    """A small data set at once; else its size, for 1504 to read."""
    _one, inner, fct, _ext = _BUFFER_REQUEST.unpack_from(need(request.data, _BUFFER_REQUEST.size))
    terminal, switches = request.terminal, request.terminal.switches
    count, data = _data_set(terminal, inner, fct)
    if switches.bulk_limit and count > switches.bulk_limit:
        raise Refused("more records than a bulk read takes")
    wait = count / switches.record_rate if switches.record_rate else 0.0
    _begin(request, data)
    if len(data) <= (min(switches.inline_max, _UDP_INLINE) if request.udp else switches.inline_max):
        return Answer((Part(Command.DATA, data),), prepare_s=wait)
    word = struct.pack("<BIII", 0, len(data), len(data), switches.buffer_word)
    return Answer((Part(Code.OK, word),), prepare_s=wait)


@command(Command.READ_BUFFER)
def read_piece(request: Request) -> Answer:
    """A piece of the buffer; a range beyond it is refused."""
    start, size = _PIECE_REQUEST.unpack_from(need(request.data, _PIECE_REQUEST.size))
    prepared = request.session.prepared if request.session else None
    if prepared is None or start < 0 or size < 0 or start + size > len(prepared):
        raise Refused("no such piece")
    switches = request.terminal.switches
    packet = switches.udp_packet if request.udp else switches.tcp_packet
    hint = 0 if request.udp else switches.packet_hint
    return _bulk(request, prepared[start : start + size], packet, hint=hint or packet)


@command(Command.FREE_DATA)
def free(request: Request) -> Answer:
    """Forget what was prepared or uploaded."""
    if request.session is not None:
        request.session.prepared = None
        request.session.upload.clear()
    return ok()


@command(Command.ATTLOG_RRQ)
def read_attendance(request: Request) -> Answer:
    """The attendance log without a buffer, as old clients ask."""
    return _direct(request, Command.ATTLOG_RRQ, 0)


def read_users(request: Request) -> Answer:
    """The user table without a buffer, as old clients ask."""
    return _direct(request, Command.USERTEMP_RRQ, _FCT_USERS)


def direct(request: Request, data: bytes) -> Answer:
    """The answer to a read without a buffer."""
    switches = request.terminal.switches
    size = switches.udp_packet if request.udp else switches.direct_packet
    return _bulk(request, data, size, hint=size)


def _bulk(request: Request, data: bytes, size: int, *, hint: int) -> Answer:
    """PREPARE_DATA, the data in frames of this size and a closing ACK, all with the id of the request."""
    switches = request.terminal.switches
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    indexed = switches.session_field_of_data == "index"
    fields = {"index": max(len(pieces) - 1, 0) & 0xFFFF, "size": len(data) & 0xFFFF, "session": None}
    return Answer(
        (
            Part(Command.PREPARE_DATA, struct.pack("<II", len(data), hint)),
            *(Part(Command.DATA, piece, index & 0xFFFF if indexed else None) for index, piece in enumerate(pieces)),
            Part(Code.OK, session=fields[switches.session_field_of_closing_ack]),
        ),
        bulk=True,
        prepare_s=switches.piece_delay,
    )


def _direct(request: Request, inner: int, fct: int) -> Answer:
    _count, data = _data_set(request.terminal, inner, fct)
    _begin(request, data)
    return direct(request, data)


def _begin(request: Request, data: bytes) -> None:
    if request.session is not None:
        request.session.prepared = data
        request.session.bulk_sent = 0


def _data_set(terminal: Terminal, inner: int, fct: int) -> tuple[int, bytes]:
    """How many records, and the set: its length without itself, then the records."""
    switches = terminal.switches
    if switches.templates_by_nine and (inner, fct) == (Command.USERTEMP_RRQ, _FCT_TEMPLATES):
        inner = Command.DB_RRQ
    if inner == Command.USERTEMP_RRQ and fct == _FCT_USERS:
        rows = terminal.users.as_read()
    elif inner == Command.DB_RRQ:
        rows = [records.template_entry(*key, template) for key, template in terminal.fingers.stored.items()]
    elif inner == Command.ATTLOG_RRQ:
        rows = [records.attendance_record(punch, switches.attendance) for punch in terminal.logs.attendance]
        rows = rows if switches.attendance_shown < 0 else rows[: switches.attendance_shown]
    elif inner == Command.OPLOG_RRQ:
        rows = list(terminal.logs.operations)
    elif fct in _EMPTY_FCTS:
        rows = []
    else:
        raise Refused("no such data set")
    body = b"".join(rows)
    body = terminal.profile.recorded.tables.get((inner, body), body)
    return len(rows), len(body).to_bytes(4, "little") + body
