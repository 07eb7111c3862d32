"""The commands of the README and of docs/systemd.md, as a machine can run them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands(heading: str, page: str = "README.md") -> list[str]:
    """The lines of the first block of shell commands under *heading* of a page."""
    text = (ROOT / page).read_text()
    section = re.search(rf"^## {re.escape(heading)}.*?^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert section, f"{page} has no commands under {heading!r}"
    return section[1].replace("\\\n", " ").splitlines()


def example() -> tuple[str, str]:
    """The request of "One message, one answer", and its answer."""
    text = (ROOT / "README.md").read_text()
    reply = next(line for line in text.splitlines() if line.startswith('{"success":true'))
    return " ".join(commands("One message, one answer")), reply


def unit() -> str:
    """The service's unit."""
    return (ROOT / "systemd" / "zkbridge.service").read_text()
