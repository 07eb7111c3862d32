"""What a recording has of a terminal's tables and transports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.report import tables
from zkbridge.terminal.report.recording import Exchange, Recording


def record_of(recording: Recording) -> int | None:
    """The bytes of a user record; None where length and count do not decide it."""
    table = table_of(recording, tables.USERS)
    return tables.user_record(tables.announced(table) or 0, count_of(recording, tables.USERS))


def table_of(recording: Recording, table: tables.Table) -> bytes:
    """What the report keeps of a table, from the first connection that read it; its length first."""
    for number, exchange in enumerate(recording.exchanges):
        if exchange.asks(Command.PREPARE_BUFFER, table.request):
            if exchange.code == Command.DATA:
                return exchange.data
            read = b"".join(each.data for each in _pieces(recording.exchanges[number + 1 :], exchange.line))
            return read or _direct(recording, table)
    return b""


def _direct(recording: Recording, table: tables.Table) -> bytes:
    """The table as a direct read brought it, for terminals that refuse 1503."""
    exchange = recording.find(f"direct {table.name}")
    return b"" if exchange is None or exchange.end else exchange.data


def count_of(recording: Recording, table: tables.Table) -> int | None:
    """How many records of a table the terminal counts."""
    sizes = recording.find("sizes")
    return None if sizes is None else tables.count_in(sizes.data, table)


def transports(recording: Recording) -> list[str]:
    """The transports over which the terminal answered CONNECT."""
    return [each for each in ("tcp", "udp") if (found := recording.find("connect", each)) and found.code is not None]


def punch_layout(recording: Recording) -> str | None:
    """The layout of a record of the attendance log, as the simulator names it; None where it is not known."""
    table, count = table_of(recording, tables.PUNCHES), count_of(recording, tables.PUNCHES)
    total = tables.announced(table) or 0
    if not count or total % count:
        return None
    size = total // count
    if size == 8:
        return {3: "8", 4: "8b"}.get(tables.time_place(table[4:]) or 0)
    return str(size) if size in (16, 40, 49) else None


def _pieces(exchanges: Iterable[Exchange], line: str) -> Iterator[Exchange]:
    """The reads of a prepared table, which follow its preparation."""
    for each in exchanges:
        if each.line != line:
            continue
        if not each.asks(Command.READ_BUFFER):
            return
        yield each
