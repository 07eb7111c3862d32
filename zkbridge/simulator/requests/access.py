"""Time zones, groups, and unlock combinations: commands 21 to 30.

Source: adrobinoga/zk-protocol, access.md (F19, TFT firmware); a capture of ZKAccess and a ZEM760 for command 22. The
manual of 2006 has other layouts for black-and-white terminals, too vague to answer by.
"""

from __future__ import annotations

import struct

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.network.exchange import Answer
from zkbridge.simulator.requests.table import Request, command, need, ok
from zkbridge.simulator.requests.users import user_record
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import Command

#: The last two bytes of a time zone as it is read, in the document and in its capture.
_ZONE_TAIL = bytes.fromhex("a71c")
_ZONE_BYTES, _GROUP_BYTES = 32, 8
_USER_ZONES = struct.Struct("<5I")


@command(Command.USERGRP_RRQ)
def read_group_of_user(request: Request) -> Answer:
    """One byte: the user's group."""
    return ok(bytes((records.view_user(user_record(request), "utf-8").group,)))


@command(Command.USERGRP_WRQ)
def write_group_of_user(request: Request) -> Answer:
    """Four bytes of uid and one of group: `d2040000 02` in the capture."""
    raw = user_record(request)
    request.terminal.users.write(records.with_group(raw, need(request.data, 5)[4]))
    return ok()


@command(Command.USERTZ_RRQ)
def read_zones_of_user(request: Request) -> Answer:
    """Whether the user follows the group (1) or has zones of their own (0), or the opposite; and three zones."""
    own, *zones = records.user_zones(_long_record(request))
    return ok(struct.pack("<4H", bool(own) is (request.terminal.switches.user_zones_flag == "own"), *zones))


@command(Command.USERTZ_WRQ)
def write_zones_of_user(request: Request) -> Answer:
    """Five words: uid, whether the zones are the user's own, three zones."""
    raw = _long_record(request)
    _uid, own, *zones = _USER_ZONES.unpack_from(need(request.data, _USER_ZONES.size))
    request.terminal.users.write(records.with_user_zones(raw, bool(own), [zone & 0xFFFF for zone in zones]))
    return ok()


@command(Command.GRPTZ_RRQ)
def read_group(request: Request) -> Answer:
    """One byte of number and seven zeros; answered by the number, three zones, and the way to verify."""
    return _read_row(request, "group")


@command(Command.GRPTZ_WRQ)
def write_group(request: Request) -> Answer:
    """The same eight bytes."""
    return _write_row(request, "group")


@command(Command.TZ_RRQ)
def read_zone(request: Request) -> Answer:
    """A word of number; answered by two bytes of it, seven days from Sunday, and two fixed bytes."""
    _need_access(request)
    number = int.from_bytes(need(request.data, 4)[:4], "little")
    return ok(struct.pack("<H", number & 0xFFFF) + request.terminal.access.read("zone", number) + _ZONE_TAIL)


@command(Command.TZ_WRQ)
def write_zone(request: Request) -> Answer:
    """A word of number, and seven days from Sunday: start hour and minute, end hour and minute."""
    _need_access(request)
    data = need(request.data, _ZONE_BYTES)
    request.terminal.access.write("zone", int.from_bytes(data[:4], "little"), data[4:_ZONE_BYTES])
    return ok()


@command(Command.ULG_RRQ)
def read_combination(request: Request) -> Answer:
    """One byte of number and seven zeros; answered by the number, five groups, and how many of them count."""
    return _read_row(request, "combination")


@command(Command.ULG_WRQ)
def write_combination(request: Request) -> Answer:
    """The same eight bytes."""
    return _write_row(request, "combination")


def _read_row(request: Request, kind: str) -> Answer:
    """A table whose rows have one byte of number and seven of contents."""
    _need_access(request)
    number = need(request.data, 1)[0]
    return ok(bytes((number,)) + request.terminal.access.read(kind, number))


def _write_row(request: Request, kind: str) -> Answer:
    """A row of such a table."""
    _need_access(request)
    data = need(request.data, _GROUP_BYTES)
    request.terminal.access.write(kind, data[0], data[1:_GROUP_BYTES])
    return ok()


def _need_access(request: Request) -> None:
    switches = request.terminal.switches
    if not switches.access_control:
        raise Refused("this firmware has no access control", switches.unknown_command)


def _long_record(request: Request) -> bytes:
    """The user's record where it has room for zones."""
    _need_access(request)
    raw = user_record(request)
    if len(raw) != records.LONG_RECORD:
        raise Refused("records of this size have no zones")
    return raw
