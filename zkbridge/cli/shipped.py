"""The files that come with the program: the commented configuration, and the service's unit."""

from __future__ import annotations

from pathlib import Path

import zkbridge

#: Where a file is: in an installed package, and in a checkout.
_PLACES = {"config.yaml": "config.yaml", "zkbridge.service": "systemd/zkbridge.service"}


def shipped(name: str) -> str:
    """The text of `config.yaml` or `zkbridge.service` as the program's version has it."""
    package = Path(zkbridge.__file__).parent
    installed = package / "shipped" / name
    return (installed if installed.exists() else package.parent / _PLACES[name]).read_text(encoding="utf-8")
