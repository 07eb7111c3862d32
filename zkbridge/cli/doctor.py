"""`zkbridge doctor`: look at one terminal from all sides, and name the page that helps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from zkbridge.cli.configured import complete_device, load_or_exit
from zkbridge.cli.options import config_option
from zkbridge.cli.output import columns, say
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import shown
from zkbridge.terminal.report.diagnosis import Diagnosis, diagnose

#: Exit codes: something keeps the bridge from serving the terminal.
FAILED = 1


@click.command()
@click.argument("device", shell_complete=complete_device)
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def doctor(device: str, path: Path, *, as_json: bool) -> None:
    """Look at DEVICE of the configuration from all sides, without changing it: what is right, odd and wrong.

    It asks the terminal itself, under its lock, so it runs where the terminal can be reached; a bridge of the same
    machine makes room.
    Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage or configuration.
    """
    config = load_or_exit(path)
    if device not in config.devices:
        raise click.BadParameter(f"the configuration has {', '.join(config.devices)}", param_hint="DEVICE")
    try:
        found = diagnose(config.devices[device], lock_dir=config.lock_dir, tell=lambda step: say(step, err=True))
    except BridgeError as error:
        found = [Diagnosis("port", "FAILED", error.sentence("en"), f"docs/errors.md#{error.code}")]
    if as_json:
        say(json.dumps({"device": device, "found": [each._asdict() for each in found]}, ensure_ascii=False))
    else:
        say(*columns([(each.verdict, each.what, shown(each.detail, 500), each.page) for each in found]))
    sys.exit(FAILED if any(each.verdict == "FAILED" for each in found) else 0)
