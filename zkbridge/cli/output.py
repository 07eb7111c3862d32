"""Prints lines for people."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from zkbridge.cli.exit_codes import NO_OUTPUT
from zkbridge.contract.texts import shown


def say(*lines: str, err: bool = False, **style: Any) -> None:
    """Print lines on standard output, or standard error: nothing in one can end it or drive the screen.

    JSON stays the same JSON: what cannot be printed becomes JSON's own escape. `style` is that of `click.style`.
    """
    text = "\n".join(shown(line, None) for line in lines)
    stream = sys.stderr if err else sys.stdout
    text = _encodable(text, getattr(stream, "encoding", None) or "utf-8")
    write(click.style(text, **style) if style else text, err=err)


def write(text: str | bytes, *, err: bool = False, newline: bool = True) -> None:
    """Print a text as it is; the program ends with an exit code of its own where standard output takes none."""
    try:
        click.echo(text, err=err, nl=newline)
    except BrokenPipeError:  # the reader has seen enough: click ends the program
        raise
    except OSError as error:
        if not err:
            _give_up_output(error)
        raise


def _give_up_output(error: OSError) -> NoReturn:
    """End the program with an exit code of its own: 1 would say that a request was refused."""
    with contextlib.suppress(OSError, ValueError):  # else Python writes what is left once more, and fails once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    click.echo(f"Standard output cannot be written: {error.strerror}.", err=True)
    sys.exit(NO_OUTPUT)


def no_answer(error: BaseException) -> str:
    """The sentence about a request that got no answer; Ctrl-C has no words of its own."""
    text = str(error) or "no answer so far"
    return text if text.endswith(("?", ".")) else f"{text}."


def say_event(facts: Mapping[str, object]) -> None:
    """Print an event for programs: one line, a JSON object that begins with its moment, `at`; sent at once."""
    say(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}, ensure_ascii=False))
    sys.stdout.flush()


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of as many cells each, as lines whose cells stand below each other."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _encodable(text: str, encoding: str) -> str:
    """The text for a shell that is not UTF-8: what it lacks is escaped as in JSON."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(sign if _has(sign, encoding) else json.dumps(sign)[1:-1] for sign in text)
    return text


def _has(sign: str, encoding: str) -> bool:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
