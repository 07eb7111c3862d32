"""When a terminal is compared with its document, and when that repairs it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import pytest

from zkbridge.bridge.desired import AGAIN_S, LOOK_S, DesiredChecks, Intervals, Passed, next_comparison
from zkbridge.bridge.subscriptions import document_filters, echoes, published
from zkbridge.config.models import Config
from zkbridge.contract.topics import matches
from zkbridge.ledger.documents import Documents, LastDocument
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger


@pytest.mark.parametrize(
    ("every", "ago", "due"),
    [
        (Intervals(), Passed(1e6, 1e6), (LOOK_S, False)),
        (Intervals(10, 0), Passed(3, 3), (7, False)),
        (Intervals(10, 0), Passed(11, 1e6), (0, False)),
        (Intervals(10, 20), Passed(10, 15), (0, False)),
        (Intervals(10, 20), Passed(5, 20), (0, True)),
        (Intervals(10, 10), Passed(10, 10), (0, True)),
        (Intervals(0, 3600), Passed(3590, 3590), (10, True)),
        (Intervals(0, 3600), Passed(0, 0), (LOOK_S, False)),
        (Intervals(3600, 0), Passed(0, 0), (LOOK_S, False)),
    ],
)
def test_a_comparison_is_due_one_interval_after_the_last(
    every: Intervals, ago: Passed, due: tuple[float, bool]
) -> None:
    assert next_comparison(every, ago) == due


class House:
    """A schedule for the device `p` with a clock that is set by hand; what it asks for is noted."""

    def __init__(self, ledger: Ledger, **desired: Any) -> None:
        devices = {"p": {"host": "127.0.0.1"}}
        self.config = Config.model_validate({"devices": devices, "desired": {"enabled": True, **desired}})
        self.documents = Documents(ledger.facts)
        self.now = 0.0
        self.asked: list[tuple[str, bool]] = []
        self.is_free: bool | LedgerUnavailable = True
        self.jobs: dict[Hashable, Callable[[], float | None]] = {}
        house: Any = self  # stands for CurrentConfig, Reception and Upkeep
        self.checks = DesiredChecks(house, ledger, house, house, clock=lambda: self.now)
        self.checks.schedule(["p"])

    def later(self, key: Hashable, _seconds: float, job: Callable[[], float | None]) -> None:
        self.jobs[key] = job

    def compare(self, device: str, *, repair: bool) -> bool:
        if isinstance(self.is_free, LedgerUnavailable):
            raise self.is_free
        if self.is_free:
            self.asked.append((device, repair))
        return self.is_free

    def run(self, until: float) -> list[tuple[str, bool]]:
        """What was asked for until then."""
        self.asked.clear()
        while True:
            wait_s = self.jobs["desired", "p"]()
            assert wait_s is not None
            assert wait_s > 0
            if self.now + wait_s > until:
                return self.asked
            self.now += wait_s


@pytest.mark.parametrize(
    ("settings", "last", "asked"),
    [
        ({}, LastDocument(1, b"", apply=True), []),
        ({"check_interval": 100}, LastDocument(), []),
        ({"check_interval": 100}, LastDocument(1, b"", apply=False), []),
        ({"check_interval": 100}, LastDocument(1, b"", apply=True), [("p", False)] * 3),
        ({"check_interval": 100, "repair": True}, LastDocument(1, b"", apply=True), [("p", True)] * 3),
        ({}, LastDocument(1, b"", apply=True, repair_interval=150), [("p", True)] * 2),
        (
            {"check_interval": 100},
            LastDocument(1, b"", apply=True, repair_interval=150),
            [("p", False), ("p", True), ("p", False), ("p", True)],
        ),
    ],
)
def test_a_terminal_is_compared_as_configuration_and_document_say(
    ledger: Ledger, settings: dict[str, Any], last: LastDocument, asked: list[tuple[str, bool]]
) -> None:
    house = House(ledger, **settings)
    if last.version:
        house.documents.keep_last("p", last, b"{}")

    assert house.run(until=320) == asked


@pytest.mark.parametrize("is_free", [False, LedgerUnavailable("full")])
def test_what_cannot_be_asked_for_now_is_asked_for_soon(ledger: Ledger, is_free: bool | LedgerUnavailable) -> None:
    house = House(ledger, check_interval=100)
    house.documents.keep_last("p", LastDocument(1, b"", apply=True), b"{}")
    house.run(until=99)

    house.now, house.is_free = 100, is_free
    assert house.jobs["desired", "p"]() == AGAIN_S
    house.is_free = True
    assert house.run(until=110) == [("p", False)]


def test_a_device_that_was_removed_is_compared_no_more(ledger: Ledger) -> None:
    house = House(ledger, check_interval=100)
    house.config = Config.model_validate({"devices": {"q": {"host": "127.0.0.1"}}})

    assert house.jobs["desired", "p"]() is None


def test_nothing_is_scheduled_where_no_documents_are_enabled(ledger: Ledger) -> None:
    assert House(ledger, enabled=False, check_interval=100).jobs == {}


@pytest.mark.parametrize("enabled", [False, True])
def test_documents_are_subscribed_to_and_tried_where_they_are_enabled(*, enabled: bool) -> None:
    devices = {"p": {"host": "127.0.0.1"}}
    config = Config.model_validate({"devices": devices, "desired": {"enabled": enabled}})

    filters, tried, told = document_filters(config), echoes(config, ["ping"]), published(config, ["ping"])

    assert filters == (["zk/+/users/desired", "zk/+/users/desired/part/+"] if enabled else [])
    assert set(tried) == {"zk/+/ping", *filters}
    assert all(matches(wish, topic) for wish, topic in tried.items())
    assert ("zk/bridge/users/desired/plan" in told) is enabled
