"""Finds out what answers at an address: a terminal, one that wants its key, or no terminal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from zkbridge.contract.errors import DeviceTimeout, DeviceUnreachable
from zkbridge.terminal.discovery.sweep import Place
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.sizes import parse_sizes
from zkbridge.terminal.report import tables
from zkbridge.terminal.report.line import Ended, Line

#: How a terminal that uses push (ADMS) alone answers CONNECT (fananimi/pyzk#253: MB10-VL, SenseFace 3A).
PUSH_ONLY = 6001
#: Seconds to wait for a bridge that talks to the terminal, and for each answer.
_LOCK_S, _ANSWER_S = 30.0, 5.0
_AT_ONCE = 16
State = Literal["terminal", "key needed", "wrong key", "push only", "refused", "no answer", "busy", "no lock"]


class Found(NamedTuple):
    """What a terminal says of itself; "" and None where it does not say.

    `record` is the size of a user record in bytes.
    """

    host: str
    port: int
    transport: str
    state: State
    serial: str = ""
    model: str = ""
    firmware: str = ""
    users: int | None = None
    users_capacity: int | None = None
    record: int | None = None
    answer: int | None = None


def identify_all(places: list[Place], port: int, *, key: int | None, lock_dir: Path | None) -> list[Found]:
    """Identify what is at each place, several at once. Nothing is changed on a terminal.

    Without a `key` no key is tried: a terminal that wants one says nothing else of itself.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(partial(identify, port=port, key=key, lock_dir=lock_dir), places))


def identify(place: Place, *, port: int, key: int | None, lock_dir: Path | None) -> Found:
    """Identify what is at one place, under the terminal's lock."""
    address = (place.host, port)
    found = Found(*address, place.transport, "no answer")
    try:
        with (
            hold(f"{place.host}:{port}", lock_dir=lock_dir, deadline=Deadline.after(_LOCK_S)),
            Line("discover", address, udp=place.transport == "udp", timeout=_ANSWER_S, keep=lambda _: None) as line,
        ):
            return _greeted(line, found, key)
    except DeviceTimeout:
        return found._replace(state="busy")
    except DeviceUnreachable:
        return found._replace(state="no lock")
    except Ended:
        return found


def _greeted(line: Line, found: Found, key: int | None) -> Found:
    answer = line.ask("connect", Command.CONNECT)
    if answer.code is None:
        return found
    line.session = answer.own[0].session
    try:
        return _told(line, found, answer.code, key)
    finally:
        if not line.over:
            line.ask("exit", Command.EXIT)


def _told(line: Line, found: Found, code: int, key: int | None) -> Found:
    if code == Code.UNAUTH:
        if key is None:
            return found._replace(state="key needed")
        if line.ask("auth", Command.AUTH, wire.scramble_key(key, line.session), secret=True).code != Code.OK:
            return found._replace(state="wrong key")
    elif code != Code.OK:
        return found._replace(state="push only" if code == PUSH_ONLY else "refused", answer=code)
    sizes = line.ask("sizes", Command.GET_FREE_SIZES).data
    counted = parse_sizes(sizes)
    return found._replace(
        state="terminal",
        serial=_option(line, "~SerialNumber"),
        model=_option(line, "~DeviceName"),
        firmware=_text(line.ask("version", Command.GET_VERSION).data),
        users=counted.users,
        users_capacity=counted.users_capacity,
        record=_record(line, counted.users),
    )


def _option(line: Line, name: str) -> str:
    answer = line.ask("option", Command.OPTIONS_RRQ, name.encode() + b"\0")
    told = _text(answer.data) if answer.code == Code.OK else ""
    return told.partition("=")[2] if "=" in told else told


def _record(line: Line, users: int | None) -> int | None:
    """The bytes of a user record, by the length of the table that the terminal prepares and its count of users."""
    if not users:
        return None
    answer = line.ask("table", Command.PREPARE_BUFFER, tables.USERS.request)
    if answer.code == Command.DATA:
        return tables.user_record(tables.announced(answer.data) or 0, users)
    if answer.code != Code.OK:
        return None
    line.ask("free", Command.FREE_DATA)
    total = tables.announced(answer.data[1:]) or 0
    return tables.user_record(total - tables.LENGTH_BYTES, users)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
