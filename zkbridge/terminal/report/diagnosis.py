"""What is right and what is wrong with a configured terminal, by a recording of what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceAuthFailed
from zkbridge.contract.texts import shown
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol.codes import Code
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.sizes import parse_sizes
from zkbridge.terminal.records.users import decode
from zkbridge.terminal.report import contents, findings, tables
from zkbridge.terminal.report.probe import Probe
from zkbridge.terminal.report.recording import Recording

#: How CONNECT is answered by terminals that speak push (ADMS) only (fananimi/pyzk#253).
_PUSH_ONLY = 6001
#: Seconds to wait for a bridge that talks to the terminal.
_LOCK_S = 60.0
#: Seconds that a clock may be off, and milliseconds that an answer may take, before it is worth a look.
_DRIFT_S, _SLOW_MS = 60, 500
#: What names may be written in where they are not UTF-8; each has letters for other languages.
_ENCODINGS = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "gbk", "big5", "cp874")
_SUGGESTED = 3
#: What a command of the terminal is needed for, by its name in the findings.
_NEEDED_FOR = {
    "DOORSTATE_RRQ": "door/state",
    "GET_USERTEMP": "users/fingers",
    "PREPARE_BUFFER": "lists of more than a few users",
    "TMP_WRITE": "users/enroll-finger",
}
_ODD = "docs/terminals.md"
Verdict = Literal["ok", "look", "FAILED"]


class Diagnosis(NamedTuple):
    """One thing that was looked at. `page` is the page that helps, "" where nothing is wrong."""

    what: str
    verdict: Verdict
    detail: str
    page: str = ""


def diagnose(device: Device, *, lock_dir: Path | None, tell: Callable[[str], object]) -> list[Diagnosis]:
    """Ask the terminal under its lock, without changing it. Raises DeviceTimeout and DeviceUnreachable of the lock."""
    probe = Probe(device, key=lambda: device.comm_key, tell=tell)
    other = "udp" if device.transport == "tcp" else "tcp"
    key_is_wrong = False
    with hold(f"{device.host}:{device.port}", lock_dir=lock_dir, deadline=Deadline.after(_LOCK_S)):
        try:
            probe.converse(device.transport)
        except DeviceAuthFailed:
            key_is_wrong = True
        probe.knock(other)
    recording = probe.recording()
    found = [_reached(recording, device), *_other_transport(recording, device, other)]
    if key_is_wrong:
        return [
            *found,
            Diagnosis("key", "FAILED", "the terminal refuses the Comm Key", f"{_ODD}#the-comm-key"),
        ]
    if device.transport in probe.seen.lines:
        parts = (_key, _serial, _record_size, _room, _encoding, _clock, _round_trip, _refused)
        found += [each for part in parts for each in part(recording, device)]
    return found


def _reached(recording: Recording, device: Device) -> Diagnosis:
    where = f"{device.host}:{device.port}/{device.transport}"
    answer = recording.find("connect", device.transport)
    if answer is None:
        opened = recording.find("open", device.transport)
        why = "no connection" if opened is None else opened.end
        return Diagnosis("port", "FAILED", f"{where}: {why}", f"{_ODD}#nothing-answers")
    if answer.code is None:
        return Diagnosis("port", "FAILED", f"{where}: no answer to CONNECT ({answer.end})", f"{_ODD}#nothing-answers")
    if answer.code == _PUSH_ONLY:
        detail = f"{where}: answers CONNECT with {_PUSH_ONLY}: it uses push (ADMS) only"
        return Diagnosis("port", "FAILED", detail, f"{_ODD}#models-that-only-speak-adms")
    if answer.code not in (Code.OK, Code.UNAUTH):
        return Diagnosis("port", "FAILED", f"{where}: answers CONNECT with {answer.code}", f"{_ODD}#nothing-answers")
    return Diagnosis("port", "ok", f"{where} answers")


def _other_transport(recording: Recording, device: Device, other: str) -> Iterator[Diagnosis]:
    answers = other in contents.transports(recording)
    if answers and device.transport not in contents.transports(recording):
        detail = f"answers over {other} alone: set transport: {other}"
        yield Diagnosis("transport", "FAILED", detail, f"{_ODD}#nothing-answers")
    elif answers and device.transport == "udp":
        yield Diagnosis(
            "transport", "look", "answers over TCP too, which loses nothing", "docs/configuration.md#devices"
        )


def _key(recording: Recording, device: Device) -> Iterator[Diagnosis]:
    asked = recording.find("auth", device.transport) is not None
    if not asked and device.comm_key:
        yield Diagnosis(
            "key", "look", "the terminal asks for no Comm Key, the configuration has one", "docs/security.md"
        )
    else:
        yield Diagnosis("key", "ok", "taken" if asked else "none is asked for")


def _serial(recording: Recording, device: Device) -> Iterator[Diagnosis]:
    answer = recording.find("option ~SerialNumber", device.transport)
    found = "" if answer is None or answer.code != Code.OK else _value(answer.data)
    if device.serial is not None and found != device.serial:
        detail = f"{shown(found) or 'none is told'}, but serial: {device.serial} is configured"
        yield Diagnosis("serial", "FAILED", detail, "docs/errors.md#wrong_device")
    elif found:
        yield Diagnosis("serial", "ok", shown(found))


def _value(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace").rpartition("=")[2].strip()


def _record_size(recording: Recording, device: Device) -> Iterator[Diagnosis]:
    size, users = contents.record_of(recording), contents.count_of(recording, tables.USERS)
    page = f"{_ODD}#lists-are-empty-or-strange"
    if size is None:
        verdict: Verdict = "look" if users else "ok"
        detail = (
            "the table's length is no multiple of the count of users" if users else "not known before the first user"
        )
        yield Diagnosis("record size", verdict, detail, page * (verdict != "ok"))
    elif device.record not in ("auto", size):
        yield Diagnosis("record size", "FAILED", f"{size} bytes, but record: {device.record} is configured", page)
    else:
        yield Diagnosis("record size", "ok", f"{size} bytes")


def _room(recording: Recording, _device: Device) -> Iterator[Diagnosis]:
    sizes = recording.find("sizes")
    counted = parse_sizes(b"" if sizes is None else sizes.data)
    if counted.users is None:
        yield Diagnosis(
            "room", "look", "the terminal does not report how many users it has", f"{_ODD}#lists-are-empty-or-strange"
        )
    elif counted.is_full():
        yield Diagnosis("room", "look", f"full with {counted.users} users", "docs/errors.md#device_full")
    else:
        yield Diagnosis("room", "ok", f"{counted.users} of {counted.users_capacity or '?'} users")


def _encoding(recording: Recording, device: Device) -> Iterator[Diagnosis]:
    names = [name for name in _names(recording) if not name.isascii()]
    if not names:
        yield Diagnosis("encoding", "ok", "every name is plain ASCII, so any encoding fits")
    elif all(_is_name(name, device.encoding) for name in names):
        yield Diagnosis("encoding", "ok", f"names read well in {device.encoding}: {_sample(names, device.encoding)}")
    else:
        better = [each for each in ("utf-8", *_ENCODINGS) if all(_is_name(name, each) for name in names)]
        told = "; ".join(f"{each}: {_sample(names, each)}" for each in better[:_SUGGESTED])
        detail = f"names do not read as {device.encoding}" + (f". Which is right? {told}" if told else "")
        yield Diagnosis("encoding", "look", detail, f"{_ODD}#names-look-wrong")


def _names(recording: Recording) -> Iterator[bytes]:
    """The names in the table as bytes: latin-1 is the encoding that reads every byte as itself."""
    size, table = contents.record_of(recording), contents.table_of(recording, tables.USERS)
    if size:
        for at in range(tables.LENGTH_BYTES, len(table) - size + 1, size):
            yield decode(table[at : at + size], encoding="latin-1").name.encode("latin-1")


def _is_name(name: bytes, encoding: str) -> bool:
    """Whether the bytes read as letters and what stands between them."""
    try:
        text = name.decode(encoding)
    except UnicodeError:
        return False
    return all(sign.isalpha() or sign.isdigit() or sign in " .,-'()/·" for sign in text)


def _sample(names: list[bytes], encoding: str) -> str:
    return repr(shown(names[0].decode(encoding)))


def _clock(recording: Recording, device: Device) -> Iterator[Diagnosis]:
    if recording.clock_offset_s is None:
        yield Diagnosis("clock", "look", "the terminal shows no date", "docs/contract.md#9-the-other-commands")
        return
    off = recording.clock_offset_s
    if device.timezone is not None:
        here = datetime.now().astimezone()
        there = here.astimezone(ZoneInfo(device.timezone))
        off += round(((here.utcoffset() or there - there) - (there.utcoffset() or there - there)).total_seconds())
    zone = device.timezone or "this machine's time zone"
    if abs(off) <= _DRIFT_S:
        yield Diagnosis("clock", "ok", f"{off:+d} s, to within a second, against {zone}")
    else:
        detail = f"{off:+d} s, to within a second, against {zone}: zkbridge time sync, or timezone in the configuration"
        yield Diagnosis("clock", "look", detail, "docs/contract.md#9-the-other-commands")


def _round_trip(recording: Recording, device: Device) -> Iterator[Diagnosis]:
    simple = [each.arrived[0][0] for each in recording.on(device.transport) if each.arrived and len(each.own) == 1]
    if not simple:
        return
    slow = median(simple) > _SLOW_MS
    detail = f"{median(simple):.1f} ms, the longest {max(simple):.0f} ms of {len(simple)} answers"
    yield Diagnosis("round trip", "look" if slow else "ok", detail, f"{_ODD}#nothing-answers" * slow)


def _refused(recording: Recording, device: Device) -> Iterator[Diagnosis]:
    silent = [each for each in recording.on(device.transport) if each.ask is not None and each.code is None]
    if silent:
        steps = ", ".join(dict.fromkeys(each.step for each in silent))
        detail = f"no answer to {len(silent)} requests: {shown(steps, 200)}"
        yield Diagnosis("silence", "look", detail, f"{_ODD}#nothing-answers")
    lacks = str(findings.findings(recording)["switches"].get("lacks", "")).split(",")
    needed = [f"{name} ({_NEEDED_FOR[name]})" for name in lacks if name in _NEEDED_FOR]
    if needed:
        yield Diagnosis("refused", "look", f"does not know {', '.join(needed)}", "docs/errors.md#unsupported")
    else:
        yield Diagnosis("refused", "ok", "nothing that the bridge needs")
