"""`zkbridge users import`: create the people of a file on a terminal, and say of each what became of it."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from zkbridge.cli.ask import DONE, FAILED, NO_ANSWER, REFUSED
from zkbridge.cli.broker_options import connection_options, settings_of
from zkbridge.cli.named_file import read_or_exit
from zkbridge.cli.output import no_answer, say
from zkbridge.cli.pages import ask_whole
from zkbridge.cli.people_file import Person, read_people
from zkbridge.cli.row_results import HEAD, Row, row, rows_of
from zkbridge.cli.shell_text import require_text
from zkbridge.client.batch import Batch, TerminalAway
from zkbridge.client.caller import Caller, NoAnswer
from zkbridge.commands import commands
from zkbridge.config.models import Mqtt
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.characters import id_spelling
from zkbridge.contract.errors import BridgeError, RequestIdReused, UserExists
from zkbridge.contract.messages import encode
from zkbridge.contract.texts import shown

_CREATE, _CREATE_MANY = "users/create", "users/create-many"
#: The most people of one request. Several such lists share a session where it has time for them.
ROWS = 200
#: Requests under way at once: other callers get their turn between two of them.
AT_ONCE = 1
#: The longest part of a request_id that names the import; the number of the list follows it.
_LONGEST_NAME = 80


def _import(**given: Any) -> None:
    """Create the people of FILE on DEVICE: a CSV file with a line of column names, or JSON lines (.jsonl).

    Run it again after a break: each request has an id made of the file's name and the place in it, so that nobody is
    created twice. Prints a line for each person; docs/csv-import.md says more.
    """
    require_text({"DEVICE": given["device"], "--batch": given["batch"]})
    settings = settings_of(click.get_current_context(), given["path"], given["broker"])
    people = read_or_exit(
        given["file"], lambda: read_people(given["file"], given["encoding"], take_marks=given["take_marks"])
    )
    results: Path | None = given["results"]
    if results is not None and results.exists():
        raise click.BadParameter(f"{results} exists; it is not written over", param_hint="--results")
    rows, code = (_tried if given["dry_run"] else _done)(settings, given["device"], people, _batch_name(given))
    _tell(rows, results, as_json=given["as_json"])
    sys.exit(code)


import_users = click.Command(
    "import",
    callback=_import,
    help=_import.__doc__,
    epilog="""\b
Exit codes: 0 all users are on the terminal, 1 some users were refused,
2 wrong usage, file or configuration: nothing was asked,
3 the terminal did not answer, 4 some users got no answer.""",
    params=[
        click.Argument(["device"]),
        click.Argument(["file"], type=click.Path(exists=True, dir_okay=False, path_type=Path)),
        click.Option(["--encoding"], help="Of the file, if it is not UTF-8, such as cp1252."),
        click.Option(["--take-marks"], is_flag=True, help='Take \'0010 and ="0010" as 0010.'),
        click.Option(["--dry-run"], is_flag=True, help="Check each row and read who is there; create nobody."),
        click.Option(["--batch"], help="The name of this import; by default the file's name."),
        click.Option(
            ["--results"],
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write the lines into this CSV file instead of printing them.",
        ),
        *connection_options(),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object."),
    ],
)


def _batch_name(given: Mapping[str, Any]) -> str:
    return given["batch"] or re.sub(r"[^\w.-]", "_", given["file"].stem)[:_LONGEST_NAME]


# -- creating ------------------------------------------------------------------------------------------------------


def _done(settings: Mqtt, device: str, people: list[Person], name: str) -> tuple[list[Row], int]:
    """Create them, a list at a time; a row for each, and the exit code."""
    lists = _lists(people, settings.max_payload * 3 // 4)
    answers: dict[int, JsonObject] = {}
    why = NO_ANSWER
    try:
        with _progress(len(people)) as bar:

            def note(place: int, answer: JsonObject) -> None:
                answers[place] = answer
                bar(len(lists[place]))

            _ask_all(settings, device, name, lists, note)
    except TerminalAway as error:
        why = FAILED
        say(f"{shown(str(error), 500)} The terminal stayed away.", err=True)
    except NoAnswer as error:
        say(no_answer(error), err=True)
    except KeyboardInterrupt:
        pass
    rows = [
        each
        for place, part in enumerate(lists)
        for each in rows_of([str(person["user_id"]) for person in part], answers.get(place))
    ]
    if any(each["result"] == "open" for each in rows):
        say("Not everybody was answered. Run it again: it goes on where it stopped.", err=True)
        return rows, why
    rows = _known_again(settings, device, people, rows)
    return rows, DONE if all(each["result"] in ("created", "earlier") for each in rows) else REFUSED


def _lists(people: list[Person], most_bytes: int) -> list[list[Person]]:
    """The people in lists of at most ROWS, and of at most so many bytes as a message; cut in the same places again."""
    lists: list[list[Person]] = [[]]
    size = 0
    for person in people:
        size += len(encode(person)) + 1
        if lists[-1] and (len(lists[-1]) == ROWS or size > most_bytes):
            lists.append([])
            size = len(encode(person)) + 1
        lists[-1].append(person)
    return lists


def _ask_all(
    settings: Mqtt, device: str, name: str, lists: list[list[Person]], answered: Callable[[int, JsonObject], object]
) -> None:
    """Ask for each list; `answered` is called with its place and its answer.

    The n-th list is the request `name:n`. If an earlier run asked for other people under that id, because the file has
    changed since, it is `name:n.2`, and so on. Raises what `Batch.run` raises.
    """
    waiting = dict(enumerate(lists))
    attempt = 1
    while waiting:
        ids = {f"{name}:{place + 1}{'' if attempt == 1 else f'.{attempt}'}": place for place in waiting}

        def note(request: str, answer: JsonObject, ids: dict[str, int] = ids) -> None:
            if answer.get("code") != RequestIdReused.code:
                del waiting[ids[request]]
                answered(ids[request], answer)

        with Batch(settings, device, _CREATE_MANY, at_once=AT_ONCE) as batch:
            batch.run({request: {"users": waiting[place]} for request, place in ids.items()}, note)
        attempt += 1


def _known_again(settings: Mqtt, device: str, people: list[Person], rows: list[Row]) -> list[Row]:
    """The rows, with those as `earlier` whose user_id is taken by the very person: an earlier run has created them.

    That is seen by the device's own list, without the password, which no terminal sends. A group's lists are not read.
    """
    if not any(each["code"] == UserExists.code for each in rows):
        return rows
    try:
        there = _list(settings, device).get("data")
    except NoAnswer as error:
        say(f"{error}. Whether an earlier run has created those who are there is not known.", err=True)
        return rows
    if not isinstance(there, list):
        return rows
    known = {str(user.get("user_id")): user for user in there if isinstance(user, dict)}
    return [
        row(each["user_id"], "earlier", each["code"])
        if each["code"] == UserExists.code and _is_same(person, known)
        else each
        for person, each in zip(people, rows, strict=True)
    ]


def _is_same(person: Person, known: Mapping[str, JsonObject]) -> bool:
    try:
        asked = json.loads(commands()[_CREATE].parse(person, strict=True).stored())
    except BridgeError:
        return False
    user = known.get(str(asked["user_id"]), {})
    return all(user.get(field) == asked.get(field) for field in ("name", "privilege", "card"))


class _progress:  # noqa: N801 - used as a function in a `with`
    """A bar on standard error while a person looks at it; called with how many more are done."""

    def __init__(self, length: int) -> None:
        self._bar = click.progressbar(length=length, file=sys.stderr, show_pos=True, hidden=not sys.stderr.isatty())

    def __enter__(self) -> Callable[[int], None]:
        self._bar.__enter__()
        return self._bar.update

    def __exit__(self, *_: object) -> None:
        self._bar.render_finish()


# -- a dry run -----------------------------------------------------------------------------------------------------


def _tried(settings: Mqtt, device: str, people: list[Person], _name: str) -> tuple[list[Row], int]:
    """Each row by the contract's rules and by who is on the terminal now; nothing is created."""
    try:
        answer = _list(settings, device)
    except (NoAnswer, KeyboardInterrupt) as error:
        say(no_answer(error), err=True)
        sys.exit(NO_ANSWER)
    there = answer.get("data")
    if not isinstance(there, list):
        say(
            shown(str(answer.get("error") or "a group's lists cannot be compared: name one of its devices"), 500),
            err=True,
        )
        sys.exit(FAILED)
    ids = {str(row.get("user_id")) for row in there if isinstance(row, dict)}
    rows = [_tried_row(person, ids) for person in people]
    return rows, DONE if all(row["result"] != "wrong" for row in rows) else REFUSED


def _list(settings: Mqtt, device: str) -> JsonObject:
    """The answer to `users/list`, with all its rows. Raises NoAnswer."""
    with Caller(settings) as caller:
        body = {"request_id": f"cli-{secrets.token_hex(6)}"}
        return ask_whole(lambda member, asked: caller.ask(member, "users/list", asked), device, body)


def _tried_row(person: Person, there: set[str]) -> Row:
    user_id = str(person["user_id"])
    try:
        commands()[_CREATE].parse(person, strict=True)
    except BridgeError as error:
        return row(user_id, "wrong", error.code, error.sentence("en"))
    known = user_id in there or id_spelling(user_id) in there
    return row(user_id, "there" if known else "new")


# -- telling -------------------------------------------------------------------------------------------------------


def _tell(rows: list[Row], results: Path | None, *, as_json: bool) -> None:
    counts = Counter(row["result"] for row in rows)
    say(", ".join(f"{count} {result}" for result, count in counts.items()), err=True)
    if as_json:
        say(json.dumps({"rows": rows, "counts": counts}, ensure_ascii=False))
    elif results is None:
        say(*_csv(rows).splitlines())
    if results is not None:
        results.write_text(_csv(rows), "utf-8")


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, HEAD, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
