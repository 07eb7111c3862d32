"""The soak's daemon with leaks put in: each message costs it what `LEAKS` names, for ever."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from unittest import mock

from torture import soak_bridge
from zkbridge.contract.messages import Message
from zkbridge.intake.intake import Intake

LEAKS = "LEAKS"
_MEMORY, _OBJECTS, _ROW, _LINE = 1_000_000, 1_000, 40_000, 4_000
_kept: list[object] = []
_lines = count(1)


def _leak_memory() -> None:
    _kept.append(b"\1" * (_MEMORY + len(_kept)))


def _leak_objects() -> None:
    _kept.append([object() for _ in range(_OBJECTS)])


def _leak_descriptor() -> None:
    os.open(os.devnull, os.O_RDONLY)


def _leak_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def _leak_rows() -> None:
    """Rows that no rule ever deletes; written to the file itself at once, for its size is what is measured."""
    config = json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    ledger = sqlite3.connect(Path(config["state_dir"]) / "ledger.db", timeout=60)
    ledger.executescript("PRAGMA wal_autocheckpoint = 1; CREATE TABLE IF NOT EXISTS leak(row)")
    with ledger:
        ledger.execute("INSERT INTO leak VALUES (zeroblob(?))", (_ROW,))
    ledger.close()


def _leak_log() -> None:
    """Lines that are longer each time: of a log so many bytes a request are no growth."""
    logging.getLogger(__name__).warning("%s", "x" * _LINE * next(_lines))


LEAKING: dict[str, Callable[[], None]] = {
    "memory": _leak_memory,
    "objects": _leak_objects,
    "descriptors": _leak_descriptor,
    "threads": _leak_thread,
    "ledger": _leak_rows,
    "log": _leak_log,
}


def main() -> None:
    """Put the leaks in, then run the soak's daemon."""
    receive = Intake.receive
    leaks = [LEAKING[name] for name in os.environ[LEAKS].split()]

    def leak_and_receive(intake: Intake, messages: Iterable[Message]) -> bool:
        arrived = list(messages)
        for leak in leaks * len(arrived):
            leak()
        return receive(intake, arrived)

    with mock.patch.object(Intake, "receive", leak_and_receive):
        soak_bridge.main()


if __name__ == "__main__":
    main()
