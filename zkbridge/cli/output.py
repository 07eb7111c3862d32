"""What the program prints for people, one line at a time."""

from __future__ import annotations

from typing import Any

import click

from zkbridge.contract.texts import shown


def say(*lines: str, err: bool = False, **style: Any) -> None:
    """Print lines on standard output, or standard error: nothing in one can end it or drive the screen.

    JSON stays the same JSON: what cannot be printed becomes JSON's own escape. `style` is that of `click.style`.
    """
    text = "\n".join(shown(line, None) for line in lines)
    click.echo(click.style(text, **style) if style else text, err=err)
