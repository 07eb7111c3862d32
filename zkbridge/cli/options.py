"""Options that several commands of the program share."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("config.yaml"),
    envvar="ZKBRIDGE_CONFIG",
    show_default=True,
    help="The configuration file.",
)
