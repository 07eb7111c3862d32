"""How log lines look: text for people, JSON for machines. Neither shows a secret or a line break that a caller sent.

A line is one line. Of an exception only its class and the places in the code are logged, for its text may quote a
payload; exceptions of this package are logged with their text. Beside the message JSON has fields of their own for what
stands in it as `name=…`, and only for the names here.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from zkbridge.contract.texts import shown

#: What may stand in a field of its own.
FIELDS = frozenset({"device", "command", "request", "request_id", "status", "code", "seconds", "error_id", "answer"})
#: How many exceptions that led to one another are logged.
MOST_CAUSES = 5
_PLACE = re.compile(r"(?:\b(\w+)=)?%[-#0 +]*\d*(?:\.\d+)?([a-zA-Z%])")

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class TextFormatter(logging.Formatter):
    """One line for people, and one for each exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines for a record."""
        return super().format(_without_their_words(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name for it
        """The line, without a line break that a caller or a terminal sent."""
        return shown(super().formatMessage(record), None)

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - as above
        """What was raised, and where."""
        return "\n".join(f"  {name} at {', '.join(places)}" for name, places in explain(ei[1]))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the fields, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        record = _without_their_words(record)
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | dict(_fields(record))
        if record.exc_info:
            entry["error"] = [{"type": name, "at": places} for name, places in explain(record.exc_info[1])]
        return shown(json.dumps(entry, ensure_ascii=False), None)


def set_up(level: str, *, as_json: bool) -> None:
    """Log to standard error from a level on (`info`); under systemd the journal adds the time itself."""
    handler = logging.StreamHandler(sys.stderr)
    if as_json:
        handler.setFormatter(JsonFormatter())
    else:
        time = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
        handler.setFormatter(TextFormatter(f"{time}%(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    _collect_no_more()


def _collect_no_more() -> None:
    """No line shows its thread, its process or its place in the code: logging need not look for them each time.

    Source: Python's Logging HOWTO, "Optimization".
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - documented so


def explain(error: BaseException | None) -> Iterator[tuple[str, list[str]]]:
    """The exception and those that led to it: what they are, and where they passed, innermost place last.

    Errors of the system are shown with their text (`ConnectionRefusedError: Connection refused`); all others are not.
    """
    for _ in range(MOST_CAUSES):
        if error is None:
            return
        yield _class_of(error), [_place(frame) for frame in traceback.extract_tb(error.__traceback__)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _class_of(error: BaseException) -> str:
    words = f": {os.strerror(error.errno)}" if isinstance(error, OSError) and error.errno else ""
    return type(error).__name__ + words


def _without_their_words(record: logging.LogRecord) -> logging.LogRecord:
    """The text of an exception that is a value in the line: only this package's own ones have one."""
    if not isinstance(record.args, tuple) or not any(isinstance(value, BaseException) for value in record.args):
        return record
    tamed = copy.copy(record)
    tamed.args = tuple(
        _class_of(value) if isinstance(value, BaseException) and not _is_ours(value) else value for value in record.args
    )
    return tamed


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == __name__.partition(".")[0]


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str | int | float | None]]:
    if not isinstance(record.args, tuple):
        return
    for name, value in zip(_names(str(record.msg)), record.args, strict=False):
        if name not in FIELDS:
            continue
        if isinstance(value, float):
            yield name, round(value, 3)
        elif value is None or isinstance(value, (str, int)):
            yield name, value


@lru_cache(maxsize=256)
def _names(message: str) -> tuple[str, ...]:
    """The name before each place that takes a value; empty where there is none."""
    return tuple(place[1] or "" for place in _PLACE.finditer(message) if place[2] != "%")
