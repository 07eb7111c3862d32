"""What can be asked of a terminal: one file a command, found by itself, one function and one parameter model each."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from zkbridge.commands.api.registry import (
    Answer,
    Button,
    Change,
    Command,
    Context,
    HandOver,
    Lasting,
    Lock,
    Onward,
    Params,
    Step,
    inner,
    registered,
)

__all__ = [
    "Answer",
    "Button",
    "Change",
    "Command",
    "Context",
    "HandOver",
    "Lasting",
    "Lock",
    "Onward",
    "Params",
    "Step",
    "commands",
    "inner_commands",
]


def commands() -> dict[str, Command]:
    """Every command by its name (`noun/verb`), from the files of this folder."""
    _import_all()
    return registered()


def inner_commands() -> dict[str, Command]:
    """Every command that only another command can ask for, by its name."""
    _import_all()
    return inner()


@cache
def _import_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        if not module.ispkg:
            importlib.import_module(f"{__name__}.{module.name}")
