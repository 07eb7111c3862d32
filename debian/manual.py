# ruff: noqa: INP001 - a program beside the files of debhelper
"""Write a manual page for every command, from the help that it prints: manual.py FOLDER."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click_man.core import generate_man_page

import zkbridge
from zkbridge.cli.main import main


def contexts(context: click.Context) -> Iterator[click.Context]:
    """The context of a command, and those of its subcommands, which are found only when they are asked for."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from contexts(click.Context(command, info_name=name, parent=context))


for each in contexts(click.Context(main, info_name="zkbridge")):
    page = Path(sys.argv[1]) / f"{each.command_path.replace(' ', '-')}.1"
    page.write_text(generate_man_page(each, zkbridge.__version__))
