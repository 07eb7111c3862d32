"""The command `simulate`: options in, terminals on the wire until a signal."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import sys
import threading
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zkbridge.simulator.console import json_lines, screen
from zkbridge.simulator.console.control import Control
from zkbridge.simulator.device import profile, switches
from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.network import faults
from zkbridge.simulator.simulator import Simulator, TerminalConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkbridge.simulator.handle.terminal import SimulatedTerminal

_EPILOG = """\b
Examples
  simulate                                     one K40-like terminal on 127.0.0.1:4370
  simulate --count 10 --port 4370              ten of them, ports 4370 to 4379
  simulate --profile bw --comm-key 1234        an old UDP terminal with a key
  simulate --latency 0.127 --set user_capacity=100 --fault on=USER_WRQ,do=close,when=after
  simulate --control 4369                      then: echo '{"do": "punch", "user_id": "1"}' | nc 127.0.0.1 4369

While it runs, type `help`. Passwords and cards are never shown."""


@click.command(epilog=_EPILOG, help="One or more simulated ZKTeco terminals, until Ctrl-C.")
@click.option("--profile", "profile_name", default="tft", show_default=True, metavar="NAME|FILE.toml")
@click.option(
    "--from",
    "report",
    type=click.Path(exists=True, dir_okay=False),
    help="A report of `zkbridge report`: a terminal that behaves so.",
)
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many, on ports one by one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=4370, show_default=True, help="0: any that is free.")
@click.option("--comm-key", type=click.IntRange(0, 0xFFFFFFFF), default=0, help="Communication key; 0 is none.")
@click.option("--transport", type=click.Choice(["both", "tcp", "udp"]), help="Instead of the profile's.")
@click.option("--state", type=click.Path(dir_okay=False), help="File that keeps the tables (one each: FILE.PORT).")
@click.option("--latency", type=click.FloatRange(0), help="Seconds before every answer.")
@click.option("--delivery", metavar="js|separate|coalesced|split-N", help="How bulk answers leave.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A switch; see --list.")
@click.option("--switches", "switch_file", type=click.Path(exists=True, dir_okay=False), help="Switches, as TOML.")
@click.option("--fault", "fault_texts", multiple=True, metavar="on=COMMAND,do=ACTION,…", help="See --list.")
@click.option("--users", type=click.IntRange(0), default=0, help="Users to begin with.")
@click.option("--user", "seeds", multiple=True, metavar="ID[:NAME]", help="One user to begin with.")
@click.option("--control", type=click.IntRange(0, 65535), help="Port for JSON lines on 127.0.0.1; 0: any.")
@click.option(
    "--screen/--lines",
    "wants_screen",
    default=None,
    help="Live screen, or plain lines. [default: screen if there is one]",
)
@click.option("--frames", is_flag=True, help="A line for every frame too (no contents).")
@click.option("--list", "lists", is_flag=True, help="List profiles, switches and faults, and end.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each event, for machines.")
def simulate(  # noqa: PLR0917  click passes all by name
    profile_name: str,
    report: str | None,
    count: int,
    host: str,
    port: int,
    comm_key: int,
    transport: str | None,
    state: str | None,
    latency: float | None,
    delivery: str | None,
    settings: tuple[str, ...],
    switch_file: str | None,
    fault_texts: tuple[str, ...],
    users: int,
    seeds: tuple[str, ...],
    control: int | None,
    wants_screen: bool | None,
    frames: bool,
    lists: bool,
    as_json: bool,
) -> None:
    """Start terminals, say where they listen, and wait for a signal."""
    if lists:
        click.echo(json_lines.listing() if as_json else _listing())
        return
    if wants_screen and as_json:
        raise click.UsageError("--screen is for people and --json for machines: choose one")
    if wants_screen and not _has_screen():
        raise click.UsageError("--screen needs a terminal to show it on; --lines prints instead")
    if wants_screen and not _has_rich():
        raise click.UsageError(
            "--screen needs the package rich: pip install 'zkbridge[screen]'; --lines prints instead"
        )
    chosen = {"transport": transport, "latency": latency, "delivery": delivery}
    wanted = _from_file(switch_file) | _pairs(settings) | {k: v for k, v in chosen.items() if v is not None}
    configs = _configs(report or profile_name, count, port, state, host=host, comm_key=comm_key, switches=wanted)
    with _set_by_signals() as stop, Simulator() as simulator:
        for config in configs:
            _seed(_started(simulator, config), users, seeds, fault_texts)
        remote = None if control is None else _controlled(simulator, control)
        if as_json:
            _report(simulator.terminals, remote, stop, frames=frames)
        else:
            _show(simulator.terminals, remote, stop, wants_screen=wants_screen, frames=frames)
        if remote is not None:
            remote.stop()


@contextlib.contextmanager
def _set_by_signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM inside the `with`; after it they do what they did before."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _controlled(simulator: Simulator, port: int) -> Control:
    try:
        return Control(simulator.terminals, port)
    except OSError as error:
        raise click.ClickException(f"--control: 127.0.0.1:{port}: {error.strerror}") from error


def _report(terminals: list[SimulatedTerminal], remote: Control | None, stop: threading.Event, *, frames: bool) -> None:
    lines = json_lines.JsonLines(stop)
    lines.follow(terminals, frames=frames)
    lines.announce(terminals, remote)
    screen.wait(stop)


def _show(
    terminals: list[SimulatedTerminal],
    remote: Control | None,
    stop: threading.Event,
    *,
    wants_screen: bool | None,
    frames: bool,
) -> None:
    has_screen = (_has_screen() and _has_rich()) if wants_screen is None else wants_screen
    if not has_screen:  # before anyone is told that a terminal is ready: nothing that happens then is left out
        screen.follow(terminals, _print)
        if frames:
            for terminal in terminals:
                _print_frames(terminal)
    for terminal in terminals:
        ways = {"both": "tcp+udp"}.get(terminal.switches.transport, terminal.switches.transport)
        click.echo(f"{terminal.profile} terminal ready on {terminal.host}:{terminal.port} ({ways})")
    if remote is not None:
        click.echo(f"control on 127.0.0.1:{remote.port}")
    sys.stdout.flush()
    if has_screen:
        screen.live(terminals, stop)
    else:
        screen.plain(terminals, stop, _print)


def _has_rich() -> bool:
    return importlib.util.find_spec("rich") is not None


def _has_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _print_frames(terminal: SimulatedTerminal) -> None:
    terminal.machine.journal.on_frame = lambda exchange: _print(f"{terminal.port} {exchange}")


def _print(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


def _configs(profile_name: str, count: int, port: int, state: str | None, **shared: Any) -> list[TerminalConfig]:
    """One a terminal: consecutive ports, serial numbers and files of their own."""
    try:
        serial = profile.load(profile_name).options.get("~SerialNumber", "")
        return [
            TerminalConfig(
                profile=profile_name,
                port=port + place if port else 0,
                serial=f"{serial[:-3]}{place + 1:03}" if count > 1 else None,
                state_file=f"{state}.{port + place}" if state and count > 1 else state,
                **shared,
            )
            for place in range(count)
        ]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _started(simulator: Simulator, config: TerminalConfig) -> SimulatedTerminal:
    try:
        return simulator.add(config)
    except OSError as error:
        where = error.filename or f"{config.host}:{config.port}"
        raise click.ClickException(f"{where}: {error.strerror}") from error
    except ValueError as error:
        raise click.ClickException(f"{config.state_file}: {error}") from error


def _seed(terminal: SimulatedTerminal, users: int, seeds: tuple[str, ...], fault_texts: tuple[str, ...]) -> None:
    try:
        for seed in seeds:
            user_id, _colon, name = seed.partition(":")
            if terminal.machine.terminal.users.find(user_id) is None:
                terminal.add_user(user_id, name)
        terminal.fill_users(max(users - len(terminal.users()), 0))
        for text in fault_texts:
            terminal.faults.add_text(text)
    except (ValueError, Refused) as error:
        raise click.UsageError(str(error)) from error


def _from_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except UnicodeDecodeError:
        raise click.UsageError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path}: {error}") from error


def _pairs(settings: tuple[str, ...]) -> dict[str, Any]:
    pairs = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set {setting}: not NAME=VALUE")
        pairs[name] = value
    return pairs


def _listing() -> str:
    lines = ["Profiles"]
    lines += [f"  {name}: {profile.load(name).title}" for name in profile.available()]
    lines += ["", "Switches (default): meaning"]
    lines += [f"  {name} ({default}): {meaning}" for name, default, meaning, _source in switches.rows()]
    lines += ["", "Faults: on=COMMAND or *, when=before|after, count, skip, delay, after_bytes, frame, code, do="]
    lines += [f"  {name}: {meaning}" for name, meaning in faults.ACTIONS.items()]
    return "\n".join(lines)
