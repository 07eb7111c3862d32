"""The command line: arguments, logging, signals, exit code."""

from __future__ import annotations

import gc
import importlib
import logging
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import zkbridge
from zkbridge.cli.options import config_option
from zkbridge.cli.output import say
from zkbridge.runtime.affinity import share_the_interpreter
from zkbridge.runtime.lazy_imports import defer
from zkbridge.runtime.signals import when_signalled

if TYPE_CHECKING:
    from zkbridge.bridge.bridge import Bridge
    from zkbridge.bridge.reload_signal import Reloader
    from zkbridge.config.models import Config
    from zkbridge.runtime.systemd import Notifier

log = logging.getLogger(__name__)

#: Exit codes: a part failed; the configuration is wrong. Stopping as asked is 0.
FAILED, WRONG_CONFIGURATION = 1, 2
#: Seconds until systemd shows what has changed, for example that the broker is there.
STATUS_S = 1.0

_ELSEWHERE = {
    "simulate": "zkbridge.simulator.console.cli:simulate",
    "demo": "zkbridge.demo.command:demo",
    "check": "zkbridge.cli.check:check",
    "asyncapi": "zkbridge.cli.describe:asyncapi",
    "init": "zkbridge.cli.init:init",
    "install": "zkbridge.cli.install:install",
    "devices": "zkbridge.cli.devices:devices",
    "watch": "zkbridge.cli.watch:watch",
    "report": "zkbridge.cli.report:report",
    "doctor": "zkbridge.cli.doctor:doctor",
    "plan": "zkbridge.cli.desired:plan",
    "apply": "zkbridge.cli.desired:apply",
    "discover": "zkbridge.cli.discover:discover",
}


class _Program(click.Group):
    """Commands are imported when they are called: the daemon must not carry the simulator's weight."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name."""
        return sorted({*super().list_commands(ctx), *_ELSEWHERE, *_asked()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, imported now if it lives elsewhere."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name) or _asked().get(cmd_name)
        module, name = _ELSEWHERE[cmd_name].split(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


def _asked() -> dict[str, click.Command]:
    """What can be asked of a running bridge."""
    from zkbridge.cli.ask import subcommands  # noqa: PLC0415 - nobody else needs it
    from zkbridge.cli.backups import short_commands  # noqa: PLC0415 - as above
    from zkbridge.cli.export import export  # noqa: PLC0415 - as above
    from zkbridge.cli.import_users import import_users  # noqa: PLC0415 - as above

    found = subcommands()
    for group, command in (
        ("users", import_users),
        ("users", export("users/list")),
        ("attendance", export("attendance/list")),
    ):
        commands = found[group]
        assert isinstance(commands, click.Group)
        commands.add_command(command)
    return found | short_commands(found)


@click.command(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None})
@click.version_option(zkbridge.__version__, prog_name="zkbridge")
def main() -> None:
    """The MQTT way into ZKTeco terminals: publish one message, get one honest answer."""


@main.command()
@config_option
def run(path: Path) -> None:
    """Run the daemon until it is stopped; SIGHUP makes it read its file again."""
    gc.disable()  # what is loaded now stays: looking for what of it is garbage only takes time
    defer()
    share_the_interpreter()
    # A plugin of pydantic would be shown every payload, and looking for one takes time too.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"
    from zkbridge.bridge.vetting import make_room, remarks, vet  # noqa: PLC0415 - as above
    from zkbridge.config import loader  # noqa: PLC0415 - `--help` should not wait for it
    from zkbridge.config.faults import ConfigError  # noqa: PLC0415 - `--help` should not wait for it
    from zkbridge.runtime.logs import set_up  # noqa: PLC0415 - as above

    try:
        config = vet(loader.load(path))
    except ConfigError as error:
        for fault in error.faults:
            say(str(fault), err=True)
        sys.exit(WRONG_CONFIGURATION)
    set_up(config.log.level, as_json=config.log.format == "json")
    devices, groups = (", ".join(each) or "none" for each in (config.devices, config.groups))
    log.info("zkbridge %s starts with %s; devices: %s; groups: %s", zkbridge.__version__, path, devices, groups)
    make_room(config)
    for remark in [*loader.remarks(config), *remarks(config)]:
        log.warning("%s", remark)
    sys.exit(_serve(config, path))


def _serve(config: Config, path: Path) -> int:
    """The daemon's life; the exit code."""
    from zkbridge.bridge.bridge import Bridge  # noqa: PLC0415 - as above
    from zkbridge.bridge.errors import CannotStart  # noqa: PLC0415 - as above
    from zkbridge.bridge.reload_signal import Reloader  # noqa: PLC0415 - as above
    from zkbridge.runtime.systemd import Notifier  # noqa: PLC0415 - as above

    try:
        bridge = Bridge(config)
    except CannotStart as error:
        say(str(error), err=True)
        return FAILED

    notifier = Notifier()
    reloader = Reloader(path, bridge, notifier)
    end = bridge.ended.set
    when_signalled({signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: reloader.ask})
    if not _started(bridge):
        return FAILED
    notifier.ready(bridge.status())
    reloader.start()
    gc.freeze()  # nor is it looked through later: that would stop every thread for some 10 ms
    gc.enable()
    _watch(bridge, notifier, reloader)
    notifier.stopping()
    if bridge.failure is not None:
        _abandon(bridge)
    reloader.stop()
    bridge.stop()
    return 0


def _started(bridge: Bridge) -> bool:
    """Whether the bridge is at work; if not, why is said."""
    from zkbridge.bridge.errors import CannotStart  # noqa: PLC0415 - as above

    try:
        bridge.start()
    except CannotStart as error:
        say(str(error), err=True)
        bridge.stop()
        return False
    return True


def _watch(bridge: Bridge, notifier: Notifier, reloader: Reloader) -> None:
    """Wait for the end; in between tell systemd's watchdog that all is well, if it is, and people what has changed."""
    interval = notifier.interval() or math.inf
    due = time.monotonic() + interval
    told = ""
    while not bridge.ended.wait(min(interval, STATUS_S) if notifier.is_heard else None):
        status = reloader.status()
        if time.monotonic() >= due:
            due = time.monotonic() + interval
            if bridge.is_well():
                notifier.alive(status)
        elif status != told:
            notifier.status(status)
        told = status


def _abandon(bridge: Bridge) -> NoReturn:
    """A part died: what is on disk is safe, the rest cannot be trusted; systemd starts a new daemon."""
    from zkbridge.runtime.logs import explain  # noqa: PLC0415 - as above

    for name, places in explain(bridge.failure):
        say(f"a part of the bridge failed: {name} at {', '.join(places[-1:])}", err=True)
    sys.stderr.flush()
    os._exit(FAILED)  # threads of a broken bridge must not hold up the restart


if __name__ == "__main__":
    main()
