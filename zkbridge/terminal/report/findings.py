"""What a recording shows of a terminal, in the words of the simulator's switches.

Each finding is derived from frames alone, so that a later version can derive it again from an old report.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from zkbridge.terminal.protocol.codes import Code, Command
from zkbridge.terminal.report import tables
from zkbridge.terminal.report.commands import Switches, known_commands
from zkbridge.terminal.report.contents import count_of, punch_layout, record_of, table_of, transports
from zkbridge.terminal.report.deliveries import delivery
from zkbridge.terminal.report.recording import Exchange, Recording

_SIZES_WORDS = 23
_INLINE_DEFAULT = 1024
#: The state of a disabled terminal, and how many looks at the door, four a second, mean that ten seconds passed.
_BUSY, _LOOKS_OF_SECONDS = 4, 20


def findings(recording: Recording) -> Switches:
    """`record` (bytes of a user record, None if not known) and `switches`, by the names of the simulator."""
    tables_and_users = (_sizes, _tables, delivery, _templates, _by_nine)
    switches: Switches = {}
    for part in (_connecting, known_commands, *tables_and_users, _side_questions, _trial):
        switches |= part(recording)
    return {"record": record_of(recording), "switches": switches}


def _connecting(recording: Recording) -> Switches:
    reached = transports(recording)
    if not reached:
        return {}
    switches: Switches = {"transport": "both" if len(reached) == 2 else reached[0]}
    code = next((each.code for each in recording.exchanges if each.step == "connect" and each.code is not None), None)
    if code == Code.UNAUTH:
        switches["auth_always"] = True
    elif code != Code.OK:
        switches["connect_code"] = code
    return switches


def _sizes(recording: Recording) -> Switches:
    """Capacities, and every word that is not what the tables and capacities make it."""
    sizes = recording.find("sizes")
    if sizes is None or sizes.code != Code.OK:
        return {}
    length = len(sizes.data)
    words = list(struct.unpack_from(f"<{length // 4}i", sizes.data))[:_SIZES_WORDS]
    switches: Switches = {"sizes_length": length}
    if length < 80:
        return switches | _odd_words(words, {})
    fingers, users, punches = words[14:17]
    switches |= {"finger_capacity": fingers, "user_capacity": users, "record_capacity": punches}
    expected = _counted(recording) | _people(recording)
    expected |= {14: fingers, 15: users, 16: punches}
    expected |= {17: fingers - expected[6], 18: users - expected[4], 19: punches - expected[8]}
    return switches | _odd_words(words, expected)


def _counted(recording: Recording) -> dict[int, int]:
    """How many records the simulator has of each table that the report lets it read."""
    known = {
        tables.USERS: record_of(recording) is not None,
        tables.TEMPLATES: True,
        tables.PUNCHES: punch_layout(recording) is not None,
        tables.OPERATIONS: _has_size(recording, tables.OPERATIONS, 16),
    }
    counts = {table.counted_by: (count_of(recording, table) or 0) if known[table] else 0 for table in tables.TABLES}
    templates = table_of(recording, tables.TEMPLATES)
    if len(templates) >= (tables.announced(templates) or 0):
        counts[tables.TEMPLATES.counted_by] = len(tables.finger_keys(templates))
    return counts


def _has_size(recording: Recording, table: tables.Table, record: int) -> bool:
    total = tables.announced(table_of(recording, table)) or 0
    return total == record * (count_of(recording, table) or 0)


def _people(recording: Recording) -> dict[int, int]:
    """How many administrators and passwords the simulator would count in the users that it is given."""
    record, table = record_of(recording), table_of(recording, tables.USERS)
    if not record:
        return {12: 0, 13: 0}
    rows = [table[at : at + record] for at in range(4, len(table) - record + 1, record)]
    return {12: sum(row[2] & 0x0E != 0 for row in rows), 13: sum(row[3] != 0 for row in rows)}


def _odd_words(words: list[int], expected: dict[int, int]) -> Switches:
    odd = {str(at): word for at, word in enumerate(words) if word != expected.get(at, 0)}
    return {"sizes_words": odd} if odd else {}


def _tables(recording: Recording) -> Switches:
    layout = punch_layout(recording)
    found: Switches = {} if layout is None else {"attendance": layout}
    inline, prepared, words = [], [], set()
    for exchange in recording.exchanges:
        if not exchange.asks(Command.PREPARE_BUFFER):
            continue
        if exchange.code == Command.DATA:
            inline.append(len(exchange.data))
        elif exchange.code == Code.OK and len(exchange.data) >= 13:
            size, _again, word = struct.unpack_from("<III", exchange.data, 1)
            prepared.append(size)
            words.add(word)
    if prepared or inline:
        found["inline_max"] = _between(max(inline, default=0), min(prepared, default=None))
    if len(words) == 1 and words != {0}:
        found["buffer_word"] = words.pop()
    return found


def _between(inline: int, prepared: int | None) -> int:
    """A limit between the largest table that came at once and the smallest that did not: the usual one, if it fits."""
    if prepared is None or inline <= _INLINE_DEFAULT < prepared:
        return max(inline, _INLINE_DEFAULT)
    return inline


def _side_questions(recording: Recording) -> Switches:
    found: Switches = {}
    before = recording.find("clock before connect")
    if before is not None and before.code not in (None, Code.OK):
        found["unauthorised_code"] = before.code
    for step, name, test in _YES_NO:
        exchange = recording.find(step)
        if exchange is not None:
            found[name] = test(exchange)
    twice = [each for each in recording.exchanges if each.step == "version twice at once"]
    if len(twice) == 2:
        found["several_requests"] = _several(*twice)
    second = recording.find("connect", "tcp second") or recording.find("open", "tcp second")
    first = recording.find("clock on the first")
    if second is not None and first is not None:
        found["second_connection"] = _second(second, first)
    return found


_YES_NO: tuple[tuple[str, str, Callable[[Exchange], bool]], ...] = (
    ("clock with a wrong checksum", "check_checksum", lambda each: each.code is None),
    ("clock in another session", "check_session", lambda each: each.code not in (None, Code.OK)),
)


def _several(first: Exchange, second: Exchange) -> str:
    if second.ask is not None and any(each.reply_id == second.ask.reply_id for each in first.answers):
        return "last"
    if second.end in ("reset", "closed"):
        return "reset"
    if first.code is not None and second.code is not None:
        return "serve"
    return "first"


def _second(second: Exchange, first: Exchange) -> str:
    if first.code is None:
        return "replace"
    if second.code is not None:
        return "serve"
    return "ignore" if second.end == "silence" else "refuse"


def _templates(recording: Recording) -> Switches:
    """What follows a template that is read by 88: read by 9 it comes without."""
    padded, bare = recording.find("template by 88"), recording.find("template by 9")
    if padded is None or bare is None or not padded.data.startswith(bare.data) or not bare.data:
        return {}
    tail = padded.data[len(bare.data) :]
    known = {b"": "none", b"\x01": "one", bytes(7): "zeros"}
    return {"template_tail": known[tail]} if tail in known else {}


def _by_nine(recording: Recording) -> Switches:
    """Whether 9 and 2 name the table of templates: it is as long then as by 7 and 2."""
    asked = recording.find("templates by 9 and 2")
    templates = tables.announced(table_of(recording, tables.TEMPLATES))
    if asked is None or asked.code is None or not templates:
        return {}
    size = {int(Code.OK): tables.announced(asked.data[1:]), int(Command.DATA): len(asked.data)}.get(asked.code)
    return {"templates_by_nine": size == templates + tables.LENGTH_BYTES}


def _zones(recording: Recording) -> Switches:
    """What the first word of 23 says, before and after the test user has zones of its own."""
    before, after = (recording.find(step) for step in ("zones of the test user", "zones of the test user after"))
    if before is None or after is None or before.code != Code.OK or after.code != Code.OK:
        return {}
    flags = {(b"\1\0", b"\0\0"): "group", (b"\0\0", b"\1\0"): "own"}
    flag = flags.get((before.data[:2], after.data[:2]))
    return {} if flag is None else {"user_zones_flag": flag}


def _trial(recording: Recording) -> Switches:
    """What changing the terminal has shown."""
    found = _zones(recording)
    again = recording.find("delete user again")
    if again is not None and again.code is not None:
        found["delete_unknown"] = again.code
    written = [recording.find(f"written template {finger} by 88") for finger in (5, 0)]
    left = recording.find("template 5 after finger 0")
    if left is not None and left.code is not None and all(_has_data(each) for each in written):
        found["delete_finger_zero"] = "one" if _has_data(left) else "all"
    disabled = recording.find("disable for a time")
    if disabled is not None and disabled.code not in (None, Code.OK):
        found["timed_disable"] = "refuse"
    elif _state(recording, "state while disabled") == _BUSY:
        found["timed_disable"] = "ignore" if _state(recording, "state after its time") == _BUSY else "accept"
    looks = [each for each in recording.exchanges if each.step == "door after unlock"]
    if any(each.data[:1] == b"\x01" for each in looks):
        found["unlock_unit"] = "tenths" if len(looks) < _LOOKS_OF_SECONDS else "seconds"
    return found


def _has_data(exchange: Exchange | None) -> bool:
    return exchange is not None and exchange.code in (Command.PREPARE_DATA, Command.DATA)


def _state(recording: Recording, step: str) -> int | None:
    """The terminal's state, which stands in the session field."""
    exchange = recording.find(step)
    return exchange.own[0].session if exchange is not None and exchange.own else None
