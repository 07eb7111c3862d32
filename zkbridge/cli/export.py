"""`zkbridge users export` and `zkbridge attendance export`: a list of a terminal as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from zkbridge.asyncapi.schemas import request_fields
from zkbridge.cli.answers import tell
from zkbridge.cli.ask import DONE, FIELD, NO_ANSWER, exit_code, field_options
from zkbridge.cli.broker_options import connection_options, settings_of
from zkbridge.cli.options import SECONDS
from zkbridge.cli.output import no_answer, say, write
from zkbridge.cli.pages import ask_whole
from zkbridge.cli.people_file import FORMULAS
from zkbridge.cli.shell_text import require_text
from zkbridge.client.caller import Caller, NoAnswer
from zkbridge.commands import Command, commands
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.texts import shown

_WAIT_S = 90.0
#: Fields of the request that an export has no use for: it is whole, and asked once.
_NOT_OFFERED = frozenset({"offset", "limit", "request_id", "expires_at"})
#: The columns in this order, where a list has no row to take them from.
_COLUMNS = {
    "users/list": ("uid", "user_id", "name", "privilege", "card", "group", "blocked", "device_id"),
    "attendance/list": ("user_id", "timestamp", "status", "punch", "device_id"),
}


def export(name: str) -> click.Command:
    """The command that exports a list of the contract, such as `users/list`."""
    command = commands()[name]
    made = click.Command(
        "export",
        callback=partial(_export, command),
        help=f"Write {name} of DEVICE into FILE, or to standard output (-), as CSV or JSON lines."
        " A file that is there is not written over, and only you can read the new one.",
        epilog="Exit codes: as those of the list itself; 2 also if the file cannot be written.",
        params=[
            click.Argument(["device"]),
            click.Argument(["file"], type=click.Path(dir_okay=False, path_type=Path), required=False),
            click.Option(
                ["--format", "form"],
                type=click.Choice(["csv", "jsonl"]),
                help="By default what FILE's name says, else csv.",
            ),
            click.Option(
                ["--encoding"],
                default="utf-8",
                show_default=True,
                help="Of FILE; utf-8-sig is what Excel opens without a question.",
            ),
        ],
    )
    for field, schema in request_fields(command).items():
        if field not in _NOT_OFFERED:
            made.params += field_options(field, schema, required=False)
    made.params += [*connection_options(), click.Option(["--wait"], type=SECONDS, default=_WAIT_S, show_default=True)]
    return made


def _export(command: Command, /, **given: Any) -> None:
    file: Path | None = None if str(given["file"]) == "-" else given["file"]
    if file is not None and file.exists():
        raise click.BadParameter(f"{file} exists; it is not written over", param_hint="FILE")
    body = {
        key.removeprefix(FIELD): value for key, value in given.items() if key.startswith(FIELD) and value is not None
    }
    require_text({"DEVICE": given["device"], **body})
    settings = settings_of(click.get_current_context(), given["path"], given["broker"])
    body["request_id"] = f"cli-{secrets.token_hex(6)}"
    try:
        with Caller(settings) as caller:
            answer = ask_whole(
                lambda device, asked: caller.ask(device, command.name, asked, timeout=given["wait"]),
                given["device"],
                body,
            )
    except (NoAnswer, KeyboardInterrupt) as error:
        say(no_answer(error), err=True)
        sys.exit(NO_ANSWER)
    code = exit_code(answer)
    if code != DONE:
        tell(answer)
        sys.exit(code)
    lists = _lists(answer)
    rows = [row for each in lists for row in each.get("data") or () if isinstance(row, dict)]
    form = given["form"] or ("jsonl" if file is not None and file.suffix in (".jsonl", ".ndjson") else "csv")
    text = _csv(rows, _COLUMNS[command.name]) if form == "csv" else _lines(rows)
    _write(file, text, given["encoding"])
    say(f"{len(rows)} rows", err=True)
    for each in lists:
        if "counted" in each:
            device = shown(each.get("device_id", given["device"]))
            say(f"{device} counts {each['counted']} users and has shown fewer: the list is not whole", err=True)


def _lists(answer: JsonObject) -> list[JsonObject]:
    """The answer that is a list; of a group those of all devices."""
    results = answer.get("results")
    return [each for each in results if isinstance(each, dict)] if isinstance(results, list) else [answer]


def _csv(rows: list[JsonObject], columns: tuple[str, ...]) -> str:
    more = {key: None for row in rows for key in row if key not in columns}
    text = io.StringIO()
    table = csv.DictWriter(text, (*columns, *more), lineterminator="\r\n")
    table.writeheader()
    table.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    """A cell; a text that a spreadsheet would run as a formula gets an apostrophe, which --take-marks takes off."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value)
    return f"'{value}" if value.startswith(FORMULAS) else value


def _lines(rows: list[JsonObject]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _write(file: Path | None, text: str, encoding: str) -> None:
    """Write a file that no other user can read: the list holds card numbers."""
    try:
        if file is None:
            write(text.encode(encoding), newline=False)
            return
        data = text.encode(encoding)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            target.write(data)
    except LookupError:
        raise click.BadParameter(f"there is no encoding {encoding}", param_hint="--encoding") from None
    except UnicodeEncodeError as error:
        lacks = error.object[error.start]
        raise click.BadParameter(f"{encoding} has no {lacks!r}; use utf-8", param_hint="--encoding") from None
    except OSError as error:
        raise click.BadParameter(f"cannot be written: {error.strerror}", param_hint="FILE") from None
