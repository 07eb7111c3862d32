"""docs/reference.md: the tables of the contract, made from the commands' declarations and the errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.docs import commands as tables
from tests.docs.errors import codes_of_commands, meaning
from tests.project.tree import ROOT
from zkbridge.asyncapi.document import document
from zkbridge.asyncapi.examples import error_classes, example_failures
from zkbridge.asyncapi.site import Site
from zkbridge.commands import commands

PAGE = ROOT / "docs" / "reference.md"
BEGIN, END = "<!-- reference -->\n", "<!-- /reference -->\n"


def page() -> str:
    """Return the page with its tables as the commands are now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = ["## Commands", *_commands(), "", "## Fields", *_fields(), "", "## Errors", *_errors(), ""]
    return before + BEGIN + "\n".join(parts) + END + after


def _commands() -> Iterator[str]:
    yield from ("", "| topic after `zk/D/` | request | success |", "|---|---|---|")
    yield from map(tables.request_and_success, commands().values())


def _fields() -> Iterator[str]:
    """Each field once for each meaning, with the commands that have it."""
    schemas = document(Site())["components"]["schemas"]
    users: dict[tuple[str, str], list[str]] = {}
    for command in commands().values():
        head, *parts = command.name.replace("-", "/").split("/")
        schema = schemas[f"{head}{''.join(part.capitalize() for part in parts)}Request"]
        for name, field in schema["properties"].items():
            users.setdefault((name, _rule(field)), []).append(command.name)
    yield from ("", "| field | what it may be | commands |", "|---|---|---|")
    for (name, rule), names in sorted(users.items()):
        yield f"| `{name}` | {rule} | {_of(names)} |"


def _rule(field: Mapping[str, Any]) -> str:
    default = f" Default `{json.dumps(field['default'])}`." if field.get("default") is not None else ""
    return (field.get("description", "") + default).strip().replace("\n", " ").replace("|", "\\|")


def _errors() -> Iterator[str]:
    kinds = {kind.code: kind for kind in error_classes()}
    yield from ("", "| code | meaning | commands |", "|---|---|---|")
    for code, examples in example_failures(Site()).items():
        names = [name for name, codes in codes_of_commands().items() if code in codes]
        yield f"| {examples[0]['status']} [`{code}`](errors.md#{code}) | {meaning(kinds[code])} | {_of(names)} |"


def _of(names: list[str]) -> str:
    missing = [name for name in commands() if name not in names]
    if not missing:
        return "all"
    if len(missing) < len(names) / 3:
        return "all but " + ", ".join(f"`{name}`" for name in missing)
    return ", ".join(f"`{name}`" for name in names) or "groups"
