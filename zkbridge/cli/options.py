"""Options that several commands of the program share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click


class _Seconds(click.FloatRange):
    """A time to wait, up to a day."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; `nan`, which compares with no bound, is none."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


SECONDS = _Seconds(0, 86_400, min_open=True)

config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("config.yaml"),
    envvar="ZKBRIDGE_CONFIG",
    show_default=True,
    help="The configuration file.",
)
