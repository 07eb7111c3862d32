"""The device itself: options, sizes, time, version, display, voice, door.

Sources: zk-protocol terminal.md, other.md and access.md; pyzk 0.9 and master; fananimi/pyzk issues 54, 111.
"""

from __future__ import annotations

import struct

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.network.exchange import Answer
from zkbridge.simulator.requests.table import Request, code, command, need, ok
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire.codes import VOICES, Command

_SIZES = struct.Struct("<23i")
_STATE_WAITING, _STATE_ENROLLING, _STATE_BUSY = 0, 1, 4


@command(Command.OPTIONS_RRQ)
def read_option(request: Request) -> Answer:
    """`name` with or without NUL; answered `name=value` NUL."""
    name = _text(request.data)
    value = request.terminal.option(name)
    if value is None:
        return code(request.terminal.switches.unknown_option)
    return ok(f"{name}={value}".encode() + b"\0")


@command(Command.OPTIONS_WRQ)
def write_option(request: Request) -> Answer:
    """`name=value` with or without NUL; names that were unknown are kept too, as SDKBuild is."""
    name, equals, value = _text(request.data).partition("=")
    if not equals or not name:
        raise Refused("an option is written as name=value")
    request.terminal.set_option(name, value)
    return ok()


@command(Command.GET_FREE_SIZES)
def sizes(request: Request) -> Answer:
    """23 words: counts, capacities and what is free; old firmware ends before the three of faces."""
    terminal = request.terminal
    switches = terminal.switches
    views = terminal.users.stored.values()
    users, fingers, punches = len(terminal.users.stored), len(terminal.fingers.stored), len(terminal.logs.attendance)
    words = [0] * 23
    words[4] = users + switches.count_offset
    words[6] = fingers
    words[8] = punches
    words[10] = len(terminal.logs.operations)
    words[12] = sum(raw[2] & 0x0E != 0 for raw in views)
    words[13] = sum(raw[3] != 0 for raw in views)
    words[14:17] = switches.finger_capacity, switches.user_capacity, switches.record_capacity
    words[17] = switches.finger_capacity - fingers
    words[18] = switches.user_capacity - users
    words[19] = switches.record_capacity - punches
    words[20], words[22] = switches.faces, switches.face_capacity
    for index, value in switches.sizes_words.items():
        words[int(index)] = int(value)
    return ok(_SIZES.pack(*words)[: switches.sizes_length].ljust(switches.sizes_length, b"\0"))


@command(Command.GET_TIME)
def read_time(request: Request) -> Answer:
    """The wall clock in one word."""
    return ok(wire.encode_time(request.terminal.clock.now()).to_bytes(4, "little"))


@command(Command.SET_TIME)
def set_time(request: Request) -> Answer:
    """One word; zkteco-js sends 32 bytes, the word first."""
    value = int.from_bytes(need(request.data, 4)[:4], "little")
    try:
        when = wire.decode_time(value)
    except ValueError as error:
        raise Refused("no day of the calendar") from error
    request.terminal.set_clock(when)
    return ok()


@command(Command.GET_VERSION)
def version(request: Request) -> Answer:
    """The firmware's name of itself."""
    return ok(request.terminal.profile.firmware.encode() + b"\0")


@command(Command.GET_PINWIDTH)
def pin_width(request: Request) -> Answer:
    """One byte; some firmware sends none, or a zero."""
    switches = request.terminal.switches
    replies = {"normal": bytes((switches.user_id_width,)), "empty": b"", "zero": b"\0"}
    return ok(replies[switches.pin_width_reply])


@command(Command.STATE_RRQ)
def state(request: Request) -> Answer:
    """The state stands where the session id usually is."""
    terminal = request.terminal
    if terminal.enrolling:
        return ok(session=_STATE_ENROLLING)
    return ok(session=_STATE_BUSY if terminal.disabled else _STATE_WAITING)


@command(Command.REFRESHDATA)
def refresh(request: Request) -> Answer:
    """Sent by every client after a write."""
    if request.terminal.switches.refuse_refresh:
        raise Refused("refresh refused")
    return ok()


@command(Command.REFRESHOPTION, Command.ENABLE_CLOCK)
def acknowledge(_request: Request) -> Answer:
    """Nothing that a client could see comes of it."""
    return ok()


@command(Command.TESTVOICE)
def voice(request: Request) -> Answer:
    """Speak a sentence; an index without one is refused."""
    index = int.from_bytes(request.data[:4], "little")
    if index not in VOICES:
        raise Refused(f"no sentence has number {index}")
    request.terminal.front.say(VOICES[index])
    return ok()


@command(Command.WRITE_LCD)
def write_lcd(request: Request) -> Answer:
    """Line number, zero, a blank and the text."""
    data = need(request.data, 3)
    line = int.from_bytes(data[:2], "little", signed=True)
    request.terminal.front.lcd[line] = data[3:].split(b"\0")[0].decode(errors="replace").strip()
    return ok()


@command(Command.CLEAR_LCD)
def clear_lcd(request: Request) -> Answer:
    """Back to the terminal's own display."""
    request.terminal.front.lcd.clear()
    return ok()


@command(Command.UNLOCK)
def unlock(request: Request) -> Answer:
    """Release the door for a time."""
    amount = int.from_bytes(need(request.data, 4)[:4], "little")
    tenths = request.terminal.switches.unlock_unit == "tenths"
    request.terminal.front.open_door(amount / 10 if tenths else float(amount))
    return ok()


@command(Command.DOORSTATE_RRQ)
def door_state(request: Request) -> Answer:
    """One byte, 1 while the door is open."""
    replies = {"byte": bytes((request.terminal.front.door_open,)), "none": b"", "2": b"\2"}
    return ok(replies[request.terminal.switches.door_state])


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")
