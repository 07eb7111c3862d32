"""What one request costs the disk, in commits and in waits for it, which are exact."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.support.judging import Judging, keep_drafts
from tests.support.waiting import wait_until
from zkbridge.contract.messages import Reply
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Finish, Request

FULL, NORMAL = 2, 1


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


def keep(ledger: Ledger, count: int) -> list[Request]:
    """So many requests, as if they had come together."""
    drafts = [
        Draft(digest=b"%d" % number, topic="t", fallback="t", device="d", command="users/create", params=b"{}")
        for number in range(count)
    ]
    kept = keep_drafts(ledger, drafts, Judging())
    return [one.request for one in kept if one.request is not None]


def live(ledger: Ledger, count: int) -> None:
    """The life of so many requests that share everything."""
    requests = keep(ledger, count)
    ledger.running((request.id, {"uid": 1}) for request in requests)
    done = [Finish(request, Reply(200, "created", b"{}")) for request in requests]
    finished = ledger.finish(done, pending_enable="d")
    ledger.enables.mark_enabled("d")
    ledger.replies.release(finished.answers)
    ledger.replies.sent(answer.id for answer in finished.answers)


@pytest.mark.parametrize("count", [1, 64])
def test_a_request_waits_for_the_disk_when_kept_noted_and_finished_and_at_no_other_time(
    ledger: Ledger, count: int
) -> None:
    commits, syncs = ledger.database.commits, ledger.database.syncs

    live(ledger, count)

    assert ledger.database.commits - commits == 4
    assert ledger.database.syncs - syncs == 3
    assert ledger.replies.unsent(count) == []
    assert ledger.enables.devices() == set()


def test_nothing_is_asked_of_the_ledger_that_need_not_be(ledger: Ledger) -> None:
    """Every statement gives the interpreter to other threads, several times."""
    live(ledger, 1)
    asked: list[str] = []
    ledger.database._db.set_trace_callback(asked.append)

    live(ledger, 1)

    # SQLite tells a statement anew for each one that its triggers make of it.
    words = Counter(statement.split()[0] for statement, _again in groupby(asked))
    assert words == {"INSERT": 2, "UPDATE": 3, "SELECT": 1, "DELETE": 1, "BEGIN": 1, "COMMIT": 1, "PRAGMA": 2}


def test_only_what_may_be_sent_or_done_twice_does_not_wait_for_the_disk(ledger: Ledger) -> None:
    (request,) = keep(ledger, 1)
    assert synchronous(ledger) == FULL
    ledger.finish([Finish(request, Reply(200, "created", b"{}"))])
    assert synchronous(ledger) == FULL

    ledger.replies.sent([1])
    assert synchronous(ledger) == NORMAL

    ledger.facts.remember("d", "terminal", "{}")
    assert synchronous(ledger) == FULL


def test_what_needs_the_disk_gets_it_also_in_the_company_of_what_does_not(ledger: Ledger) -> None:
    (request,) = keep(ledger, 1)
    ledger.finish([Finish(request, Reply(200, "created", b"{}"))])
    answer = 1
    syncs = ledger.database.syncs

    with ledger.database._lock:  # as if a commit were under way while both arrive
        threads = [
            in_a_thread(lambda: ledger.replies.sent([answer])),
            in_a_thread(lambda: ledger.facts.remember("d", "terminal", "{}")),
        ]
        wait_until(lambda: len(ledger.database._jobs) == 2)
    for thread in threads:
        thread.join()

    assert ledger.database.syncs == syncs + 1
    assert synchronous(ledger) == FULL


def test_the_life_of_a_lone_request_is_written_in_few_small_pages(ledger: Ledger) -> None:
    for _ in range(20):
        live(ledger, 1)
    ledger.scrub()

    live(ledger, 1)

    log = ledger.path.with_name("ledger.db-wal").stat().st_size
    assert ledger.database._db.execute("PRAGMA page_size").fetchone()[0] == 1024
    assert log <= 40 * 1024


def test_the_head_of_the_log_is_written_before_a_request_needs_it(ledger: Ledger) -> None:
    """SQLite waits for the disk once more at the first commit to an empty log."""
    live(ledger, 1)

    ledger.scrub()

    assert synchronous(ledger) == NORMAL
    assert ledger.path.with_name("ledger.db-wal").stat().st_size > 0
    size = ledger.path.with_name("ledger.db-wal").stat().st_size
    ledger.scrub()
    assert ledger.path.with_name("ledger.db-wal").stat().st_size == size  # nothing was freed: nothing is written


def synchronous(ledger: Ledger) -> int:
    """How SQLite made the last commit."""
    return int(ledger.database._db.execute("PRAGMA synchronous").fetchone()[0])


def in_a_thread(work: Callable[..., None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread
