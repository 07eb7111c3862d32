"""Punches leave in order, and again until the broker has confirmed them; then they are forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until
from zkbridge.contract.messages import Publication, Token
from zkbridge.contract.topics import Topics
from zkbridge.contract.validity import Validity
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Place, ValidityChange
from zkbridge.outbox import delivery
from zkbridge.outbox import punches as announcer
from zkbridge.outbox.punches import WINDOW, Announcer


class Bench:
    """An announcer, its ledger, and a broker that does what the test says."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.published: list[tuple[Any, Publication]] = []
        self.deaths: list[BaseException] = []
        self.brings_back = False
        self.announcer = Announcer(self.ledger, self, topics=Topics("zk"), rights="user 'b'; page", supervisor=self)
        self.announcer.start()

    def publish(self, token: Token | None, publication: Publication) -> None:
        self.published.append((token, publication))

    def fail(self, error: BaseException) -> None:
        self.deaths.append(error)

    def keep(self, *bodies: Any, device: str = "p") -> None:
        self.ledger.punches.add(device, bodies, Place("SN", 0), most_traces=10)
        self.announcer.wake()

    def bodies(self) -> list[Any]:
        return [publication.payload for _, publication in self.published]

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.published) >= count, what=f"{count} publications")

    def confirm(self, *tokens: Any) -> None:
        for token in tokens:
            self.announcer.confirmed(token, None)

    def close(self) -> None:
        self.announcer.stop()
        self.ledger.close()
        assert self.deaths == []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_a_users_event_has_its_own_topic_and_its_place_among_the_punches(bench: Bench) -> None:
    gone = ValidityChange("entrada", "7", Validity())
    bench.keep(b"1", device="entrada")
    bench.ledger.validities.carry_out([(gone, b"2")])
    bench.keep(b"3", device="entrada")
    bench.announcer.online()

    bench.wait_for(3)
    assert [(each.topic, each.payload) for _, each in bench.published] == [
        ("zk/entrada/attendance/event", b"1"),
        ("zk/entrada/users/event", b"2"),
        ("zk/entrada/attendance/event", b"3"),
    ]


def test_a_users_event_that_is_refused_names_its_topic(bench: Bench) -> None:
    bench.ledger.validities.carry_out([(ValidityChange("p", "7", Validity()), b"2")])
    bench.announcer.online()
    bench.wait_for(1)

    bench.announcer.confirmed(bench.published[0][0], "not authorised")

    assert bench.announcer.refused == ["zk/p/users/event"]
    assert bench.ledger.punches.count_unsent() == 1


def test_a_punch_is_sent_on_its_device_s_topic_and_forgotten_once_confirmed(bench: Bench) -> None:
    bench.announcer.online()
    bench.keep(b"1", device="entrada")
    bench.wait_for(1)
    token, publication = bench.published[0]

    assert (publication.topic, publication.payload, publication.retain) == ("zk/entrada/attendance/event", b"1", False)
    assert bench.ledger.punches.count_unsent() == 1
    bench.confirm(token)
    wait_until(lambda: bench.ledger.punches.count_unsent() == 0)
    assert b"entrada" not in b"".join(row[0] for row in bench.ledger.database.read("SELECT body FROM punches"))


def test_nothing_leaves_while_the_broker_is_away(bench: Bench) -> None:
    bench.keep(b"1", b"2")
    assert bench.announcer.drain(5)
    assert bench.published == []

    bench.announcer.online()
    bench.wait_for(2)
    assert bench.bodies() == [b"1", b"2"]


def test_what_was_not_confirmed_is_sent_again_from_the_oldest_on(bench: Bench) -> None:
    bench.announcer.online()
    bench.keep(b"1", b"2", b"3")
    bench.wait_for(3)
    bench.confirm(bench.published[0][0])
    wait_until(lambda: bench.ledger.punches.count_unsent() == 2)

    bench.announcer.offline()
    bench.keep(b"4")
    bench.announcer.online()
    bench.wait_for(6)

    assert bench.bodies() == [b"1", b"2", b"3", b"2", b"3", b"4"]


def test_no_more_are_under_way_than_the_window_holds(bench: Bench) -> None:
    bench.announcer.online()
    bench.keep(*(b"%d" % number for number in range(3 * WINDOW)))
    bench.wait_for(WINDOW)
    assert len(bench.published) == WINDOW
    while len(bench.published) < 3 * WINDOW:
        before = len(bench.published)
        bench.confirm(*(token for token, _ in bench.published[before - WINDOW :]))
        bench.wait_for(before + WINDOW)

    assert bench.bodies() == [b"%d" % number for number in range(3 * WINDOW)]


def test_a_refused_punch_is_kept_and_none_passes_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_numbers_of_punches_are_never_used_again(bench: Bench) -> None:
    bench.announcer.online()
    for number in range(3):
        bench.keep(b"%d" % number)
        bench.wait_for(number + 1)
        bench.confirm(bench.published[-1][0])
        wait_until(lambda: bench.ledger.punches.count_unsent() == 0)

    assert len({token for token, _ in bench.published}) == 3


def test_a_disk_that_fails_for_a_while_costs_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "DISK_PAUSE_S", 0.05)
    told = bench.ledger.punches.forget
    failed: list[bool] = []

    def full_disk(punches: Any) -> None:
        if not failed:
            failed.append(True)
            raise LedgerUnavailable("disk full")
        told(punches)

    monkeypatch.setattr(bench.ledger.punches, "forget", full_disk)
    bench.announcer.online()
    bench.keep(b"1")
    bench.wait_for(1)
    bench.confirm(bench.published[0][0])

    wait_until(lambda: bench.ledger.punches.count_unsent() == 0)
    assert failed


def test_a_fault_of_our_own_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    monkeypatch.setattr(bench.ledger.punches, "unsent", lambda *_a, **_k: 1 / 0)
    bench.announcer.online()
    bench.announcer.wake()

    wait_until(lambda: bench.deaths)
    assert isinstance(bench.deaths.pop(), ZeroDivisionError)
    bench.close()


def topic(device: str) -> str:
    return f"zk/{device}/attendance/event"


def test_a_refusal_holds_up_the_punches_of_its_device_only_and_names_its_topic(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.announcer.online()
    bench.keep(b"1", device="closed")
    bench.wait_for(1)
    bench.announcer.confirmed(bench.published[0][0], "Not authorized")
    for number in range(2 * WINDOW):
        bench.keep(b"c%d" % number, device="closed")
    bench.keep(b"2", b"3", device="open")

    bench.wait_for(3)
    bench.confirm(*(token for token, _ in bench.published[1:]))
    wait_until(lambda: bench.ledger.punches.count_unsent() == 2 * WINDOW + 1)

    assert bench.bodies() == [b"1", b"2", b"3"]
    assert bench.announcer.refused == [topic("closed")]
    assert f"the broker refuses punches on {topic('closed')} (Not authorized)" in caplog.text


def test_a_punch_that_is_taken_again_is_published_once(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcer, "REFUSED_WAIT_S", 0.05)
    caplog.set_level("INFO")
    bench.announcer.online()
    bench.keep(b"1", b"2")
    for tries in (1, 2, 3):
        bench.wait_for(2 * tries)
        bench.announcer.confirmed(bench.published[-2][0], "Not authorized")
    bench.wait_for(8)
    bench.confirm(*(token for token, _ in bench.published[-2:]))
    wait_until(lambda: bench.ledger.punches.count_unsent() == 0)

    assert caplog.text.count("the broker refuses punches on") == 1
    assert caplog.text.count(f"punches on {topic('p')} are taken again") == 1
    assert bench.announcer.refused == []


@pytest.fixture
def old(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A broker of MQTT 3.1.1, which brings punches back."""
    monkeypatch.setattr(announcer, "ECHO_S", 0.2)
    monkeypatch.setattr(announcer, "REFUSED_WAIT_S", 0.05)
    bench.brings_back = True
    bench.announcer.online()
    return bench


def test_a_punch_that_is_confirmed_and_does_not_come_back_is_kept_and_sent_again(
    old: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    old.keep(b"1", b"2")
    old.wait_for(2)
    old.confirm(*(token for token, _ in old.published))
    old.wait_for(4)
    assert old.ledger.punches.count_unsent() == 2
    assert "does not bring them back" in caplog.text

    for body in (b"1", b"2"):
        old.announcer.echoed(topic("p"), body)
    wait_until(lambda: old.ledger.punches.count_unsent() == 0)
    assert old.bodies() == [b"1", b"2", b"1", b"2"]
    assert "are taken again" in caplog.text


@pytest.mark.parametrize("first", ["echo", "confirmation"])
def test_a_punch_that_comes_back_is_forgotten_whichever_is_first(old: Bench, first: str) -> None:
    old.keep(b"1", device="q")
    old.wait_for(1)
    token = old.published[0][0]
    if first == "confirmation":
        old.confirm(token)
    old.announcer.echoed(topic("p"), b"1")
    old.announcer.echoed(topic("q"), b"another")
    assert old.ledger.punches.count_unsent() == 1
    old.announcer.echoed(topic("q"), b"1")
    old.confirm(token)

    wait_until(lambda: old.ledger.punches.count_unsent() == 0)
    assert old.announcer.refused == []


def test_a_users_event_is_taken_when_it_is_confirmed_where_punches_must_come_back(old: Bench) -> None:
    old.ledger.validities.carry_out([(ValidityChange("p", "7", Validity()), b"2")])
    old.announcer.wake()
    old.wait_for(1)
    old.confirm(old.published[0][0])

    wait_until(lambda: old.ledger.punches.count_unsent() == 0, what="the event to be forgotten")
