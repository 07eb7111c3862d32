"""The exit codes in docs/client.md, made from the program's own table."""

from __future__ import annotations

from tests.project.tree import ROOT
from zkbridge.cli.exit_codes import EXIT_CODES, OF_EVERY_COMMAND

PAGE = ROOT / "docs" / "client.md"
BEGIN, END = "<!-- exit codes -->\n", "<!-- /exit codes -->\n"


def page() -> str:
    """The page with the exit codes as the program has them."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    every = [f"| every command but `simulate` | {code} | {meaning} |" for code, meaning in OF_EVERY_COMMAND.items()]
    rows = [
        f"| {_name(command)} | {code} | {meaning} |"
        for command, codes in EXIT_CODES.items()
        for code, meaning in codes.items()
    ]
    return before + BEGIN + "\n".join(["| command | code | |", "|---|---|---|", *rows, *every]) + "\n" + END + after


def _name(command: str) -> str:
    return "a command of the bridge, or an export" if command == "asked" else f"`{command}`"
