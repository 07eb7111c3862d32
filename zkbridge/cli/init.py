"""`zkbridge init`: write a commented configuration with the caller's broker and terminals in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import click

from zkbridge.cli.ask import WRONG_CONFIGURATION
from zkbridge.cli.discover import STANDARD_PORT, find, ids, networks_of, table
from zkbridge.cli.output import say
from zkbridge.cli.shipped import shipped
from zkbridge.config import loader
from zkbridge.config.faults import ConfigError
from zkbridge.contract.topics import is_device_id


class Terminal(NamedTuple):
    """A terminal of the first configuration; `comm_key_file` is the name of a file, where it wants a key."""

    id: str
    host: str
    port: int = STANDARD_PORT
    transport: str = "tcp"
    comm_key_file: str | None = None


@dataclass(frozen=True)
class Answers:
    """What a first configuration needs."""

    host: str
    port: int
    username: str | None
    password_file: str | None
    devices: tuple[Terminal, ...]


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("config.yaml"))
@click.option("--broker", metavar="HOST[:PORT]", help="The broker's address.  [default: localhost:1883]")
@click.option("--username", help="The login at the broker, where it has one.")
@click.option(
    "--password-file", type=click.Path(exists=True, dir_okay=False), help="The file that holds that login's password."
)
@click.option("--discover", "network", metavar="NETWORK", help="Offer the terminals found in this network.")
@click.option("--device", "devices", multiple=True, metavar="ID=HOST[:PORT]", help="A terminal; once for each.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the file and its devices.")
def init(
    file: Path,
    *,
    broker: str | None,
    username: str | None,
    password_file: str | None,
    devices: tuple[str, ...],
    network: str | None,
    as_json: bool,
) -> None:
    """Write a commented configuration to FILE; never over one that is there.

    Whatever no option names is asked for, if a person sits at the keyboard: the terminals of the network are looked
    for, and those that are found are offered. `zkbridge discover` says how they are looked for.
    """
    if file.exists():
        raise click.UsageError(f"{file} exists; it is not written over")
    answers = Answers(*_address(broker or "localhost", 1883), username, password_file, tuple(map(_device, devices)))
    if is_attended():
        answers = _ask(answers, file.parent, ask_broker=broker is None, network=network)
    names = [each.id for each in answers.devices]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise click.BadParameter(f"{twice} is named twice", param_hint="--device")
    if not answers.devices:
        raise click.UsageError("no terminal is named: --device entrada=192.168.1.201")
    try:
        file.write_text(configuration(answers), encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be written: {error.strerror}", param_hint="FILE") from None
    try:
        loader.load(file, environment={})
    except ConfigError as error:
        file.unlink()
        say(*(str(fault) for fault in error.faults), err=True)
        sys.exit(WRONG_CONFIGURATION)
    if as_json:
        devices_written = [each.id for each in answers.devices]
        broker_written = f"{answers.host}:{answers.port}"
        say(json.dumps({"file": str(file), "broker": broker_written, "devices": devices_written}, ensure_ascii=False))
        return
    say(f"{file} is written. Next:", f"  zkbridge check --config {file} --connect", f"  zkbridge run --config {file}")


def configuration(answers: Answers) -> str:
    """The commented configuration with these answers in the place of its examples."""
    before, rest = shipped("config.yaml").split("\ndevices:", 1)
    example, after = rest.split("\n\n", 1)
    for key, value in (
        ("host", answers.host),
        ("port", answers.port),
        ("username", answers.username),
        ("password_file", answers.password_file),
    ):
        before = _set(before, key, value)
    commented = "\n".join(f"#{line}" for line in example[example.index("  entrada:") :].splitlines())
    named = "\n".join(map(_device_lines, answers.devices))
    return f"{before}\ndevices:\n{named}\n\n# Every key of a device, with its default:\n{commented}\n\n{after}"


def _set(text: str, key: str, value: str | int | None) -> str:
    """The text with the first `key:` set to a value, and its comment kept in its column."""
    if value is None:
        return text
    lines = text.split("\n")
    place = next(number for number, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
    comment = lines[place].partition("#")[2]
    entry = f"  {key}: {_scalar(value)}"
    lines[place] = f"{entry:<28} #{comment}" if comment else entry
    return "\n".join(lines)


def _device_lines(terminal: Terminal) -> str:
    lines = [f"  {_scalar(terminal.id)}:", f"    host: {_scalar(terminal.host)}"]
    if terminal.port != STANDARD_PORT:
        lines.append(f"    port: {terminal.port}")
    if terminal.transport != "tcp":
        lines.append(f"    transport: {terminal.transport}")
    if terminal.comm_key_file is not None:
        lines.append(f"    comm_key_file: {_scalar(terminal.comm_key_file)}")
    return "\n".join(lines)


def _scalar(value: str | int) -> str:
    """A YAML scalar; text is quoted, for a plain word may be read as something else."""
    return json.dumps(value, ensure_ascii=False)


def _ask(answers: Answers, folder: Path, *, ask_broker: bool, network: str | None) -> Answers:
    """What the options left open, from the person at the keyboard; a password goes into a file in *folder*."""
    if ask_broker:
        default = f"{answers.host}:{answers.port}"
        host, port = click.prompt("Broker", default=default, value_proc=lambda text: _address(text, 1883))
        username = click.prompt("User name at the broker, empty for none", default="", show_default=False)
        answers = replace(answers, host=host, port=port, username=username or answers.username)
    if answers.username and not answers.password_file:
        answers = replace(answers, password_file=_write_secret(folder / "mqtt-password"))
    if network is not None or (
        not answers.devices and click.confirm("Look for terminals in this network?", default=True)
    ):
        answers = replace(answers, devices=(*answers.devices, *_found(network, folder, answers.devices)))
    while not answers.devices or click.confirm("Another terminal?", default=False):
        taken = [each.id for each in answers.devices]
        name = _ask_name(f"terminal-{len(taken) + 1}" if taken else "entrada", taken)
        address = click.prompt("Its address", value_proc=lambda text: _address(text, STANDARD_PORT))
        answers = replace(answers, devices=(*answers.devices, Terminal(name, *address)))
    return answers


def _ask_name(default: str, taken: list[str]) -> str:
    """A name for a terminal that can stand in a topic and that no other has; asked for until it is one."""

    def check(text: str) -> str:
        if not is_device_id(text):
            raise click.UsageError(
                f"{text!r} is not a device id (letters, digits, _ and -, at most 64, never 'bridge')"
            )
        if text in taken:
            raise click.UsageError(f"{text} is the name of another terminal")
        return text

    name: str = click.prompt("Name of the terminal in the topics", default=default, value_proc=check)
    return name


def _found(network: str | None, folder: Path, known: tuple[Terminal, ...]) -> Iterator[Terminal]:
    """The terminals that were found and are wanted, under the names that the person gives them."""
    taken = [each.id for each in known]
    found = find(networks_of(network), STANDARD_PORT, key=None, lock_dir=None)
    say(*table(found))
    names = ids(found)
    for each in found:
        if each.state not in ("terminal", "key needed") or not click.confirm(f"Add {each.host}?", default=True):
            continue
        name = _ask_name(names[each.host], taken)
        taken.append(name)
        key = _write_secret(folder / f"{name}.key", "Comm Key") if each.state == "key needed" else None
        yield Terminal(name, each.host, each.port, each.transport, key)


def _write_secret(path: Path, what: str = "Password") -> str:
    """Ask for a secret and write it to a file that only this user can read; the file's name."""
    password = click.prompt(f"{what} (kept in {path})", hide_input=True)
    path.touch(mode=0o600)
    path.write_text(password, encoding="utf-8")
    return path.name


def _device(text: str) -> Terminal:
    name, separator, address = text.partition("=")
    if not separator or not name or not address:
        raise click.BadParameter(f"{text!r} is not ID=HOST or ID=HOST:PORT", param_hint="--device")
    return Terminal(name, *_address(address, STANDARD_PORT))


def _address(text: str, port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, or `[address]:port`."""
    host, separator, number = text.rpartition(":")
    if not separator or "]" in number or (":" in host and not host.startswith("[")):
        return text.strip("[]"), port
    if not number.isdecimal() or not 0 < int(number) < 65536:
        raise click.BadParameter(f"{number!r} is not a port (1 to 65535)")
    return host.strip("[]"), int(number)


def is_attended() -> bool:
    """Whether a person sits at the keyboard."""
    return sys.stdin.isatty()
