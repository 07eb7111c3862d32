"""The commands of the contract on the command line: ask the running bridge over MQTT, print its answer."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from zkbridge.asyncapi.schemas import request_fields
from zkbridge.asyncapi.site import summary
from zkbridge.cli.answers import tell, tell_step
from zkbridge.cli.backups import tell_difference
from zkbridge.cli.broker_options import connection_options, settings_of
from zkbridge.cli.options import SECONDS
from zkbridge.cli.output import no_answer, say
from zkbridge.cli.pages import ask_whole
from zkbridge.cli.rows import RowsFile
from zkbridge.cli.shell_text import not_text, require_text
from zkbridge.client.batch import parts_of
from zkbridge.client.caller import Caller, NoAnswer
from zkbridge.commands import Command, commands
from zkbridge.config import loader
from zkbridge.config.faults import ConfigError
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BridgeError

#: Exit codes; usage is click's own 2.
DONE, REFUSED, WRONG_CONFIGURATION, FAILED, NO_ANSWER = 0, 1, 2, 3, 4
#: The status of a device that is away and whose request waits for it.
WAITING_STATUS = 202
#: Seconds to wait: longer than the bridge may take for a request that is first in the queue.
WAIT_S = 90.0
_KINDS: dict[str, click.ParamType[Any]] = {"integer": click.INT, "number": click.FLOAT}
#: The prefix of a request's parameters in click.
FIELD = "field_"
_EPILOG = """\b
Exit codes: 0 done, 1 refused (4xx), 2 wrong usage or configuration,
3 the terminal or the bridge failed (5xx), 4 no answer.
Of a group's answer, the worst of its devices'."""


def subcommands() -> dict[str, click.Command]:
    """The command line's commands for the registry: `users/create` is `users create`, `ping` is `ping`."""
    found: dict[str, click.Command] = {}
    for name, command in commands().items():
        first, _, rest = name.partition("/")
        if not rest:
            found[first] = _subcommand(first, command)
            continue
        group = found.setdefault(first, click.Group(first, help=f"Ask the running bridge: {first}."))
        if isinstance(group, click.Group):
            group.add_command(_subcommand(rest.replace("/", "-"), command))
    return found


# -- from a parameter model to options -----------------------------------------------------------------------------


def _subcommand(name: str, command: Command) -> click.Command:
    fields = request_fields(command)
    made = click.Command(
        name,
        params=[click.Argument(["device"], shell_complete=_complete_device)],
        callback=partial(_run, command, _secrets(fields)),
        help=summary(command),
        epilog=_EPILOG,
    )
    for field, schema in fields.items():
        made.params += field_options(field, schema, required=command.params.model_fields[field].is_required())
    made.params += [*connection_options(), *_own_options(command)]
    return made


def _own_options(command: Command) -> list[click.Parameter]:
    said = f"Seconds to wait for the answer.  [default: {WAIT_S:g}{', and the timeout' * command.attended}]"
    return [
        click.Option(["--wait"], type=SECONDS, help=said),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the reply as it came, for machines."),
    ]


def _secrets(fields: JsonObject) -> list[str]:
    return [field for field, schema in fields.items() if schema.get("format") == "password"]


def field_options(field: str, schema: JsonObject, *, required: bool) -> Iterable[click.Option]:
    """The options for one field of a request."""
    name, said = field.replace("_", "-"), schema.get("description")
    if schema.get("format") == "password":
        # No secret as an option: every user of the machine can read a command line, and the shell keeps it in its
        # history.
        yield click.Option(
            [f"--{name}-file", f"{field}_file"],
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help=f"{said} Read from this file.",
        )
        yield click.Option([f"--{name}-stdin", f"{field}_stdin"], is_flag=True, help="Read or typed; never shown.")
        return
    kinds = schema.get("type", "string")
    # The first type is the field's own; others are accepted too.
    kind = kinds if isinstance(kinds, str) else kinds[0]
    names = [f"--{name}", FIELD + field]
    more: JsonObject = {"required": required, "help": said}
    if kind == "boolean":
        both = f"--{name}/--no-{name}" if schema.get("default") else f"--{name}"
        yield click.Option([both, names[1]], is_flag=True, default=None, **more)
    elif kind == "array" and "string" not in kinds:
        yield click.Option(names, type=RowsFile(), **more)
    else:  # a list of texts is one text with commas
        yield click.Option(names, type=_KINDS.get(kind, click.STRING), **more)


def _complete_device(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    path = context.params.get("path") or Path("config.yaml")
    try:
        config = loader.load(Path(path))
        return [each for each in (*config.devices, *config.groups) if each.startswith(incomplete)]
    except ConfigError:
        return []


# -- asking --------------------------------------------------------------------------------------------------------


def _run(command: Command, hidden: list[str], /, **given: Any) -> None:
    settings = settings_of(click.get_current_context(), given["path"], given["broker"])
    body = {key.removeprefix(FIELD): value for key, value in given.items() if key.startswith(FIELD)}
    body |= {field: _secret(field, given[f"{field}_file"], typed=given[f"{field}_stdin"]) for field in hidden}
    body = {field: value for field, value in body.items() if value is not None}
    require_text({"DEVICE": given["device"]} | {f"--{field.replace('_', '-')}": body[field] for field in body})
    # With an id of its own a request can be asked again without being carried out again.
    body.setdefault("request_id", f"cli-{secrets.token_hex(6)}")
    try:
        with Caller(settings) as caller:
            patience = _patience(command, body, given["wait"])
            steps = tell_step if command.attended else None
            answer = ask_whole(
                lambda device, asked: caller.ask(device, command.name, asked, timeout=patience, progress=steps),
                given["device"],
                body,
            )
    except (NoAnswer, KeyboardInterrupt) as error:
        # Without an answer in time the result of the request is not known either.
        say(no_answer(error), f"To ask again without doing it twice: --request-id {body['request_id']}", err=True)
        sys.exit(NO_ANSWER)
    if given["as_json"]:
        say(json.dumps(answer, ensure_ascii=False))
    elif not tell_difference(answer):
        tell(answer)
    sys.exit(exit_code(answer))


def _patience(command: Command, body: JsonObject, told: float | None) -> float:
    """Seconds to wait for the answer; a person at the terminal has time of their own."""
    if told is not None:
        return told
    try:
        return WAIT_S + command.parse(body, strict=False).lasts_s()
    except BridgeError:
        return WAIT_S


def _secret(field: str, path: Path | None, *, typed: bool) -> str | None:
    if path is not None and typed:
        raise click.UsageError(f"--{field}-file and --{field}-stdin exclude each other")
    try:
        return _read_secret(field, path, typed=typed)
    except UnicodeDecodeError:
        # Its words would quote the secret.
        raise click.UsageError(f"{field} is not UTF-8 text") if path is not None else not_text(field) from None


def _read_secret(field: str, path: Path | None, *, typed: bool) -> str | None:
    if path is not None:
        return path.read_text(encoding="utf-8-sig").rstrip("\r\n")
    if not typed:
        return None
    if sys.stdin.isatty():
        hidden: str = click.prompt(field, hide_input=True, err=True)
        return hidden
    return sys.stdin.readline().rstrip("\r\n")


def exit_code(answer: JsonObject) -> int:
    """The exit code; for a group's answer the worst of its devices'.

    A request that waits for a device counts as a success.
    """
    if answer.get("success"):
        return DONE
    status = answer.get("status")
    if not isinstance(status, int) or status >= 500:
        return FAILED
    results = parts_of(answer)
    return max(map(exit_code, results)) if results else DONE if status == WAITING_STATUS else REFUSED
