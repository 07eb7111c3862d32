"""What a terminal does for each request (facts: section 3; documents of an F19; captures of a K40 and a Z40)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.second_terminal import access, clock
from tests.second_terminal.frames import Packet, scrambled_key
from tests.second_terminal.memory import Template, text
from tests.second_terminal.session import ACK_ERROR, ACK_OK, ACK_UNAUTHORISED, ACK_UNKNOWN, Session

if TYPE_CHECKING:
    from tests.second_terminal.server import SecondTerminal

Handler = Callable[["SecondTerminal", Session, Packet], None]

CONNECT, EXIT, AUTH, ACKNOWLEDGEMENT = 1000, 1001, 1102, 2000


def serve(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """Answer one request; an acknowledgement of an event is never answered."""
    terminal.requests.append(request)
    if request.code == ACKNOWLEDGEMENT:
        terminal.acknowledged(session)
    elif request.code == CONNECT:
        session.authorised = not terminal.key
        session.answer(request, ACK_UNAUTHORISED if terminal.key else ACK_OK)
    elif request.code == AUTH:
        session.authorised = request.data == scrambled_key(terminal.key, session.number, (request.data + bytes(4))[2])
        session.answer(request, ACK_OK if session.authorised else ACK_UNAUTHORISED)
    elif request.code == EXIT:
        session.answer(request, ACK_OK)
        session.close()
    elif not session.authorised:
        session.answer(request, ACK_UNAUTHORISED)
    elif handler := HANDLERS.get(request.code):
        try:
            handler(terminal, session, request)
        except struct.error:
            session.answer(request, ACK_ERROR)
    else:
        session.answer(request, ACK_UNKNOWN)


def done(session: Session, request: Packet, *, well: bool = True) -> None:
    session.answer(request, ACK_OK if well else ACK_ERROR)


def fine(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK)


def enable(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    terminal.disable(None)
    done(session, request)


def disable(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    seconds = struct.unpack_from("<I", request.data)[0] if len(request.data) >= 4 else 0
    terminal.disable(seconds)
    done(session, request)


def version(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK, b"Ver 6.60 May 25 2018\0")


def read_option(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    name = text(request.data).decode("latin-1")
    value = terminal.memory.options.get(name)
    if value is None:
        session.answer(request, ACK_ERROR)
    else:
        session.answer(request, ACK_OK, f"{name}={value}\0".encode())


def write_option(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    name, separator, value = text(request.data).decode("latin-1").partition("=")
    if separator:
        terminal.memory.options[name] = value
    done(session, request, well=bool(separator))


def sizes(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK, terminal.memory.sizes())


def pin_width(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK, bytes((int(terminal.memory.options["~PIN2Width"]),)))


def state(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK, field_=1 if terminal.enrolment else 0)


def get_time(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK, struct.pack("<I", clock.encode(terminal.memory.now())))


def set_time(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    try:
        terminal.memory.set_clock(clock.decode(*struct.unpack_from("<I", request.data)))
    except ValueError:
        done(session, request, well=False)
    else:
        done(session, request)


def write_user(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    done(session, request, well=terminal.memory.write(request.data))


def delete_user(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    (uid,) = struct.unpack_from("<H", request.data)
    done(session, request, well=terminal.memory.delete(uid))


def delete_fingers(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """19: finger 0 stands for all of the user's (an F19's documents: section 7, C9)."""
    (uid,) = struct.unpack_from("<H", request.data)
    finger = request.data[2] if len(request.data) > 2 and request.data[2] else None
    done(session, request, well=terminal.memory.delete_fingers(uid, finger))


def delete_finger_of(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """134: the user by user_id, one finger."""
    user_id, finger = struct.unpack_from("<24sB", request.data)
    user = terminal.memory.find(text(user_id).decode("latin-1"))
    done(session, request, well=user is not None and terminal.memory.delete_fingers(user.uid, finger))


def clear(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    terminal.memory.clear(request.data[0] if request.data else None)
    done(session, request)


def clear_attendance(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    terminal.memory.punches.clear()
    done(session, request)


def clear_operations(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    terminal.memory.operations.clear()
    done(session, request)


def clear_admins(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    for uid, record in terminal.memory.records.items():
        terminal.memory.records[uid] = record[:2] + bytes((record[2] & 1,)) + record[3:]
    done(session, request)


def write_verify_mode(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    uid, mode = struct.unpack_from("<HB", request.data)
    if uid in terminal.memory.records:
        terminal.memory.verify_modes[uid] = mode
    done(session, request, well=uid in terminal.memory.records)


def read_verify_mode(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    (uid,) = struct.unpack_from("<H", request.data)
    if uid not in terminal.memory.records:
        session.answer(request, ACK_ERROR)
        return
    session.answer(request, ACK_OK, struct.pack("<HB21x", uid, terminal.memory.verify_modes.get(uid, 0)))


def unlock(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    (seconds,) = struct.unpack_from("<I", request.data)
    terminal.unlock(seconds)
    done(session, request)


def door(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK, bytes((terminal.door_open,)))


def register(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    (session.events,) = struct.unpack_from("<I", request.data)
    done(session, request)


def buffered_read(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    _, inner, fct, _ = struct.unpack_from("<bhii", request.data)
    content = terminal.memory.data_set(inner, fct)
    if content is None:
        session.answer(request, ACK_ERROR)
    else:
        session.offer(request, content)


def buffered_piece(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.piece(request)


def free(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.reading = b""
    session.upload.clear()
    done(session, request)


def read_directly(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """9: all users where the data is `05` (3.8), one bare template where it names a finger (3.9)."""
    if len(request.data) == 1:
        content = terminal.memory.data_set(9, request.data[0])
        if content is None:
            session.answer(request, ACK_ERROR)
            return
        session.direct(request, content)
        return
    send_template(terminal, session, request, tail=b"")


def read_log_directly(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.direct(request, terminal.memory.table(terminal.memory.punches))


def read_template(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """88: the template and one byte `01` (section 7, C4)."""
    send_template(terminal, session, request, tail=b"\x01")


def send_template(terminal: SecondTerminal, session: Session, request: Packet, *, tail: bytes) -> None:
    held = terminal.memory.templates.get(struct.unpack_from("<HB", request.data))
    if held is None:
        session.answer(request, ACK_ERROR)
    else:
        session.direct(request, held.content + tail)


def prepare_upload(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.upload.clear()
    done(session, request)


def take_upload(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.upload += request.data
    done(session, request)


def checksum_of_buffer(_terminal: SecondTerminal, session: Session, request: Packet) -> None:
    session.answer(request, ACK_OK, struct.pack("<I", buffer_checksum(bytes(session.upload))))


def buffer_checksum(content: bytes) -> int:
    """The value that 119 answers, by its published vectors (3.9)."""
    value = 0
    for byte in content:
        value = (value << 4) + byte & 0xFFFFFFFF
        if top := value & 0xF0000000:
            signed = top - (1 << 32) if top >> 31 else top
            value ^= top ^ (signed >> 24 & 0xFFFFFFFF)
    return value % 0x00FEFFFF


def keep_template(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """87: the buffer becomes the template of a finger."""
    uid, finger, flag, size = struct.unpack_from("<HBBH", request.data)
    known = uid in terminal.memory.records and size <= len(session.upload)
    if known:
        terminal.memory.templates[uid, finger] = Template(flag, bytes(session.upload[:size]))
    done(session, request, well=known)


def keep_user_with_templates(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """110: three parts behind their lengths: users, a table of fingers, templates (3.9)."""
    content = bytes(session.upload)
    users, fingers, _ = struct.unpack_from("<III", content)
    part = 1 + terminal.memory.user_size
    table, pool = 12 + users, 12 + users + fingers
    well = users % part == 0 and fingers % 8 == 0 and len(content) >= pool
    for start in range(12, table, part) if well else ():
        well = terminal.memory.write(content[start + 1 : start + part]) and well
    for start in range(table, pool, 8) if well else ():
        _, uid, finger, offset = struct.unpack_from("<BHBI", content, start)
        (size,) = struct.unpack_from("<H", content, pool + offset)
        template = content[pool + offset + 2 : pool + offset + 2 + size]
        terminal.memory.templates[uid, finger - 0x10] = Template(1, template)
    done(session, request, well=well)


def start_enrolment(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """61 in its three forms: 26 bytes of text, 5 with a number, 4 of the manual (3.10; section 7, C8)."""
    if len(request.data) >= 25:
        user_id, finger = struct.unpack_from("<24sB", request.data)
        user, flag = terminal.memory.find(text(user_id).decode("latin-1")), (request.data + b"\1")[25]
    elif len(request.data) == 5:
        number, finger = struct.unpack("<IB", request.data)
        user, flag = terminal.memory.find(str(number)), 1
    else:
        uid, finger = struct.unpack_from("<HB", request.data)
        user, flag = next((user for user in terminal.memory.users() if user.uid == uid), None), 1
    refused = user is None or finger > 9 or (user.uid, finger) in terminal.memory.templates or terminal.enrolment
    done(session, request, well=not refused)
    if user is not None and not refused:
        terminal.enrol(session, user, finger, flag)


def cancel(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    terminal.enrolment = None
    done(session, request)


def restart(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    """An F19 never acknowledges (section 7, C9); others do (2.3)."""
    if terminal.restart_acknowledged:
        done(session, request)
    terminal.restart()


def read_group_of(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    record = terminal.memory.records.get(request.data[0] if request.data else 0)
    if record is None:
        session.answer(request, ACK_ERROR)
    else:
        session.answer(request, ACK_OK, record[access.GROUP_AT : access.GROUP_AT + 1])


def write_group_of(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    uid, group = struct.unpack_from("<B3xB", request.data)
    record = terminal.memory.records.get(uid)
    if record is not None:
        terminal.memory.records[uid] = access.with_group(record, group)
    done(session, request, well=record is not None)


def read_zones_of(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    record = terminal.memory.records.get(request.data[0] if request.data else 0)
    if record is None:
        session.answer(request, ACK_ERROR)
    else:
        session.answer(request, ACK_OK, access.zones_told(record))


def write_zones_of(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    uid, flag, *zones = struct.unpack_from("<5I", request.data)
    record = terminal.memory.records.get(uid)
    if record is not None:
        terminal.memory.records[uid] = access.with_zones(record, flag, (zones[0], zones[1], zones[2]))
    done(session, request, well=record is not None)


def tell_set(session: Session, request: Packet, told: bytes | None) -> None:
    """What was set, or the code of an F22 for what was not."""
    if told is None:
        session.answer(request, access.UNSET)
    else:
        session.answer(request, ACK_OK, told)


def read_group(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    tell_set(session, request, terminal.memory.access.groups.get(request.data[0]))


def write_group(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    done(session, request, well=terminal.memory.access.write_group(request.data))


def read_zone(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    tell_set(session, request, terminal.memory.access.zone(request.data))


def write_zone(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    done(session, request, well=terminal.memory.access.write_zone(request.data))


def read_combination(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    tell_set(session, request, terminal.memory.access.combinations.get(request.data[0]))


def write_combination(terminal: SecondTerminal, session: Session, request: Packet) -> None:
    done(session, request, well=terminal.memory.access.write_combination(request.data))


HANDLERS: dict[int, Handler] = {
    8: write_user,
    9: read_directly,
    11: read_option,
    12: write_option,
    13: read_log_directly,
    14: clear,
    15: clear_attendance,
    18: delete_user,
    19: delete_fingers,
    20: clear_admins,
    21: read_group_of,
    22: write_group_of,
    23: read_zones_of,
    24: write_zones_of,
    25: read_group,
    26: write_group,
    27: read_zone,
    28: write_zone,
    29: read_combination,
    30: write_combination,
    31: unlock,
    33: clear_operations,
    50: sizes,
    57: fine,
    60: fine,
    61: start_enrolment,
    62: cancel,
    64: state,
    66: fine,
    67: fine,
    69: pin_width,
    75: door,
    79: write_verify_mode,
    80: read_verify_mode,
    87: keep_template,
    88: read_template,
    110: keep_user_with_templates,
    119: checksum_of_buffer,
    134: delete_finger_of,
    201: get_time,
    202: set_time,
    500: register,
    1002: enable,
    1003: disable,
    1004: restart,
    1006: fine,
    1007: fine,
    1013: fine,
    1014: fine,
    1017: fine,
    1100: version,
    1500: prepare_upload,
    1501: take_upload,
    1502: free,
    1503: buffered_read,
    1504: buffered_piece,
}
