"""The ledger's file: what several threads write together is committed together, and stays apart where one fails."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until
from zkbridge.ledger.database import Database

PUT = "INSERT INTO facts VALUES (?, 'name', 'value')"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "state")
    yield database
    database.close()


def subjects(database: Database) -> list[str]:
    return [row[0] for row in database.read("SELECT subject FROM facts ORDER BY subject")]


def together(database: Database, *works: Any) -> list[BaseException | None]:
    """Have threads write at once, with one commit; what each of them raised."""
    raised: list[BaseException | None] = [None] * len(works)

    def run(place: int) -> None:
        try:
            database.write(works[place])
        except ValueError as error:  # handed to the test
            raised[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    with database._lock:  # as if a commit were under way while the others arrive
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_until(lambda number=number: len(database._jobs) == number)
    for thread in threads:
        thread.join(10)
    return raised


def writes(subject: str) -> Callable[..., Any | None]:
    return lambda db: db.execute(PUT, (subject,)) and None


def fails_after_writing(db: sqlite3.Connection) -> None:
    db.execute(PUT, ("failed",))
    raise ValueError("a fault of this work alone")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_work_that_fails_takes_back_what_it_wrote_and_nothing_else(database: Database, place: int) -> None:
    works = [writes("a"), writes("b")]
    works.insert(place, fails_after_writing)
    before = database.commits

    raised = together(database, *works)

    assert [type(error) for error in raised] == [ValueError if at == place else type(None) for at in range(3)]
    assert subjects(database) == ["a", "b"]
    assert database.commits == before + 1


def test_work_that_fails_alone_leaves_nothing(database: Database) -> None:
    with pytest.raises(ValueError, match="this work alone"):
        database.write(fails_after_writing)

    assert subjects(database) == []
