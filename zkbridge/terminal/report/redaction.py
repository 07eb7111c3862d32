"""Make a recording that holds nothing of a person, a terminal or its network, and parses as the original does."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.report import options, tables
from zkbridge.terminal.report.layouts import Layouts
from zkbridge.terminal.report.pseudonyms import Pseudonyms
from zkbridge.terminal.report.recording import Exchange, Packet, Recording

#: Commands whose answers hold text or numbers of the firmware alone, or announce a table; kept as they came.
_KEPT = frozenset(
    {Command.GET_VERSION, Command.GET_FREE_SIZES, Command.GET_TIME, Command.DOORSTATE_RRQ, Command.PREPARE_BUFFER}
    | {Command.CHECKSUM_BUFFER}
    | {21, 23, 25, 27, 29, 64, 69}
)
_TEMPLATE_READS = frozenset({Command.READ_TEMPLATE, Command.USERTEMP_RRQ})
#: Requests for a user's group, zones and way to verify, whose answers may begin with the uid.
_ECHOES = frozenset({21, 23, 80})
#: Requests that begin with a uid: groups, zones and ways to verify, deletions, and the write of a template.
_BY_UID = frozenset({21, 23, 24, 80, Command.DELETE_USER, Command.DELETE_USERTEMP, Command.WRITE_TEMPLATE})
#: What 23 answers without a uid before it: a flag and three zones (zk-protocol `access.md`).
_USER_ZONES, _USER_ZONES_BYTES = 23, 8
_UID = struct.Struct("<H")
#: Step names of direct reads, with the table that they read.
_DIRECT = {"direct users": tables.USERS, "direct punches": tables.PUNCHES}
_BY_REQUEST = {table.request: table for table in tables.TABLES} | {tables.TEMPLATES_BY_NINE: tables.TEMPLATES}


#: A value of fewer bytes may stand in any report by chance.
_SURE_BYTES = 6


class StillThere(Exception):
    """A redacted recording holds something of the original."""


@dataclass(frozen=True)
class _Place:
    """Where a part of a table came: packet `packet` of the answers of exchange `exchange`."""

    exchange: int
    packet: int


def redacted(recording: Recording, key: bytes) -> Recording:
    """The recording with every personal value replaced; `key` must be random, and be forgotten.

    Raises StillThere when a value of the original is left, which a second run with another key may avoid: a short
    value may come about by chance.
    """
    first = Pseudonyms(key)
    _Redaction(recording, first).run()
    names = Pseudonyms(key)
    names.avoid(first.originals())
    made = _Redaction(recording, names).run()
    if left := remaining(made, names.originals()):
        raise StillThere(f"{len(left)} values of the original are left")
    return made


def remaining(recording: Recording, originals: Iterable[bytes]) -> list[bytes]:
    """Which of these values a recording still holds; short ones, which come about by chance, are not looked for."""
    data = b"\xff\xff\xff\xff".join(
        packet.data for each in recording.exchanges for packet in (each.ask, *each.answers) if packet is not None
    )
    return [value for value in originals if len(value) >= _SURE_BYTES and value in data]


def _asked_table(exchange: Exchange) -> tables.Table | None:
    if exchange.asks(Command.PREPARE_BUFFER) and exchange.ask is not None:
        return _BY_REQUEST.get(exchange.ask.data)
    return _DIRECT.get(exchange.step)


class _Redaction:
    """One recording being redacted."""

    def __init__(self, recording: Recording, names: Pseudonyms) -> None:
        self._recording = recording
        self._names = names
        self._layouts = Layouts(names, _counts(recording))
        self._data: dict[_Place, bytes] = {}

    def run(self) -> Recording:
        """All of it. Tables come first: what they hold is then known wherever else it stands."""
        self._redact_tables()
        made = [self._exchange(number, each) for number, each in enumerate(self._recording.exchanges)]
        known = {old: new for old, new in self._names.replacements().items() if len(old) >= _SURE_BYTES}
        return replace(
            self._recording, exchanges=tuple(self._swept(number, each, known) for number, each in enumerate(made))
        )

    def _swept(self, number: int, exchange: Exchange, known: Mapping[bytes, bytes]) -> Exchange:
        """The exchange without a known value wherever else a terminal may have put it; tables are done with."""
        answers = [
            packet if _Place(number, at) in self._data else packet.with_data(_without(packet.data, known))
            for at, packet in enumerate(exchange.answers)
        ]
        return replace(exchange, answers=tuple(answers))

    def _exchange(self, number: int, exchange: Exchange) -> Exchange:
        ask = exchange.ask
        answers = []
        for at, packet in enumerate(exchange.answers):
            data = self._data.get(_Place(number, at))
            answers.append(packet.with_data(self._answer(exchange, packet) if data is None else data))
        if ask is not None:
            ask = ask.with_data(self._request(ask))
        return replace(exchange, ask=ask, answers=tuple(answers))

    # What came in several packets

    def _redact_tables(self) -> None:
        for table, places in self._reads():
            whole = b"".join(self._packet(place).data for place in places)
            total = tables.announced(whole) or 0
            made = self._layouts.table(table.name, whole, total) if table else self._layouts.template(whole)
            at = 0
            for place in places:
                size = len(self._packet(place).data)
                self._data[place] = made[at : at + size]
                at += size

    def _reads(self) -> Iterator[tuple[tables.Table | None, list[_Place]]]:
        """Each table, or None for a template, with the packets that carry it."""
        begun: dict[str, tuple[tables.Table, list[_Place]]] = {}
        for number, exchange in enumerate(self._recording.exchanges):
            places = [
                _Place(number, at) for at, packet in enumerate(exchange.answers) if packet.command == Command.DATA
            ]
            if exchange.asks(Command.READ_BUFFER) and exchange.line in begun:
                begun[exchange.line][1].extend(places)
                continue
            if exchange.line in begun:
                yield begun.pop(exchange.line)
            table = _asked_table(exchange)
            if places:
                yield table, places
            elif table is not None and exchange.asks(Command.PREPARE_BUFFER):
                begun[exchange.line] = (table, [])
        yield from begun.values()

    def _packet(self, place: _Place) -> Packet:
        return self._recording.exchanges[place.exchange].answers[place.packet]

    # Requests and single answers

    def _request(self, ask: Packet) -> bytes:
        data = ask.data
        if ask.command in _TEMPLATE_READS and len(data) == 3:
            return self._with_uid(data)
        if ask.command in _BY_UID and len(data) >= 2:
            return self._with_uid(data)
        if ask.command == Command.USER_WRQ:
            return self._layouts.user(data)
        return data

    def _answer(self, exchange: Exchange, packet: Packet) -> bytes:
        data = packet.data
        asked = exchange.ask.command if exchange.ask else -1
        if not data:
            return data
        if packet.command == Command.EVENT:
            return self._names.raw(data)
        is_bare = asked == _USER_ZONES and len(data) == _USER_ZONES_BYTES
        if asked in _ECHOES and not is_bare and exchange.ask is not None and data[:2] == exchange.ask.data[:2]:
            return self._with_uid(data)
        if asked in _KEPT or packet.command == Command.PREPARE_DATA:
            return data
        if asked == Command.OPTIONS_RRQ and exchange.ask is not None:
            return self._option(exchange.ask.data.rstrip(b"\0").decode(), data)
        return self._names.raw(data)

    def _option(self, name: str, data: bytes) -> bytes:
        """`name=value` NUL; the value of a personal setting is replaced, and what lies behind the NUL."""
        text, nul, rest = data.partition(b"\0")
        told, equals, value = text.rpartition(b"=") if b"=" in text else (b"", b"", text)
        if name in options.PERSONAL:
            value = self._personal(name, value)
        return told + equals + value + nul + self._names.raw(rest)

    def _personal(self, name: str, value: bytes) -> bytes:
        if name == "~ProductTime":  # the day says how old the firmware's kind is, the time names one terminal
            day, blank, time = value.partition(b" ")
            return day + blank + self._names.text(time, name)
        if name == "~SerialNumber" or not value.isascii():
            return self._names.text(value, name)
        if name == "NetMask":
            return value
        return self._names.address(value.decode()).encode()

    def _with_uid(self, data: bytes) -> bytes:
        return _UID.pack(self._names.uid(int.from_bytes(data[:2], "little"))) + data[2:]


def _without(data: bytes, known: Mapping[bytes, bytes]) -> bytes:
    for old, new in known.items():
        if old in data:
            data = data.replace(old, new)
    return data


def _counts(recording: Recording) -> Mapping[str, int]:
    """How many records the terminal counts, by the name of the table."""
    sizes = next((each.data for each in recording.exchanges if each.step == "sizes" and each.data), b"")
    return {table.name: tables.count_in(sizes, table) or 0 for table in tables.TABLES}
