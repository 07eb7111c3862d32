"""The rows of a list on the command line, read from a file of JSON lines, of one JSON list, or with commas."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import click


class RowsFile(click.ParamType[list[Any]]):
    """A file with one user a row; `-` is standard input.

    A file that begins with `[` is one JSON list, one that begins with `{` has a JSON object in each line; any other is
    CSV, whose first line names the fields, and in which an empty cell is a field that is not named.
    """

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        """The rows, as they go into the request; what is wrong with one is the bridge's to say."""
        try:
            with click.open_file(value, encoding="utf-8-sig") as file:
                return _rows(file.read())
        except UnicodeDecodeError:
            self.fail(f"{Path(value)} is not UTF-8 text", param, ctx)
        except (OSError, ValueError, csv.Error) as error:
            self.fail(f"{Path(value)}: {error}", param, ctx)


def _rows(text: str) -> list[Any]:
    """Raises ValueError, csv.Error."""
    start = text.lstrip()[:1]
    if start == "[":
        rows: list[Any] = json.loads(text)
        return rows
    if start == "{":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    reader = csv.DictReader(text.splitlines(), strict=True)
    return [{name: cell for name, cell in row.items() if name is not None and cell} for row in reader]
