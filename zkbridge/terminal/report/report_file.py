"""A report as a file: lines of text for people, then one JSON object a line. docs/reports.md describes it.

The file is plain ASCII. Lines that begin with # are the summary; the first JSON line is the head.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zkbridge.terminal.report.recording import Exchange, Packet, Recording

#: Goes up when an older reader would misread a newer file.
VERSION = 1
_HEADER_BYTES = 8


class NoReport(Exception):
    """A file is no report, or one of a newer version."""


def written(recording: Recording, findings: Mapping[str, Any], summary: Iterable[str]) -> str:
    """The text of the file."""
    head = {
        "zkbridge_report": VERSION,
        "day": recording.day,
        "wrote": recording.wrote,
        "clock_offset_s": recording.clock_offset_s,
    }
    lines = [f"# {line}".rstrip() for line in summary]
    lines.append(json.dumps(head))
    lines.append(json.dumps({"findings": dict(findings)}, sort_keys=True))
    lines.extend(json.dumps(_exchange(each)) for each in recording.exchanges)
    return "\n".join(line.encode("ascii", "backslashreplace").decode() for line in lines) + "\n"


def read(path: Path) -> Recording:
    """The recording in a file. Raises NoReport, OSError."""
    rows = list(_rows(path))
    if not rows or rows[0].get("zkbridge_report") != VERSION:
        raise NoReport(f"{path} is no report of version {VERSION}")
    try:
        exchanges = tuple(_read_exchange(row) for row in rows[1:] if "line" in row)
        offset = rows[0]["clock_offset_s"]
        return Recording(
            str(rows[0]["day"]), exchanges, bool(rows[0]["wrote"]), None if offset is None else int(offset)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NoReport(f"{path}: {error}") from error


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for line in path.read_text("ascii").splitlines():
            if line and not line.startswith("#"):
                yield dict(json.loads(line))
    except (TypeError, ValueError) as error:
        raise NoReport(f"{path}: {error}") from error


def _exchange(exchange: Exchange) -> dict[str, Any]:
    row: dict[str, Any] = {"line": exchange.line, "step": exchange.step}
    if exchange.ask is not None:
        row["ask"] = _packet(exchange.ask)
    row["answers"] = [_packet(each) for each in exchange.answers]
    row["arrived"] = [list(each) for each in exchange.arrived]
    return row | ({"end": exchange.end} if exchange.end else {})


def _packet(packet: Packet) -> str | list[str | int]:
    """Hex of the packet; with the length of its data where that is not all there."""
    text = packet.packed().hex()
    return text if packet.length == len(packet.data) else [text, packet.length]


def _read_exchange(row: dict[str, Any]) -> Exchange:
    return Exchange(
        line=str(row["line"]),
        step=str(row["step"]),
        ask=_read_packet(row["ask"]) if "ask" in row else None,
        answers=tuple(_read_packet(each) for each in row["answers"]),
        arrived=tuple((float(when), int(size)) for when, size in row["arrived"]),
        end=str(row.get("end", "")),
    )


def _read_packet(written: str | list[Any]) -> Packet:
    text, length = (written, -1) if isinstance(written, str) else written
    raw = bytes.fromhex(text)
    if len(raw) < _HEADER_BYTES:
        raise ValueError(f"a packet of {len(raw)} bytes")
    return Packet.read(raw, length)
