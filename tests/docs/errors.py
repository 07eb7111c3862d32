"""docs/errors.md: every code with its facts from the code, and with the advice that people wrote on the page."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from tests.project.tree import ROOT
from zkbridge.asyncapi.examples import error_classes, example_failures
from zkbridge.asyncapi.site import Site
from zkbridge.commands import commands
from zkbridge.contract.errors import BridgeError

PAGE = ROOT / "docs" / "errors.md"
UNWRITTEN = "(to be written)"
SKELETON = f"**The caller** {UNWRITTEN}\n\n**The operator** {UNWRITTEN}"
OWN_KEYS = ("success", "error", "status", "code", "request_id")


def page() -> str:
    """The page with the facts as they are now, and the advice as it stands."""
    now = PAGE.read_text()
    written = advice(now)
    kinds = {kind.code: kind for kind in error_classes()}
    spanish, english = example_failures(Site()), example_failures(Site(language="en"))
    rows = [f"| {each[0]['status']} | [`{code}`](#{code}) | {meaning(kinds[code])} |" for code, each in spanish.items()]
    table = "\n".join(["| status | code | meaning |", "|---|---|---|", *rows])
    entries = [
        f"## `{code}`\n\n{_facts(kinds[code], spanish[code], english[code])}\n\n{written.get(code, SKELETON)}\n"
        for code in spanish
    ]
    return "\n".join(
        [now.partition("<!-- codes -->")[0].rstrip() + "\n", f"<!-- codes -->\n{table}\n<!-- /codes -->\n", *entries]
    )


def advice(text: str) -> dict[str, str]:
    """What people wrote on the page, by code."""
    entries = re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return {code: entry.partition("<!-- /facts -->")[2].strip() for code, entry in entries}


def meaning(kind: type[BridgeError]) -> str:
    """What an error is, as its class says."""
    line = (kind.__doc__ or "").strip().partition("\n")[0]
    return line.partition(" Facts:")[0].replace("|", "\\|")


@cache
def codes_of_commands() -> dict[str, frozenset[str]]:
    """Return the codes that each command may be answered with, by its name."""
    return {name: frozenset(example_failures(Site(), command=command)) for name, command in commands().items()}


def _facts(kind: type[BridgeError], spanish: list[dict[str, Any]], english: list[dict[str, Any]]) -> str:
    lines = [f"**{spanish[0]['status']}** · {meaning(kind)}"]
    some = [name for name, codes in codes_of_commands().items() if kind.code in codes]
    if len(some) < len(commands()) / 2:
        lines.append("Answers " + ", ".join(f"`{name}`" for name in some) + ".")
    sentences = []
    for here, there in zip(spanish, english, strict=True):
        sentences.append(f"- {here['error']}")
        if there["error"] != here["error"]:
            sentences[-1] += f"<br>*{there['error']}*"
    more = {key: value for key, value in spanish[0].items() if key not in OWN_KEYS}
    if "results" in more:
        more["results"] = [_short(each) for each in more["results"]]
    if more:
        keys = ", ".join(f"`{key}`: `{json.dumps(value, ensure_ascii=False)}`" for key, value in more.items())
        sentences += ["", f"Also in the reply: {keys}"]
    return "\n".join(["<!-- facts -->", "\n".join(lines), "", *sentences, "<!-- /facts -->"])


def _short(result: dict[str, Any]) -> dict[str, Any]:
    """A device's answer within a group's, by what tells it from others: the page has each of them in full."""
    return {key: result[key] for key in ("device_id", "success", "status", "code")}
