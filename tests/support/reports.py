"""Reports of simulated terminals: each kind with people of its own, asked as a real one would be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from zkbridge.config.models import Device
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.report import findings, report_file
from zkbridge.terminal.report.probe import Probe
from zkbridge.terminal.report.recording import Exchange, Packet, Recording
from zkbridge.terminal.report.redaction import redacted
from zkbridge.terminal.report.trial import Trial

#: Long enough for a terminal on the same machine that is slowed by other tests.
TIMEOUT_S = 2.5
KEY = bytes(range(32))
MOMENT = datetime(2026, 3, 14, 15, 9, 26)  # noqa: DTZ001  a terminal's wall clock
COMM_KEY = 271_828
NAMES = ("Ibáñez Wqx", "Пётр Щукин", "王小明 Zhao", "Quxfoobar")

#: More than twenty kinds: every profile, and ways in which terminals differ.
KINDS: dict[str, dict[str, Any]] = {
    "tft": {},
    "f19": {"profile": "f19"},
    "face": {"profile": "face"},
    "bw": {"profile": "bw"},
    "bw over both": {"profile": "bw", "transport": "both"},
    "ma300": {"profile": "ma300"},
    "separate": {"delivery": "separate"},
    "coalesced": {"delivery": "coalesced"},
    "split": {"delivery": "split-200"},
    "udp only": {"transport": "udp"},
    "tcp only": {"transport": "tcp"},
    "comm key": {"comm_key": COMM_KEY},
    "auth always": {"auth_always": True},
    "junk after the NUL": {"junk": True},
    "strict": {"check_checksum": True, "check_session": True},
    "frames of 1008": {"tcp_packet": 1008, "template_tail": "zeros"},
    "session ids in all frames": {"session_field_of_data": "session", "session_field_of_closing_ack": "session"},
    "one connection": {"second_connection": "replace", "several_requests": "last"},
    "wrong count": {"count_offset": 2},
    "short sizes": {"sizes_length": 40},
    "bulk refused": {"bulk_limit": 3},
    "punches of 8": {"attendance": "8"},
}


@dataclass
class Person:
    """Somebody on a terminal, whose every value can be recognised."""

    user_id: str
    name: str
    password: str
    card: int


@dataclass
class Staffed:
    """A simulated terminal and who is on it. `personal` are values of the terminal itself."""

    terminal: SimulatedTerminal
    people: list[Person]
    personal: list[str] = field(default_factory=list)


def staffed(simulator: Simulator, kind: Mapping[str, Any], count: int = 25) -> Staffed:
    """A terminal of this kind with people, fingers and punches."""
    terminal = simulator.add(TerminalConfig(**kind))
    short = terminal.machine.terminal.record == 28
    width = terminal.switches.user_id_width
    people = [
        Person(
            user_id=str(97_350_000 + 7 * place) if width >= 8 else str(61_007 + place),
            name=f"Xq{place:03}wvZ"
            if short
            else ("Ibáñez Wqx", "Пётр Щукин", "王小明 Zhao", "Quxfoobar")[place % 4] + str(place),
            password=str(73_105 + place) if short else str(80_912_735 + place),
            card=3_141_592_653 + 104_729 * place,
        )
        for place in range(count)
    ]
    for person in people:
        terminal.add_user(person.user_id, person.name, password=person.password, card=person.card)
    for person in people[:4]:
        terminal.add_template(person.user_id, 6)
    for place in range(30):
        when = MOMENT + timedelta(minutes=17 * place)
        assert terminal.punch(people[place % 7].user_id, when=when)
    named = {"~SerialNumber": "QXJ7193852604", "MAC": "00:17:61:9D:E3:5B", "IPAddress": "172.23.214.87"}
    for name, value in (named | {"GATEIPAddress": "172.23.214.253", "~ProductTime": "2018-05-25 23:51:37"}).items():
        terminal.set_option(name, value)
    return Staffed(terminal, people, [*named.values(), "172.23.214.253", "23:51:37"])


def probe(terminal: SimulatedTerminal, comm_key: int = 0, *, write: bool = False) -> Recording:
    """Everything that a report asks, before anything is replaced."""
    asked = Probe(target(terminal), key=lambda: comm_key, tell=lambda _step: None)
    asked.read_only()
    if write:
        Trial(asked, lambda _step: None).run()
    return asked.recording(wrote=write)


def target(terminal: SimulatedTerminal) -> Device:
    """The simulated terminal as the bridge would have it."""
    return Device(id="report", host=terminal.host, port=terminal.port, timeout=TIMEOUT_S)


def write_report(recording: Recording, path: Path) -> Path:
    """The redacted recording as a file."""
    made = redacted(recording, KEY)
    path.write_text(report_file.written(made, findings.findings(made), ["a report"]), "ascii")
    return path


def answers(recording: Recording) -> list[tuple[Any, ...]]:
    """What a terminal answered to what, without what differs from one time to the next.

    That are session ids, reply numbers, times, and whether a connection is reset at once or at the first request.
    """
    sessions: dict[str, int] = {}
    found = []
    for each in recording.exchanges:
        if each.asks(Command.CONNECT) and each.own:  # a line may connect more than once
            sessions[each.line] = each.own[0].session
        found.append(_answer(each, sessions.get(each.line)))
    return found


def _answer(exchange: Exchange, session: int | None) -> tuple[Any, ...]:
    if exchange.end == "reset" and not exchange.answers:
        return exchange.line, "reset"
    asked = exchange.ask.reply_id if exchange.ask else 0
    packets = tuple(
        (each.command, _field(each, session), _data(exchange, each), each.length, each.reply_id - asked, each.intact)
        for each in exchange.answers
    )
    return exchange.line, exchange.step, _request(exchange), packets, exchange.end


def _field(packet: Packet, session: int | None) -> int | str:
    """What stands in the session field, if not the session's id, which differs."""
    return "session" if packet.session == session else packet.session


def _request(exchange: Exchange) -> tuple[int, bytes] | None:
    """The request; that of a test user names one that is free, which differs where people have other numbers."""
    if exchange.ask is None:
        return None
    tried = exchange.step in _OF_THE_TEST_USER
    return exchange.ask.command, b"" if tried else exchange.ask.data


def _data(exchange: Exchange, packet: Packet) -> bytes:
    """The data; the clock goes on, and the operation log has a line more for every change."""
    if exchange.asks(Command.GET_TIME) or exchange.step == "door after unlock":
        return b""
    return packet.data


_OF_THE_TEST_USER = {
    *("zones of the test user", "zones of its own", "zones of the test user after"),
    *("write user", "delete user", "delete user again", "template 5 after finger 0"),
    *(f"{step} {finger}" for step in ("write template", "delete template") for finger in (5, 0)),
    *(f"written template {finger} by 88" for finger in (5, 0)),
    *(f"template {finger} after deletion" for finger in (5, 0)),
}
#: The answers of a trial that do not tell how many changes were made before.
OF_THE_TRIAL = _OF_THE_TEST_USER | {"refresh", "disable for a time", "enable", "unlock", "sum of template"}


def of_a_trial(recording: Recording) -> Callable[[tuple[Any, ...]], bool]:
    """Whether a step of `answers` belongs to a trial, whose reads show what other changes there were before."""
    lines = {each.line for each in recording.exchanges if each.line.endswith((" trial", " undo"))}
    return lambda step: step[0] in lines
