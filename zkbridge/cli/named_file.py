"""A file that a command names: read, or a message and the end of the program."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from zkbridge.cli.configured import WRONG_CONFIGURATION
from zkbridge.cli.output import say
from zkbridge.cli.people_file import WrongFile

T = TypeVar("T")


def read_or_exit(path: Path, read: Callable[[], T]) -> T:
    """What `read` makes of the file; ends the program with 2 where it is wrong or cannot be read."""
    try:
        return read()
    except WrongFile as error:
        say(*f"{path}: {error}".splitlines(), err=True)
    except OSError as error:
        say(f"{path} cannot be read: {error.strerror}", err=True)
    sys.exit(WRONG_CONFIGURATION)
