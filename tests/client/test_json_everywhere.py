"""Each command prints JSON for programs; the list of commands comes from the parser."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from tests.project.tree import ROOT
from zkbridge.cli.main import main

#: Commands without `--json`, and how a program reads them all the same.
WITHOUT = {
    "asyncapi": "`--format json`",
    "attendance export": "`--format jsonl`",
    "run": "`log.format: json`",
    "users export": "`--format jsonl`",
}
#: Commands that print an object for each event, until they end; all others print one object.
LINES = {"demo", "simulate", "watch"}
SECTION = (ROOT / "docs" / "client.md").read_text().partition("\n## JSON\n")[2].partition("\n## ")[0]


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Each command of the parser under the words by which it is typed."""

    def walk(command: click.Command, *words: str) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            yield " ".join(words), command
            return
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, *words, name)

    yield from walk(main)


def test_every_command_prints_json_or_names_the_alternative() -> None:
    without = {
        name for name, command in every_command() if not any("--json" in parameter.opts for parameter in command.params)
    }

    assert without == set(WITHOUT)


@pytest.mark.parametrize("command", WITHOUT)
def test_the_page_names_each_exception(command: str) -> None:
    assert f"| `{command}` | {WITHOUT[command]} |" in SECTION


def test_the_page_names_the_commands_that_print_lines() -> None:
    lines = next(line for line in SECTION.splitlines() if "each event" in line)

    assert {name for name in LINES if f"`{name}`" in lines} == LINES
    assert not LINES & set(WITHOUT)


def test_the_help_of_json_distinguishes_an_object_from_lines() -> None:
    for name, command in every_command():
        for option in command.params:
            if isinstance(option, click.Option) and "--json" in option.opts:
                assert option.help is not None
                assert ("each event" in option.help) == (name in LINES), name
