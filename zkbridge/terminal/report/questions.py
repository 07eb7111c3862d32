"""What only hardware can tell, and what a report says to it. docs/open-questions.md has every question.

A question's name is the one that it has on that page.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable
from statistics import median

from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.report import contents, findings, tables
from zkbridge.terminal.report.recording import Exchange, Recording

#: What 119 answers to the trial's template by the formula of zk-protocol's pull request 9.
EXPECTED_SUM = 0xC45B64
_SHOWN = 8


def answered(recording: Recording) -> dict[str, str]:
    """The questions that this report answers, each with its answer in a few words."""
    found = {name: ask(recording) for name, ask in QUESTIONS.items()}
    return {name: answer for name, answer in found.items() if answer is not None}


def _switch(name: str, *values: tuple[object, str]) -> Callable[[Recording], str | None]:
    """A question that a finding answers; `values` say what its values mean."""

    def ask(recording: Recording) -> str | None:
        value = findings.findings(recording)["switches"].get(name)
        return None if value is None else dict(values).get(value, str(value))

    return ask


def _code(step: str, line: str | None = None) -> Callable[[Recording], str | None]:
    """A question that the number of an answer answers."""

    def ask(recording: Recording) -> str | None:
        exchange = recording.find(step, line)
        if exchange is None or exchange.ask is None:
            return None
        return f"answered {_named(exchange.code)}" if exchange.code is not None else f"no answer ({exchange.end})"

    return ask


def _named(code: int | None) -> str:
    names = {2000: "2000 (yes)", 2001: "2001 (no)", 1500: "1500 (data)", 1501: "1501 (data at once)"}
    return names.get(code or 0, str(code))


def _lacking(recording: Recording) -> str | None:
    switches = findings.findings(recording)["switches"]
    return None if "unknown_command" not in switches else switches.get("lacks", "none of those that were asked")


def _template_sizes(recording: Recording) -> str | None:
    table = contents.table_of(recording, tables.TEMPLATES)
    sizes = tables.template_sizes(table)
    return f"{min(sizes)} to {max(sizes)} bytes" if sizes else None


def _states(recording: Recording) -> str | None:
    layout = contents.punch_layout(recording)
    place = {"8": 7, "8b": 3, "16": 9, "40": 31, "49": 31}.get(layout or "")
    if place is None:
        return None
    counted = Counter(row[place] for row in _rows(recording, tables.PUNCHES, int((layout or "").rstrip("b"))))
    return "states in the log: " + _most(counted) if counted else None


def _operations(recording: Recording) -> str | None:
    counted = Counter(row[2] for row in _rows(recording, tables.OPERATIONS, 16))
    return "operations in the log: " + _most(counted) if counted else None


def _most(counted: Counter[int]) -> str:
    shown = ", ".join(f"{value} ({times} times)" for value, times in counted.most_common(_SHOWN))
    return shown + (", …" if len(counted) > _SHOWN else "")


def _rows(recording: Recording, table: tables.Table, size: int) -> Iterable[bytes]:
    raw = contents.table_of(recording, table)
    if not size or (tables.announced(raw) or 0) != size * (contents.count_of(recording, table) or 0):
        return []
    return [raw[at : at + size] for at in range(4, len(raw) - size + 1, size)]


def _last_word(recording: Recording) -> str | None:
    words = [
        struct.unpack_from("<I", each.data, 9)[0]
        for each in recording.exchanges
        if each.asks(Command.PREPARE_BUFFER) and each.code == Code.OK and len(each.data) >= 13
    ]
    if not words:
        return None
    return f"always {words[0]}" if len(set(words)) == 1 else f"it changes: {', '.join(map(str, words[:_SHOWN]))}"


def _frame_sizes(recording: Recording) -> str | None:
    found = []
    for each in _pieces(recording):
        data = [packet.length for packet in each.own if packet.command == Command.DATA]
        hint = int.from_bytes(each.own[0].data[4:8], "little")
        found.append(f"{each.line}: {len(data)} frames of at most {max(data, default=0)} bytes, {hint} announced")
    return "; ".join(dict.fromkeys(found)) or None


def _tail(recording: Recording) -> str | None:
    padded, bare = recording.find("template by 88"), recording.find("template by 9")
    if padded is None or bare is None or not bare.data or not padded.data.startswith(bare.data):
        return None
    return padded.data[len(bare.data) :].hex(" ") or "nothing"


def _pieces(recording: Recording) -> list[Exchange]:
    return [
        each
        for each in recording.exchanges
        if each.code == Command.PREPARE_DATA and len(each.own[0].data) >= 8 and not each.end
    ]


def _rate(recording: Recording) -> str | None:
    largest = max(_pieces(recording), key=lambda each: sum(size for _when, size in each.arrived), default=None)
    if largest is None or len(largest.arrived) < 2:
        return None
    size, last = sum(size for _when, size in largest.arrived), largest.arrived[-1][0]
    return f"{size} bytes in {last:.0f} ms"


def _latency(recording: Recording) -> str | None:
    times = [each.arrived[0][0] for each in recording.exchanges if each.arrived and not each.end]
    return f"{median(times):.0f} ms in the middle, {max(times):.0f} ms at most" if times else None


def _disable(recording: Recording) -> str | None:
    disabled, before, after = (
        recording.find(step) for step in ("disable for a time", "state while disabled", "state after its time")
    )
    if disabled is None or before is None or after is None:
        return None
    states = [each.own[0].session if each.own else "none" for each in (before, after)]
    return f"answered {_named(disabled.code)}; state {states[0]} while disabled, {states[1]} after the time"


def _sum(recording: Recording) -> str | None:
    exchange = recording.find("sum of template")
    if exchange is None or exchange.code != Code.OK or len(exchange.data) < 4:
        return None
    return "as the formula says" if int.from_bytes(exchange.data[:4], "little") == EXPECTED_SUM else "another sum"


#: By the name on the page.
QUESTIONS: dict[str, Callable[[Recording], str | None]] = {
    "checksum-of-requests": _switch("check_checksum", (True, "checked: no answer"), (False, "not looked at")),
    "session-of-requests": _switch("check_session", (True, "checked"), (False, "not looked at")),
    "before-connect": _code("clock before connect"),
    "second-connection": _switch("second_connection"),
    "several-requests": _switch("several_requests"),
    "unknown-command": _switch("unknown_command"),
    "unknown-option": _switch("unknown_option"),
    "commands-it-lacks": _lacking,
    "access-commands": _switch("access_control", (True, "known"), (False, "not known")),
    "state-of-the-door": _switch("door_state"),
    "width-of-user-ids": _switch("user_id_width"),
    "direct-read": _code("direct users"),
    "frame-sizes": _frame_sizes,
    "session-field-of-data": _switch("session_field_of_data"),
    "last-word-of-1503": _last_word,
    "session-field-of-the-ack": _switch("session_field_of_closing_ack"),
    "bytes-after-a-template": _tail,
    "templates-by-9": _code("templates by 9 and 2"),
    "template-sizes": _template_sizes,
    "states-of-punches": _states,
    "operation-numbers": _operations,
    "speed-of-bulk-reads": _rate,
    "latency": _latency,
    "timed-disable": _disable,
    "unit-of-unlock": _switch(
        "unlock_unit", ("tenths", "tenths of a second (door.unit: tenths)"), ("seconds", "seconds (door.unit: seconds)")
    ),
    "delete-of-nobody": _code("delete user again"),
    "flag-of-23": _switch(
        "user_zones_flag", ("group", "1: the zones of the group count"), ("own", "1: the user has zones of their own")
    ),
    "sum-of-119": _sum,
    "finger-zero": _switch("delete_finger_zero"),
}
