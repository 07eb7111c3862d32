"""Kinds of terminals, each a TOML file that a user can copy and change."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.device import report
from zkbridge.simulator.device.report import NOT_RECORDED, Recorded
from zkbridge.simulator.device.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = "profiles"
_KEYS = {"title", "firmware", "record", "switches", "options"}


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of terminal is: `record` is the size of a user record in bytes, 72 or 28."""

    name: str
    title: str
    firmware: str
    record: int
    switches: Mapping[str, Any]
    options: Mapping[str, str]
    recorded: Recorded = NOT_RECORDED


def load(name: str) -> Profile:
    """The profile that comes with the simulator under this name, or that a file of this path describes.

    The file is TOML, or a report of a real terminal.

    Raises ValueError when there is none, or when the file does not describe a terminal.
    """
    if name in available():
        text = (files("zkbridge.simulator") / _FOLDER / f"{name}.toml").read_text("utf-8")
    elif Path(name).is_file():
        text = Path(name).read_text("utf-8")
    else:
        raise ValueError(f"no profile {name!r}: there are {', '.join(available())}, or give a TOML file")
    try:
        if report.is_report(text):
            described, recorded = report.content(text)
            return replace(_profile(Path(name).stem, described), recorded=recorded)
        return _profile(Path(name).stem, tomllib.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"profile {name}: {error}") from error


def available() -> tuple[str, ...]:
    """The names of the profiles that come with the simulator."""
    folder = files("zkbridge.simulator") / _FOLDER
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def _profile(name: str, content: dict[str, Any]) -> Profile:
    if unknown := set(content) - _KEYS:
        raise ValueError(f"unknown key {min(unknown)!r}")
    if content["record"] not in (28, 72):
        raise ValueError(f"record: {content['record']} is not 72 or 28")
    switches = content.get("switches", {})
    Switches(**switches)
    return Profile(
        name=name,
        title=str(content["title"]),
        firmware=str(content["firmware"]),
        record=content["record"],
        switches=switches,
        options={key: str(value) for key, value in content.get("options", {}).items()},
    )
