"""Templates: read one, write by the ways of pyzk and of the SDK, delete; enrol; register for events.

Sources: zk-protocol data-user.md and realtime.md, its pull request 9 (checksum); pyzk 0.9 for 88, 110 and 134.
"""

from __future__ import annotations

import struct

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.network.exchange import Answer
from zkbridge.simulator.network.session import Session
from zkbridge.simulator.requests.data import direct, read_users
from zkbridge.simulator.requests.table import Request, command, need, ok
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire.codes import Command
from zkbridge.simulator.wire.records import Template

_UPLOAD_HEAD = struct.Struct("<III")
_UPLOAD_ENTRY = struct.Struct("<BHBI")
_SAVE = struct.Struct("<IHH")
#: What stands before each user record of an upload, and in its table entries.
_UPLOAD_MARK = 2
#: Table entries name fingers from here on.
_FINGER_BASE = 0x10
_USERS_BYTE = 5
_MAX_UPLOAD = 1 << 24
#: What follows a template that is read by command 88, by the switch.
_TAILS = {"one": b"\1", "zeros": bytes(7), "none": b""}
#: Bytes of a request for an enrolment that has the user id as text.
_ENROL_TEXT = 26
#: The form of the manual of 2006: "user serial number (2Bytes), 3-4 byte … fingerprint serial number".
_ENROL_UID = struct.Struct("<HH")
#: What stands before a template that command 10 brings (TTemplate in the manual of 2006).
_ENTRY = struct.Struct("<HHBB")


@command(Command.GET_USERTEMP)
def read_for_pyzk(request: Request) -> Answer:
    """One template, and what this firmware sends after it."""
    return direct(request, _template(request).data + _TAILS[request.terminal.switches.template_tail])


@command(Command.USERTEMP_RRQ)
def read(request: Request) -> Answer:
    """One template, bare; with the one byte 5, the user table."""
    if len(request.data) < 3:
        if request.data[:1] == bytes((_USERS_BYTE,)):
            return read_users(request)
        raise Refused("neither a finger nor the user table")
    return direct(request, _template(request).data)


@command(Command.PREPARE_DATA)
def begin_upload(request: Request) -> Answer:
    """A buffer is coming; its size is believed when it has come."""
    session = _session(request)
    session.upload.clear()
    return ok()


@command(Command.DATA)
def take_upload(request: Request) -> Answer:
    """A piece of the buffer."""
    session = _session(request)
    if len(session.upload) + len(request.data) > _MAX_UPLOAD:
        raise Refused("more than a terminal's memory")
    session.upload += request.data
    return ok()


@command(Command.CHECKSUM_BUFFER)
def checksum_upload(request: Request) -> Answer:
    """A checksum of the buffer, which clients ask for and do not look at."""
    return ok(wire.buffer_checksum(bytes(_session(request).upload)).to_bytes(4, "little"))


@command(Command.TMP_WRITE)
def write_from_upload(request: Request) -> Answer:
    """The buffer becomes one finger: uid, finger, flag, size."""
    uid, finger, flag, size = struct.unpack_from("<HBBH", need(request.data, 6))
    upload = bytes(_session(request).upload)
    if not 0 < size <= len(upload):
        raise Refused("the buffer holds no template of that size")
    request.terminal.fingers.write(uid, finger, Template(flag, upload[:size]))
    return ok()


@command(Command.SAVE_USERTEMPS)
def save_from_upload(request: Request) -> Answer:
    """The buffer becomes users with their fingers: three lengths, user records, a table, templates."""
    head_size, _zero, entry_size = _SAVE.unpack_from(need(request.data, _SAVE.size))
    if head_size != _UPLOAD_HEAD.size or entry_size != _UPLOAD_ENTRY.size:
        raise Refused("another layout of the buffer")
    upload = bytes(_session(request).upload)
    users_size, table_size, templates_size = _UPLOAD_HEAD.unpack_from(need(upload, head_size))
    need(upload, head_size + users_size + table_size + templates_size)
    table_at = head_size + users_size
    templates = upload[table_at + table_size :]
    for raw in _user_records(upload[head_size:table_at], request.terminal.record):
        request.terminal.users.write(raw)
    for entry in _UPLOAD_ENTRY.iter_unpack(upload[table_at : table_at + table_size]):
        _mark, uid, finger, start = entry
        size = int.from_bytes(need(templates, start + 2)[start : start + 2], "little")
        data = need(templates, start + 2 + size)[start + 2 : start + 2 + size]
        request.terminal.fingers.write(uid, finger - _FINGER_BASE, Template(1, data))
    return ok()


@command(Command.DELETE_USERTEMP)
def delete(request: Request) -> Answer:
    """One finger of a uid; with the uid alone, all. What finger 0 means, a switch says."""
    uid = int.from_bytes(need(request.data, 2)[:2], "little")
    finger = request.data[2] if len(request.data) > 2 else None
    if finger == 0 and request.terminal.switches.delete_finger_zero == "all":
        finger = None
    return _deleted(request, uid, finger)


@command(Command.DEL_USER_TEMP)
def delete_by_user_id(request: Request) -> Answer:
    """One finger of a user id."""
    data = need(request.data, 25)
    uid = request.terminal.users.find(_pin(data[:24]))
    if uid is None:
        raise Refused("no such user")
    return _deleted(request, uid, data[24])


@command(Command.USERTEMP_WRQ)
def write(request: Request) -> Answer:
    """Size, uid, finger, flag, template; the user must exist and the finger be empty (manual of 2006).

    The size is that of the template, or of the whole entry as the table of templates has it: clients send either.
    """
    switches = request.terminal.switches
    if not switches.knows_template_write:
        raise Refused("this firmware writes templates by other commands", switches.unknown_command)
    size, uid, finger, flag = _ENTRY.unpack_from(need(request.data, _ENTRY.size))
    data = request.data[_ENTRY.size :]
    if not data or size not in (len(data), len(request.data)):
        raise Refused("the template has another size")
    if (uid, finger) in request.terminal.fingers.stored:
        raise Refused("this finger is stored")
    request.terminal.fingers.write(uid, finger, Template(flag, data))
    return ok()


@command(Command.TEST_TEMP)
def find_template(request: Request) -> Answer:
    """A template; answered by the two bytes of the uid that holds it (manual of 2006), refused when none does."""
    for (uid, _finger), template in request.terminal.fingers.stored.items():
        if template.data == request.data:
            return ok(uid.to_bytes(2, "little"))
    raise Refused("no user has this finger")


@command(Command.STARTENROLL)
def enrol(request: Request) -> Answer:
    """TFT: user id as text, finger, flag; black-and-white: user id as a number, finger; or uid and finger."""
    uid, finger, flag = _wanted_finger(request)
    if uid is None or uid not in request.terminal.users.stored or not 0 <= finger <= 9:
        raise Refused("no such user or finger")
    stored = (uid, finger) in request.terminal.fingers.stored
    if stored and request.terminal.switches.enrol_existing == "refuse":
        raise Refused("this finger is stored")
    if request.terminal.enrolling:
        raise Refused("another finger is being enrolled")
    # The first event must not overtake the answer, so it starts once that has left.
    return ok(then=lambda: request.host.enrolments.start(request.link, uid, finger, flag))


@command(Command.CANCELCAPTURE)
def cancel(request: Request) -> Answer:
    """No finger is asked for any more."""
    request.host.enrolments.cancel()
    return ok()


@command(Command.STARTVERIFY)
def verify(_request: Request) -> Answer:
    """Fingers are compared again, as they always are here."""
    return ok()


@command(Command.REG_EVENT)
def register(request: Request) -> Answer:
    """A mask of the events wanted on this session; zero for none."""
    _session(request).mask = int.from_bytes(need(request.data, 4)[:4], "little")
    return ok()


def _wanted_finger(request: Request) -> tuple[int | None, int, int]:
    """Uid, finger and flag of a request for an enrolment, in the forms that the switch takes."""
    data, form, find = request.data, request.terminal.switches.enrol_form, request.terminal.users.find
    if form == "first":
        return find(str(int.from_bytes(need(data, 5)[:4], "little"))), data[4], 1
    sent = "text" if len(data) >= _ENROL_TEXT else "uid" if len(data) == _ENROL_UID.size else "number"
    if form not in ("any", sent):
        raise Refused("another form of the request")
    if sent == "text":
        return find(_pin(data[:24])), data[24], data[25]
    if sent == "uid":
        uid, finger = _ENROL_UID.unpack(data)
        return uid, finger, 1
    return find(str(int.from_bytes(need(data, 5)[:4], "little"))), data[4], 1


def _deleted(request: Request, uid: int, finger: int | None) -> Answer:
    if not request.terminal.switches.delete_template_without_effect:
        request.terminal.fingers.delete(uid, finger)
    return ok()


def _template(request: Request) -> Template:
    data = need(request.data, 3)
    template = request.terminal.fingers.stored.get((int.from_bytes(data[:2], "little"), data[2]))
    if template is None:
        raise Refused("no such template")
    return template


def _user_records(part: bytes, record: int) -> list[bytes]:
    step = record + 1
    if len(part) % step or any(part[at] != _UPLOAD_MARK for at in range(0, len(part), step)):
        raise Refused("user records of another size")
    return [part[at + 1 : at + step] for at in range(0, len(part), step)]


def _session(request: Request) -> Session:
    if request.session is None:
        raise Refused("no session")
    return request.session


def _pin(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")
