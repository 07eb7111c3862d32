"""The ledger's file: what several threads write together is committed together, and stays apart where one fails."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until
from zkbridge.ledger.database import Database
from zkbridge.ledger.errors import LedgerUnavailable

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


class TestATransactionInTheCallersOwnThread:
    def test_writes_that_wait_are_committed_with_it(self, database: Database) -> None:
        before = database.commits, database.syncs
        writers = [threading.Thread(target=database.write, args=(writes(name),)) for name in "bc"]

        with database.transaction() as db:
            db.execute(PUT, ("a",))
            for number, writer in enumerate(writers, 1):
                writer.start()
                wait_until(lambda number=number: len(database._jobs) == number)
        for writer in writers:
            writer.join(10)

        assert subjects(database) == ["a", "b", "c"]
        assert (database.commits, database.syncs) == (before[0] + 1, before[1] + 1)

    def test_it_goes_before_a_write_that_waited_longer_and_takes_it_along(self, database: Database) -> None:
        before = database.commits
        writer = threading.Thread(target=database.write, args=(writes("b"),))
        own = threading.Thread(target=self.write_in_a_transaction, args=(database, "a"))

        with database._lock:  # as if a commit were under way while both arrive
            writer.start()
            wait_until(lambda: len(database._jobs) == 1)
            own.start()
            wait_until(lambda: not database._may_lead.is_set())
        for thread in (writer, own):
            thread.join(10)

        assert subjects(database) == ["a", "b"]
        assert database.commits == before + 1

    def test_an_error_inside_takes_back_its_own_writes_and_no_others(self, database: Database) -> None:
        writer = threading.Thread(target=database.write, args=(writes("b"),))

        def fail() -> None:
            writer.start()
            wait_until(lambda: len(database._jobs) == 1)
            raise ValueError("inside")

        with pytest.raises(ValueError, match="inside"):
            self.write_in_a_transaction(database, "a", then=fail)
        writer.join(10)

        assert subjects(database) == ["b"]

    def test_a_write_that_fails_takes_nothing_of_it_back(self, database: Database) -> None:
        raised: list[BaseException] = []

        def fail() -> None:
            try:
                database.write(fails_after_writing)
            except ValueError as error:
                raised.append(error)

        writer = threading.Thread(target=fail)
        with database.transaction() as db:
            db.execute(PUT, ("a",))
            writer.start()
            wait_until(lambda: len(database._jobs) == 1)
        writer.join(10)

        assert subjects(database) == ["a"]
        assert len(raised) == 1

    def test_a_statement_that_is_wrong_is_raised_as_it_is(self, database: Database) -> None:
        with pytest.raises(sqlite3.IntegrityError):
            self.write_in_a_transaction(database, "a", "a")

        assert subjects(database) == []

    def test_a_disk_that_fails_inside_is_an_error_and_nothing_is_kept(self, database: Database) -> None:
        def fail() -> None:
            raise sqlite3.OperationalError("disk I/O error")

        with pytest.raises(LedgerUnavailable, match="disk I/O error"):
            self.write_in_a_transaction(database, "a", then=fail)

        assert subjects(database) == []

    def test_a_failed_commit_is_an_error_for_all_who_wrote(self, database: Database) -> None:
        raised: list[BaseException] = []

        def fail(_db: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        def write() -> None:
            try:
                database.write(fail)
            except LedgerUnavailable as error:
                raised.append(error)

        writer = threading.Thread(target=write)

        def begin() -> None:
            writer.start()
            wait_until(lambda: len(database._jobs) == 1)

        with pytest.raises(LedgerUnavailable, match="disk I/O error"):
            self.write_in_a_transaction(database, "a", then=begin)
        writer.join(10)

        assert len(raised) == 1
        assert subjects(database) == []

    @staticmethod
    def write_in_a_transaction(database: Database, *subjects: str, then: Callable[[], None] = lambda: None) -> None:
        with database.transaction() as db:
            for subject in subjects:
                db.execute(PUT, (subject,))
            then()
