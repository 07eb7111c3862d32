"""`zkbridge install`: put the service's unit and a configuration in place, for a program that pip or pipx installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from zkbridge.cli.output import say
from zkbridge.cli.shipped import shipped

UNIT, CONFIGURATION = Path("etc/systemd/system/zkbridge.service"), Path("etc/zkbridge/config.yaml")
#: What the unit in the repository starts.
_AS_SHIPPED = "/opt/zkbridge/bin/zkbridge"
#: Folders that the service cannot see: the unit has ProtectHome.
_HIDDEN = ("/root", "/home")


@click.command()
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), default=Path("/"), hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the files, and whether each is new.")
def install(root: Path, *, as_json: bool) -> None:
    """Install the systemd service for this very program; run it as root.

    A configuration that is there stays, and the unit is written anew. Nothing is started: the commands for that are
    printed.
    """
    program = _program()
    if root == Path("/") and os.geteuid() != 0:
        raise click.UsageError("only root may install a service: sudo zkbridge install")
    if any(map(program.is_relative_to, _HIDDEN)):
        raise click.UsageError(
            f"the service could not see {program}: it may read no home folder. "
            "Install the program elsewhere: sudo python3 -m venv /opt/zkbridge"
        )
    unit, configuration = root / UNIT, root / CONFIGURATION
    stays = configuration.exists()
    try:
        _write(unit, shipped("zkbridge.service").replace(f"={_AS_SHIPPED} ", f"={program} "))
        if not stays:
            _write(configuration, shipped("config.yaml"))
    except OSError as error:
        raise click.UsageError(f"{error.filename} cannot be written: {error.strerror}") from None
    if root == Path("/") and (systemctl := shutil.which("systemctl")):
        subprocess.run([systemctl, "daemon-reload"], check=False)  # noqa: S603 - systemd's own program
    if as_json:
        written = [str(unit), *([] if stays else [str(configuration)])]
        say(json.dumps({"written": written, "stays": [str(configuration)] if stays else [], "program": str(program)}))
        return
    say(f"{unit} is written.", f"{configuration} {'is there and stays' if stays else 'is written'}.")
    say(
        "Next:",
        f"  sudo editor {configuration}",
        f"  {program} check --config {configuration} --connect",
        "  sudo systemctl enable --now zkbridge",
    )


def _program() -> Path:
    """The program as the service is to start it; `python -m zkbridge` has it beside its interpreter."""
    started = Path(sys.argv[0]).absolute()
    if started.parts[-2:] != ("zkbridge", "__main__.py"):
        return started
    beside = Path(sys.executable).with_name("zkbridge")
    if not beside.exists():
        raise click.UsageError(f"there is no {beside}: install the package first, and call the program by its name")
    return beside


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
