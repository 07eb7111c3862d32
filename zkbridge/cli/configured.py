"""The configuration for commands of the program: loaded, or a message for each fault and the end of the program."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.core import ParameterSource

from zkbridge.cli.output import say
from zkbridge.config import loader
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Config

WRONG_CONFIGURATION = 2


def load_or_exit(path: Path) -> Config:
    """The configuration; ends the program with 2 where it is wrong or missing."""
    try:
        return loader.load(path)
    except ConfigError as error:
        for fault in error.faults:
            say(str(fault), err=True)
        sys.exit(WRONG_CONFIGURATION)


def load_if_any(path: Path) -> Config | None:
    """The same; None where there is no file and none was named."""
    by_default = click.get_current_context().get_parameter_source("path") is ParameterSource.DEFAULT
    return None if by_default and not path.exists() else load_or_exit(path)


def complete_device(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The ids of the configuration's devices, for the shell."""
    try:
        config = loader.load(Path(context.params.get("path") or "config.yaml"))
    except ConfigError:
        return []
    return [each for each in config.devices if each.startswith(incomplete)]
