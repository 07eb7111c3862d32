"""Punches leave in order, and again until the broker has confirmed them; then they are forgotten."""

import pytest

from tests.support.waiting import wait_until
from zkbridge.contract.topics import Topics
from zkbridge.ledger.ledger import Ledger, LedgerUnavailable, Place
from zkbridge.outbox import delivery
from zkbridge.outbox import punches as announcer
from zkbridge.outbox.punches import WINDOW, Announcer


class Bench:
    """An announcer, its ledger, and a broker that does what the test says."""

    def __init__(self, folder):
        self.ledger = Ledger(folder)
        self.published = []
        self.deaths = []
        self.announcer = Announcer(
            self.ledger, Topics("zk"), lambda *sent: self.published.append(sent), died=self.deaths.append
        )
        self.announcer.start()

    def keep(self, *bodies, device="p"):
        self.ledger.tell(device, bodies, Place("SN", 0), most_traces=10)
        self.announcer.wake()

    def bodies(self):
        return [publication.payload for _, publication in self.published]

    def wait_for(self, count):
        wait_until(lambda: len(self.published) >= count, what=f"{count} publications")

    def confirm(self, *tokens):
        for token in tokens:
            self.announcer.confirmed(token, None)

    def close(self):
        self.announcer.stop()
        self.ledger.close()
        assert self.deaths == []


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_a_punch_is_sent_on_its_device_s_topic_and_forgotten_once_confirmed(bench):
    bench.announcer.online()
    bench.keep(b"1", device="entrada")
    bench.wait_for(1)
    token, publication = bench.published[0]

    assert (publication.topic, publication.payload, publication.retain) == ("zk/entrada/attendance/event", b"1", False)
    assert bench.ledger.untold() == 1
    bench.confirm(token)
    wait_until(lambda: bench.ledger.untold() == 0)
    assert b"entrada" not in b"".join(row[0] for row in bench.ledger._read("SELECT body FROM punches"))


def test_nothing_leaves_while_the_broker_is_away(bench):
    bench.keep(b"1", b"2")
    assert bench.announcer.drain(5)
    assert bench.published == []

    bench.announcer.online()
    bench.wait_for(2)
    assert bench.bodies() == [b"1", b"2"]


def test_what_was_not_confirmed_is_sent_again_from_the_oldest_on(bench):
    bench.announcer.online()
    bench.keep(b"1", b"2", b"3")
    bench.wait_for(3)
    bench.confirm(bench.published[0][0])
    wait_until(lambda: bench.ledger.untold() == 2)

    bench.announcer.offline()
    bench.keep(b"4")
    bench.announcer.online()
    bench.wait_for(6)

    assert bench.bodies() == [b"1", b"2", b"3", b"2", b"3", b"4"]


def test_no_more_are_under_way_than_the_window_holds(bench):
    bench.announcer.online()
    bench.keep(*(b"%d" % number for number in range(3 * WINDOW)))
    bench.wait_for(WINDOW)
    assert len(bench.published) == WINDOW
    while len(bench.published) < 3 * WINDOW:
        before = len(bench.published)
        bench.confirm(*(token for token, _ in bench.published[before - WINDOW :]))
        bench.wait_for(before + WINDOW)

    assert bench.bodies() == [b"%d" % number for number in range(3 * WINDOW)]


def test_a_refused_punch_is_kept_and_none_passes_it(bench, monkeypatch):
    monkeypatch.setattr(announcer, "REFUSED_WAIT_S", 0.2)
    monkeypatch.setattr(delivery, "LOOK_EVERY_S", 0.05)
    bench.announcer.online()
    bench.keep(b"1", b"2")
    bench.wait_for(2)
    first, second = (token for token, _ in bench.published)

    bench.announcer.confirmed(first, "Not authorized")
    bench.confirm(second)
    bench.keep(b"3")
    bench.wait_for(5)

    assert bench.bodies() == [b"1", b"2", b"1", b"2", b"3"]


def test_the_numbers_of_punches_are_never_used_again(bench):
    bench.announcer.online()
    for number in range(3):
        bench.keep(b"%d" % number)
        bench.wait_for(number + 1)
        bench.confirm(bench.published[-1][0])
        wait_until(lambda: bench.ledger.untold() == 0)

    assert len({token for token, _ in bench.published}) == 3


def test_a_disk_that_fails_for_a_while_costs_nothing(bench, monkeypatch):
    monkeypatch.setattr(delivery, "DISK_PAUSE_S", 0.05)
    told, failed = bench.ledger.told, []

    def full_disk(punches):
        if not failed:
            failed.append(True)
            raise LedgerUnavailable("disk full")
        told(punches)

    monkeypatch.setattr(bench.ledger, "told", full_disk)
    bench.announcer.online()
    bench.keep(b"1")
    bench.wait_for(1)
    bench.confirm(bench.published[0][0])

    wait_until(lambda: bench.ledger.untold() == 0)
    assert failed


def test_a_fault_of_our_own_is_told(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    monkeypatch.setattr(bench.ledger, "to_tell", lambda *_a, **_k: 1 / 0)
    bench.announcer.online()
    bench.announcer.wake()

    wait_until(lambda: bench.deaths)
    assert isinstance(bench.deaths.pop(), ZeroDivisionError)
    bench.close()
