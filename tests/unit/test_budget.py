"""What the ledger forgets to stay within its bytes, and that it keeps what is still open."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import Judging, keep_drafts
from zkbridge.contract.messages import Reply
from zkbridge.ledger.budget import FREE_AT_LEAST, RECENT_S, TURNED_AWAY_S, Budget, Reserve
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Finish

MEGABYTE = 1_048_576
REFUSED = Reply(400, "body_required", b"{}" + b" " * 4000)
DONE = Reply(200, "ok", b"{}" + b" " * 4000)


class Site:
    """A ledger with a clock in the test's hand."""

    def __init__(self, folder: Path) -> None:
        self.now = 1e9
        self.ledger = Ledger(folder, clock=lambda: self.now)
        self.budget = Budget(self.ledger, Reserve(folder), clock=lambda: self.now)

    def turn_away(self, count: int, *, sent: bool = True) -> None:
        drafts = [self._draft()._replace(reply=REFUSED) for _ in range(count)]
        self._keep(drafts)
        self._send(sent)

    def do(self, count: int, *, sent: bool = True, finished: bool = True) -> None:
        kept = self._keep([self._draft() for _ in range(count)])
        if finished:
            done = self.ledger.finish([Finish(each.request, DONE) for each in kept])
            self.ledger.replies.release(done.answers)
            self._send(sent)

    def _draft(self) -> Draft:
        return Draft(digest=b"d", topic="t", fallback="t", device="d", command="ping", params=b"{}" + b" " * 4000)

    def _keep(self, drafts: list[Draft]) -> Any:
        return keep_drafts(self.ledger, drafts, Judging(refusal=lambda _: None, reused=lambda _: REFUSED))

    def _send(self, sent: bool) -> None:
        if sent:
            self.ledger.replies.sent([answer.id for answer in self.ledger.replies.unsent(10_000)])

    def count(self) -> tuple[Any, ...]:
        """Answers to what was turned away, and requests."""
        return self.ledger.inspect(
            lambda db: tuple(
                db.execute(query).fetchone()[0]
                for query in ("SELECT count(*) FROM answers WHERE request IS NULL", "SELECT count(*) FROM requests")
            )
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.ledger.close()


def test_what_was_turned_away_is_remembered_for_minutes_and_what_was_done_for_longer(site: Site) -> None:
    site.turn_away(3)
    site.do(2)
    assert site.budget.tidy(64 * MEGABYTE) == 0
    site.now += TURNED_AWAY_S + 1
    assert site.budget.tidy(64 * MEGABYTE) == 3
    assert site.count() == (0, 2)


def test_over_its_bytes_what_was_turned_away_goes_first_and_then_the_oldest(site: Site) -> None:
    site.do(150)
    site.turn_away(150)
    site.budget.tidy(MEGABYTE)
    turned_away, done = site.count()
    assert turned_away == 0
    assert 0 < done <= 150

    site.do(200)
    site.budget.tidy(MEGABYTE)
    assert site.ledger.inspect(lambda db: db.execute("SELECT min(id) FROM requests").fetchone()[0] or 351) > 150


@pytest.mark.parametrize("kind", ["unfinished", "done and not confirmed", "turned away and not confirmed"])
def test_what_is_open_is_never_forgotten(site: Site, kind: str) -> None:
    if kind == "unfinished":
        site.do(600, finished=False)
    elif kind == "done and not confirmed":
        site.do(600, sent=False)
    else:
        site.turn_away(600, sent=False)
    before = site.count()
    site.now += 30 * 86_400
    assert site.budget.tidy(MEGABYTE) == site.budget.make_room() == 0
    assert site.count() == before


def test_a_full_disk_leaves_what_was_done_within_the_hour(site: Site) -> None:
    site.do(50)
    site.now += RECENT_S + 1
    site.do(50)
    site.turn_away(50)
    site.budget.make_room()
    assert site.count() == (0, 50)


def test_the_flood_that_filled_the_disk_leaves_a_ledger_within_its_bytes(site: Site) -> None:
    for _ in range(6):
        site.turn_away(500)
        site.budget.tidy(4 * MEGABYTE)
    pages, size = site.ledger.inspect(
        lambda db: (db.execute("PRAGMA page_count").fetchone()[0], db.execute("PRAGMA page_size").fetchone()[0])
    )
    assert pages * size < 8 * MEGABYTE


def test_the_ledger_reports_a_full_disk_and_works_again_after_room_was_made(site: Site) -> None:
    told = []

    class Watch:
        def full(self) -> None:
            told.append(True)

    site.ledger.database.watch = Watch()
    site.turn_away(400)
    pages = site.ledger.inspect(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    site.ledger.database._db.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(LedgerUnavailable, match="full"):
        site.do(400, finished=False)
    assert told == [True]

    site.budget.make_room()
    assert site.ledger.inspect(lambda db: db.execute("PRAGMA freelist_count").fetchone()[0]) * 1024 >= FREE_AT_LEAST
    site.do(100)


def test_the_reserve_holds_room_and_gives_it_up(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    assert reserve.hold()
    assert reserve.hold()
    path = tmp_path / "ledger.reserve"
    assert path.stat().st_blocks * 512 >= 4 * MEGABYTE
    assert path.stat().st_mode & 0o777 == 0o600
    reserve.release()
    reserve.release()
    assert not path.exists()


def test_no_room_is_held_in_reserve_where_there_is_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zkbridge.ledger.budget.HELD_WITH_FREE", 1 << 60)
    assert not Reserve(tmp_path).hold()
    assert list(tmp_path.iterdir()) == []


def test_a_start_on_a_full_disk_gets_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Reserve(tmp_path)
    reserve.hold()
    reserve.release_if_full()
    assert (tmp_path / "ledger.reserve").exists()
    monkeypatch.setattr("zkbridge.ledger.budget.FREE_AT_LEAST", 1 << 60)
    reserve.release_if_full()
    assert not (tmp_path / "ledger.reserve").exists()


def test_a_ledger_whose_pages_cannot_be_counted_raises(site: Site) -> None:
    def fail(_db: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(LedgerUnavailable, match="disk I/O"):
        site.ledger.inspect(fail)
