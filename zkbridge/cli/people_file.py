"""Reads people from a CSV or JSON lines file; an ambiguous value is an error with a question, never a guess."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from zkbridge.contract.characters import id_spelling
from zkbridge.contract.texts import shown

#: The cells of a row as a spreadsheet or a JSON file has them, by COLUMNS: users/create checks their values.
Person = dict[str, Any]
#: The columns of a person; all but the first two may be missing, and their cells may be empty.
COLUMNS = ("user_id", "name", "password", "privilege", "card", "blocked", "valid_from", "valid_until")
#: Columns of `users export` that an import ignores: the terminal sets them itself.
LEFT_OUT = ("uid", "group", "device_id")
NUMBERS = frozenset({"user_id", "password", "privilege", "card"})
#: The form in which a spreadsheet shows a number with many digits.
_SCIENTIFIC = re.compile(r"[0-9]+([.,][0-9]+)?[Ee]\+?[0-9]+")
#: True and false in spreadsheets of several languages.
_TRUTH = {"true": True, "verdadero": True, "1": True, "false": False, "falso": False, "0": False}
#: Encodings to offer for a file that is not UTF-8; the person who knows the names chooses.
_CODE_PAGES = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1256", "cp850", "mac-roman")
#: First characters of a cell that a spreadsheet takes for a formula; `users export` puts an apostrophe before them.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
#: The most characters of a user_id that a terminal has room for.
_LONGEST_ID = 24
_CUT = 60


class WrongFile(Exception):
    """The file cannot be imported as it is; `str` says why, and what to do."""


def read_people(path: Path, encoding: str | None = None, *, take_marks: bool = False) -> list[Person]:
    """The people in a file, each as the fields of `users/create` that it names. Raises WrongFile, OSError.

    A file whose name ends in `.jsonl` or `.ndjson` has a JSON object a line. `take_marks` takes `'0010` and `="0010"`
    as 0010.
    """
    text = _decoded(path.read_bytes(), encoding)
    people = _from_lines(text) if path.suffix in (".jsonl", ".ndjson") else _from_csv(text, take_marks=take_marks)
    if not people:
        raise WrongFile("has no people in it")
    _check_ids([str(person.get("user_id", "")) for person in people])
    return people


def _decoded(data: bytes, encoding: str | None) -> str:
    if encoding is None and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"  # Excel's "Unicode text", which says so itself
    try:
        return data.decode(encoding or "utf-8-sig")
    except LookupError:
        raise WrongFile(f"there is no encoding {encoding}") from None
    except UnicodeError:
        if encoding is not None:
            raise WrongFile(f"is not {encoding}") from None
    line = next(line for line in data.splitlines() if not line.isascii())[:_CUT]
    readings = "".join(f"\n  --encoding {name:9} {line.decode(name, 'replace')!r}" for name in _CODE_PAGES)
    raise WrongFile(f"is not UTF-8. Which of these is right? Run it again with it:{readings}")


# -- CSV -----------------------------------------------------------------------------------------------------------


def _from_csv(text: str, *, take_marks: bool) -> list[Person]:
    first, _, rest = text.partition("\n")
    told = re.fullmatch(r"sep=(.)\r?", first)  # Excel's own way to name the separator
    text, head = (rest, rest.partition("\n")[0]) if told else (text, first)
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=told[1] if told else max(",;\t", key=head.count), restkey=""
    )
    _check_columns(reader.fieldnames or ())
    try:
        cells = [{column: _cell(row, column) for column in COLUMNS} for row in reader if not _overflows(row)]
    except csv.Error as error:
        raise WrongFile(f"line {reader.line_num} is no CSV: {error}") from None
    rows = [row for row in cells if any(row.values())]
    if take_marks:
        rows = [{column: _without_mark(column, cell) for column, cell in row.items()} for row in rows]
    _ask_back(rows)
    return [{column: _typed(column, cell) for column, cell in row.items() if cell} for row in rows]


def _cell(row: dict[str, Any], column: str) -> str:
    return (row.get(column) or "").strip()


def _overflows(row: dict[str, Any]) -> bool:
    """Raise WrongFile for a row with more cells than the first line names: its separators cannot be trusted."""
    if any(cell.strip() for cell in row.get("") or ()):
        raise WrongFile(f"the row of user_id {shown(row.get('user_id') or '')!r} has more cells than there are columns")
    return False


def _check_columns(columns: Sequence[str]) -> None:
    unknown = [column for column in columns if column not in (*COLUMNS, *LEFT_OUT)]
    missing = [column for column in ("user_id", "name") if column not in columns]
    if unknown or missing or len(set(columns)) < len(columns):
        raise WrongFile(
            f"its first line must name the columns, each once: user_id, name and any of {', '.join(COLUMNS[2:])}"
            + (f"; it names {', '.join(map(shown, unknown))}" if unknown else "")
        )


def _without_mark(column: str, cell: str) -> str:
    """`'0010` and `="0010"` are how a spreadsheet is made to keep the zeros; a name may begin with an apostrophe."""
    if formula := re.fullmatch(r'="([^"]*)"', cell):
        return formula[1]
    return cell[1:] if cell.startswith("'") and (column in NUMBERS or cell[1:].startswith(FORMULAS)) else cell


def _ask_back(rows: list[dict[str, str]]) -> None:
    """Raise WrongFile if a cell is a spreadsheet's way to say something else, or has been spoilt by one."""
    cells = [(number, column, cell) for number, row in enumerate(rows, 1) for column, cell in row.items()]
    for is_so, sentence in _QUESTIONS:
        found = [(number, column) for number, column, cell in cells if is_so(column, cell)]
        if found:
            number, column = found[0]
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            raise WrongFile(f"{column} of person {number}{more} {sentence}")


_QUESTIONS: tuple[tuple[Callable[[str, str], bool], str], ...] = (
    (lambda _, cell: len(cell.splitlines()) > 1, "has a line break: take it out"),
    (
        lambda column, cell: _without_mark(column, cell) != cell,
        "has a spreadsheet's mark for text ('0010 or =\"0010\"): if 0010 is meant, add --take-marks",
    ),
    (
        lambda column, cell: column in NUMBERS and bool(_SCIENTIFIC.fullmatch(cell)),
        "has lost digits (1.2E+10): format the column as text, and type it again",
    ),
    (
        lambda column, cell: column == "blocked" and bool(cell) and cell.lower() not in _TRUTH,
        "is neither true nor false",
    ),
)


def _typed(column: str, cell: str) -> str | bool:
    return _TRUTH[cell.lower()] if column == "blocked" else cell


# -- JSON lines ----------------------------------------------------------------------------------------------------


def _from_lines(text: str) -> list[Person]:
    return list(_persons(enumerate(text.split("\n"), 1)))


def _persons(lines: Iterable[tuple[int, str]]) -> Iterator[Person]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            person = json.loads(line)
        except ValueError as error:
            raise WrongFile(f"line {number} is no JSON: {error}") from None
        if not isinstance(person, dict):
            raise WrongFile(f"line {number} is no JSON object")
        unknown = [key for key in person if key not in (*COLUMNS, *LEFT_OUT)]
        if unknown:
            raise WrongFile(f"line {number}: {shown(unknown[0])} is no field of a person: {', '.join(COLUMNS)}")
        yield {column: person[column] for column in COLUMNS if person.get(column) is not None}


def _check_ids(ids: list[str]) -> None:
    """Check the user_ids: each row needs one, and none may stand there twice, in whatever spelling."""
    wrong = {each for each in ids if not each or not each.isprintable() or len(each) > _LONGEST_ID}
    spellings = [id_spelling(each.strip()) for each in ids]
    counts = Counter(spellings)
    twice = {each for each, spelling in zip(ids, spellings, strict=True) if counts[spelling] > 1}
    if wrong or twice:
        told = ", ".join(repr(shown(each)) for each in sorted(wrong | twice)[:20])
        raise WrongFile(f"no user_id, or one that stands there more than once: {told}")
