"""Files that a person gives to the program: the configuration, people, lists, documents, reports."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from tests.fuzz.parsers.target import Target, holds
from zkbridge.cli.document_file import messages_of, read_document_file
from zkbridge.cli.people_file import COLUMNS, LEFT_OUT, WrongFile, read_people
from zkbridge.cli.rows import RowsFile
from zkbridge.config.faults import ConfigError
from zkbridge.config.loader import load, remarks
from zkbridge.config.models import Config
from zkbridge.terminal.report import report_file

_ROOT = Path(__file__).parents[3]
_ENCODINGS = (None, None, "cp1252", "utf-16", "utf-7", "idna", "no-such")


@cache
def _folder() -> Path:
    return Path(
        tempfile.mkdtemp(prefix="zkbridge-parsers-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    )


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def config(data: bytes) -> None:
    """A configuration file; files that it names are those of an empty folder."""
    if b"_file" in data or b"/" in data:  # another file of this machine is none of a fuzzer's business
        data = data.replace(b"_file", b"_fil").replace(b"/", b"-")
    try:
        remarks(load(_file("config.yaml", data), {}))
    except ConfigError as error:
        holds(bool(str(error)), "an error without words")


def _config_seeds() -> Iterator[bytes]:
    yield b"mqtt: {host: localhost}\ndevices:\n  p: {host: 127.0.0.1}\n"
    yield b"mqtt: {host: b, password: '1', tls: true}\ngroups: {g: [p, q]}\ndevices: {p: {host: a}, q: {host: b}}\n"
    text = (_ROOT / "config.yaml").read_bytes().replace(b"# ", b"")
    lines = [line for line in text.splitlines() if line.strip() and b"#" not in line]
    for size in (8, 40):
        for start in range(0, len(lines), size):
            yield b"\n".join(lines[start : start + size])[:4000]
    yield b"mqtt: {port: 007}\na: 2026-03-02 09:00:00\nb: !!int 1\nc: !!float 1.5\nd: 2026-03-02\n"
    yield b"a: &x [1]\nb: *x\n<<: {c: 1}\n? {d: e}\n: !!binary aGk=\n"


def _config_words() -> Iterator[str]:
    yield from Config.model_fields
    for name, field in Config.model_fields.items():
        yield from getattr(field.annotation, "model_fields", {name: None})
    yield from (
        ": ",
        "- ",
        "0x10",
        "1e3",
        "~",
        "!!int",
        "!!python",
        "&a ",
        "*a",
        "|",
        ">",
        "? ",
        "<<",
        ".inf",
        "12:30:45",
    )


def people(data: bytes) -> None:
    """The first byte chooses CSV or JSON lines, the encoding, and whether marks are taken; the rest is the file."""
    head = data[0] if data else 0
    path = _file("people.jsonl" if head & 1 else "people.csv", data[1:])
    try:
        found = read_people(path, _ENCODINGS[(head >> 2) % len(_ENCODINGS)], take_marks=bool(head & 2))
    except WrongFile as error:
        holds(bool(str(error)), "an error without words")
    else:
        ids = [str(person["user_id"]) for person in found]
        holds(len(set(ids)) == len(ids), "a user_id that stands there twice")
        json.dumps(found)


def _people_seeds() -> Iterator[bytes]:
    csv = 'user_id,name,password,blocked\r\n7,Ana,1234,true\r\n8,"Eva, M.",,\r\n'
    for head, text in ((0, csv), (2, 'sep=;\nuser_id;name\n="007";Ñandú\n'), (0, "user_id\tname\n1,2E+10\tA\n")):
        yield bytes((head,)) + text.encode()
    yield b"\x08" + csv.encode("cp1252")
    yield b"\x00" + csv.encode("utf-16")
    yield b"\x01" + b'{"user_id": "7", "name": "Ana"}\n{"user_id": 8, "name": "Eva", "blocked": true}\n'


def _people_words() -> Iterator[str]:
    yield from (*COLUMNS, *LEFT_OUT, "sep=", "true", "\r\n", '=""', "1.2E+10", "null")


def rows(data: bytes) -> None:
    """A file of rows for a list on the command line."""
    try:
        found = RowsFile().convert(str(_file("rows", data)), None, None)
    except click.UsageError as error:
        holds(bool(str(error)), "an error without words")
    else:
        holds(isinstance(found, list), "no list")


def _rows_seeds() -> Iterator[bytes]:
    yield b'[{"user_id": "7", "name": "Ana"}]'
    yield b'{"user_id": "7"}\n{"user_id": "8"}\n'
    yield b'user_id,name\n7,"Ana"\n8,\n'


def desired(data: bytes) -> None:
    """A file of desired users, and the messages that it is published as."""
    try:
        found = read_document_file(_file("desired.json", data))
        parts = messages_of(found.users, found.fields, most_bytes=2048)
    except WrongFile as error:
        holds(bool(str(error)), "an error without words")
    else:
        holds(all(isinstance(payload, bytes) for _, payload in parts), "a message without bytes")


def _desired_seeds() -> Iterator[bytes]:
    yield b'{"version": 1, "users": [{"user_id": "7", "name": "Ana"}], "apply": true, "delete": "never"}'
    yield json.dumps({"users": [{"user_id": str(number), "name": "Ana"} for number in range(80)]}).encode()


def report(data: bytes) -> None:
    """A report of a terminal that somebody sends."""
    try:
        report_file.read(_file("report", data))
    except report_file.NoReport as error:
        holds(bool(str(error)), "an error without words")


def _report_seeds() -> Iterator[bytes]:
    yield b'{"zkbridge_report": 1, "day": "2026-01-01", "wrote": false, "clock_offset_s": 1}\n{"findings": {}}\n'
    for path in sorted((_ROOT / "tests" / "terminals").rglob("*.jsonl")):
        lines = path.read_bytes().splitlines()
        kept = [line for line in lines if not line.startswith(b"#") and len(line) < 600]
        yield b"\n".join(kept[:12])[:4000]


TARGETS = (
    Target("config", config, _config_seeds, _config_words),
    Target("people", people, _people_seeds, _people_words),
    Target("rows", rows, _rows_seeds, _people_words),
    Target("desired", desired, _desired_seeds, _people_words),
    Target("report", report, _report_seeds),
)
