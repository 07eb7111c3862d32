"""`zkbridge report`: find out how a terminal behaves, and write it into a file that can be sent."""

from __future__ import annotations

import json
import os
import re
import sys
from functools import cache
from pathlib import Path

import click

import zkbridge
from zkbridge.cli.configured import complete_device, load_if_any
from zkbridge.cli.options import config_option
from zkbridge.cli.output import say
from zkbridge.config.models import MAX_COMM_KEY, Config, Device
from zkbridge.contract.errors import BridgeError
from zkbridge.terminal.report.redaction import StillThere
from zkbridge.terminal.report.take import Report, take
from zkbridge.terminal.report.trial import CannotTry

#: Exit codes: no terminal was reached, or the report could not be made; wrong usage; something was left behind.
FAILED, WRONG, LEFT_BEHIND, INTERRUPTED = 1, 2, 3, 130
_CONFIRMED = "write"
_WARNING = """\
This changes the terminal for about 20 seconds:
  it adds a user named 'zkbridge test' with two fingerprints that nobody has, and deletes them;
  it keeps people off for 3 seconds, and lets them in again;
  it OPENS THE DOOR for one to ten seconds.
If something fails, or you press Ctrl-C, everything is undone first. The door closes by itself."""


@click.command()
@click.argument("host", shell_complete=complete_device)
@config_option
@click.option("--port", type=click.IntRange(1, 65535), default=4370, show_default=True, help="The terminal's port.")
@click.option(
    "--transport",
    type=click.Choice(["both", "tcp", "udp"]),
    default="both",
    show_default=True,
    help="Over which to ask; both are asked one after the other.",
)
@click.option(
    "--comm-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the terminal's Comm Key. Without it you are asked if the terminal wants one.",
)
@click.option(
    "--timeout", type=click.FloatRange(0.1, 60), default=5.0, show_default=True, help="Seconds to wait for an answer."
)
@click.option(
    "--write", "writes", is_flag=True, help="Also try what changes the terminal, and undo it; opens the door."
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file.  [default: named after the model]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the file, and what was found.")
def report(
    host: str,
    path: Path,
    *,
    port: int,
    transport: str,
    comm_key_file: Path | None,
    timeout: float,
    writes: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Find out how the terminal at HOST behaves, without changing it, and write a report that can be sent.

    HOST is a name, an address, or the id of a device in the configuration. The file holds no name, user_id, card,
    password, serial number, address or fingerprint of yours: they are replaced by made-up ones.
    Exit codes: 0 done, 1 no report, 2 wrong usage or configuration, 3 something of --write could not be undone.
    """
    config = load_if_any(path)
    device = _device(host, port, timeout, config)
    if output is not None and output.exists():
        raise click.BadParameter(f"{output} exists", param_hint="--output")
    folder = Path() if output is None else output.parent
    if not os.access(folder, os.W_OK | os.X_OK):  # said before minutes are spent on the terminal
        raise click.BadParameter(f"nothing can be written in {folder.absolute()}", param_hint="--output")
    if writes:
        _confirm()
    taken = _taken(device, transport, comm_key_file, config, writes=writes)
    if not as_json:
        say(*taken.lines)
    if not taken.reached:
        say(
            f"{device.host}:{device.port} answers neither CONNECT over TCP nor over UDP; nothing was written.", err=True
        )
        sys.exit(FAILED)
    target = output or _free_name(taken)
    target.write_text(taken.text, "ascii")
    if as_json:
        told = {"file": str(target), "found": taken.lines, "not_undone": taken.not_undone or None}
        say(json.dumps(told, ensure_ascii=False))
    else:
        say("", f"Written to {target}. Look through it, then send it: docs/reports.md says how.")
    if taken.not_undone:
        say(taken.not_undone, err=True)
        sys.exit(LEFT_BEHIND)


def _taken(device: Device, transport: str, key_file: Path | None, config: Config | None, *, writes: bool) -> Report:
    """The report; ends the program where there is none."""
    try:
        return take(
            device,
            version=zkbridge.__version__,
            key=cache(lambda: _comm_key(key_file, device)),
            tell=lambda step: say(step, err=True),
            transports=("tcp", "udp") if transport == "both" else (transport,),
            lock_dir=config.lock_dir if config is not None else None,
            write=writes,
        )
    except BridgeError as error:
        say(error.sentence("en"), err=True)
    except CannotTry as error:
        say(f"Nothing was changed: {error}. Take the report without --write.", err=True)
    except StillThere as error:
        say(f"No report: {error}. Please tell the project.", err=True)
    except KeyboardInterrupt:
        say("Stopped; whatever was changed is undone. No report was written.", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(FAILED)


def _device(host: str, port: int, timeout: float, config: Config | None) -> Device:
    """The device of the configuration, or one for a host; the lock goes by the address as it is written."""
    if config is not None and host in config.devices:
        return config.devices[host].model_copy(update={"timeout": timeout})
    try:
        return Device(id="report", host=host, port=port, timeout=timeout)
    except ValueError:
        raise click.BadParameter(f"{host!r} is no host", param_hint="HOST") from None


def _comm_key(path: Path | None, device: Device) -> int:
    """The terminal's key: from the file, from the configuration, or typed and not shown."""
    if path is None and device.comm_key:
        return device.comm_key
    text = path.read_text("utf-8-sig") if path is not None else click.prompt("Comm Key", hide_input=True, err=True)
    if not text.strip().isdecimal() or int(text) > MAX_COMM_KEY:
        raise click.UsageError("the Comm Key is a number")  # which stays unsaid
    return int(text)


def _confirm() -> None:
    say(*_WARNING.splitlines(), err=True)
    if click.prompt(f"Type {_CONFIRMED} to go on", default="", show_default=False, err=True).strip() != _CONFIRMED:
        say("Nothing was done.", err=True)
        sys.exit(WRONG)


def _free_name(taken: Report) -> Path:
    """A name that no file has, after the model."""
    model = next((line.partition(" ")[2].strip() for line in taken.lines if line.startswith("model ")), "")
    name = "terminal-report-" + (re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") or "unknown")
    names = (f"{name}{number}.jsonl" for number in ("", *(f"-{each}" for each in range(2, 1000))))
    return next(Path(each) for each in names if not Path(each).exists())
