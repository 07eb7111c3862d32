"""Whose contract the document describes: any bridge's, or that of one configuration."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from zkbridge.asyncapi.parts import first_line
from zkbridge.commands import Command, commands
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import Topics


@dataclass(frozen=True)
class Site:
    """Whose contract is described: any bridge's, or that of one configuration."""

    topics: Topics = field(default_factory=Topics)
    language: Language = "es"
    devices: tuple[str, ...] = ("principal", "entrada")
    groups: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"planta": ("principal", "entrada")})
    known: bool = False
    broker: str = "localhost:1883"
    secure: bool = False
    offered: dict[str, Command] = field(default_factory=commands)


def summary(command: Command) -> str:
    """What the command is for, in a sentence: the first line of its file, without its name."""
    line = first_line(sys.modules[command.run.__module__]).removeprefix(f"{command.name}: ")
    return line[:1].upper() + line[1:]
