"""The table of commands in README.md, and the rows of that in docs/reference.md, from the commands' declarations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.project.tree import ROOT
from zkbridge.asyncapi.examples import example_success
from zkbridge.asyncapi.parts import SHARED
from zkbridge.asyncapi.site import Site
from zkbridge.commands import Command, commands

BEGIN, END = "<!-- commands -->\n", "<!-- /commands -->\n"


@dataclass(frozen=True)
class Table:
    """One page with a table of all commands between two marks."""

    PAGE: Path
    head: str
    row: Callable[[Command], str]

    def page(self) -> str:
        """Return the page with the table as the commands are now."""
        before, _, rest = self.PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        columns = self.head.count("|") - 1
        rows = [self.head, "|" + "---|" * columns, *map(self.row, commands().values())]
        return before + BEGIN + "\n".join(rows) + "\n" + END + after


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _short(command: Command) -> str:
    return f"| `{command.name}` | {_yes(command.disables)} | {_yes(command.repeatable)} |"


def request_and_success(command: Command) -> str:
    """Return the row of a command: its own fields, and the keys of its answer."""
    return f"| `{command.name}` | {_request(command)} | {_success(command)} |"


def _request(command: Command) -> str:
    fields = {name: field for name, field in command.params.model_fields.items() if name not in SHARED}
    cells = [
        f"`{name}` (required)"
        if field.is_required()
        else f"`{name}`"
        if field.default is None
        else f"`{name}` {json.dumps(field.default)}"
        for name, field in fields.items()
    ]
    return ", ".join(cells)


def _success(command: Command) -> str:
    example = example_success(command, Site())
    keys = [f"`{name}`" for name in command.answer.counts]
    under = command.answer.under
    data = ", ".join(_keys(example[under][0] if command.answer.rows else example[under]))
    keys.append(f"`{under}: [{{{data}}}]`" if command.answer.rows else f"`{under}: {{{data}}}`")
    sentence = [f"`{example['message']}`"] if "message" in example else []
    return ", ".join(sentence + keys)


def _keys(row: dict[str, object]) -> list[str]:
    return [f"{name} {{{', '.join(_keys(each))}}}" if isinstance(each, dict) else name for name, each in row.items()]


README = Table(
    ROOT / "README.md",
    "| topic after `zk/<device_id>/` | disables the terminal meanwhile | may be repeated |",
    _short,
)
