"""Write and delete users and their ways to verify; clear tables.

Sources: zk-protocol data-user.md and data.md; pyzk 0.9; fananimi/pyzk issue 128; [?] where a switch decides.
"""

from __future__ import annotations

import struct

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.network.exchange import Answer
from zkbridge.simulator.requests.table import Request, command, need, ok
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import Command

_VERIFY_BYTES = 24
_CLEARED_BY = {
    1: ("attendance",),
    2: ("templates",),
    3: (),
    4: ("operations",),
    5: ("users", "templates"),
}
_EVERYTHING = ("users", "templates", "attendance", "operations")


@command(Command.USER_WRQ)
def write(request: Request) -> Answer:
    """A record of this firmware's size, new or changed by its uid."""
    if request.terminal.switches.record_tail:
        raise Refused("the layout of its records is not known")
    request.terminal.users.write(request.data)
    return ok()


@command(Command.DELETE_USER)
def delete(request: Request) -> Answer:
    """By uid, which is read from the first two bytes: zkteco-js sends 72."""
    request.terminal.users.delete(_uid(request))
    return ok()


@command(Command.CLEAR_ADMIN)
def clear_administrators(request: Request) -> Answer:
    """Makes every user an ordinary one."""
    request.terminal.users.clear_administrators()
    return ok()


@command(Command.CLEAR_DATA)
def clear_data(request: Request) -> Answer:
    """Everything, or the one table that a byte names."""
    tables = _CLEARED_BY.get(request.data[0]) if request.data else _EVERYTHING
    if tables is None:
        raise Refused("no table has this number")
    request.terminal.clear(*tables)
    return ok()


@command(Command.CLEAR_ATTLOG)
def clear_attendance(request: Request) -> Answer:
    """The attendance log."""
    request.terminal.clear("attendance")
    return ok()


@command(Command.CLEAR_OPLOG)
def clear_operations(request: Request) -> Answer:
    """The operation log."""
    request.terminal.clear("operations")
    return ok()


@command(Command.VERIFY_WRQ)
def write_verify_mode(request: Request) -> Answer:
    """24 bytes: uid, mode, zeros."""
    uid = records.user_uid(user_record(request))
    request.terminal.users.verify_modes[uid] = need(request.data, 3)[2]
    return ok()


@command(Command.VERIFY_RRQ)
def read_verify_mode(request: Request) -> Answer:
    """The same 24 bytes; mode 0 follows the group."""
    uid = records.user_uid(user_record(request))
    mode = request.terminal.users.verify_modes.get(uid, 0)
    return ok(struct.pack("<HB", uid, mode).ljust(_VERIFY_BYTES, b"\0"))


def _uid(request: Request) -> int:
    return int.from_bytes(need(request.data, 2)[:2], "little")


def user_record(request: Request) -> bytes:
    """The record of the user whose uid a request begins with. Raises Refused when there is none."""
    raw = request.terminal.users.stored.get(_uid(request))
    if raw is None:
        raise Refused("no such user")
    return raw
