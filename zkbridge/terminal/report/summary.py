"""A report in sentences, for whoever takes it and for whoever reads the file. Made of the redacted recording."""

from __future__ import annotations

from collections.abc import Iterator

from zkbridge.terminal.protocol.sizes import parse_sizes
from zkbridge.terminal.report import contents, questions, tables
from zkbridge.terminal.report.recording import Recording

_WIDTH = 24


def summary(recording: Recording, version: str) -> list[str]:
    """The lines; `version` is the program's."""
    return [
        f"zkbridge {version}: report of a terminal, {recording.day}",
        *(f"{name:{_WIDTH}}{value}" for name, value in _facts(recording) if value),
        "",
        "What only hardware can tell (docs/open-questions.md):",
        *(f"  {name:{_WIDTH}}{answer}" for name, answer in questions.answered(recording).items()),
    ]


def _facts(recording: Recording) -> Iterator[tuple[str, str]]:
    yield "model", _option(recording, "~DeviceName")
    yield "platform", _option(recording, "~Platform")
    version = recording.find("version")
    yield "firmware", "" if version is None else _text(version.data)
    for line in ("tcp", "udp"):
        yield line, _reached(recording, line)
    sizes = recording.find("sizes")
    counted = parse_sizes(b"" if sizes is None else sizes.data)
    yield "users", _of(counted.users, counted.users_capacity)
    yield "fingers", _of(counted.fingers, counted.fingers_capacity)
    yield "punches", _of(counted.records, counted.records_capacity)
    record = contents.record_of(recording)
    yield "user record", f"{record} bytes" if record else "not known: size x count is not the length"
    yield "punch record", _layout(recording)
    if recording.clock_offset_s is not None:
        yield "clock", f"{recording.clock_offset_s:+d} s against this machine"
    if recording.wrote:
        yield "trial", "a user, a finger, DISABLE and UNLOCK were tried, and undone"


def _reached(recording: Recording, line: str) -> str:
    found = recording.find("connect", line)
    if found is None:
        opened = recording.find("open", line)
        return "" if opened is None else f"no connection ({opened.end})"
    if found.code is None:
        return f"no answer ({found.end})"
    asked = len(recording.on(line))
    silent = sum(each.code is None for each in recording.on(line))
    return f"CONNECT answered {found.code}; {asked} requests" + (
        f", {silent} of them without an answer" if silent else ""
    )


def _layout(recording: Recording) -> str:
    layout = contents.punch_layout(recording)
    if layout is not None:
        return f"{layout} bytes"
    return "not known" if contents.count_of(recording, tables.PUNCHES) else "none yet"


def _of(count: int | None, capacity: int | None) -> str:
    if count is None:
        return ""
    return f"{count} of {capacity}" if capacity else str(count)


def _option(recording: Recording, name: str) -> str:
    found = recording.find(f"option {name}")
    return "" if found is None else _text(found.data).partition("=")[2]


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
