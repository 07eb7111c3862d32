"""What is known of the connection to the broker, decided without a broker."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from zkbridge.bridge.link import Link
from zkbridge.ledger.ledger import Ledger


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with closing(Ledger(tmp_path)) as ledger:
        yield Link(ledger)


def test_before_the_first_connection_nothing_is_known(link: Link) -> None:
    assert (link.number, link.protocol, link.reconnects, link.drained, link.online.is_set()) == (
        0,
        None,
        0,
        False,
        False,
    )


def test_each_attempt_has_a_number_of_its_own_also_after_a_restart(tmp_path: Path) -> None:
    numbers = []
    for _ in range(2):
        with closing(Ledger(tmp_path)) as ledger:
            link = Link(ledger)
            numbers += [link.begin(), link.begin()]
            assert link.number == numbers[-1]

    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(("connections", "reconnects"), [(0, 0), (1, 0), (2, 1), (5, 4)])
def test_the_first_connection_is_no_reconnect(link: Link, connections: int, reconnects: int) -> None:
    for _ in range(connections):
        link.connected("5")
        link.disconnected()

    assert link.reconnects == reconnects


def test_the_protocol_is_that_of_the_last_connection(link: Link) -> None:
    link.connected("5")
    link.disconnected()
    link.connected("3.1.1")

    assert link.protocol == "3.1.1"


@pytest.mark.parametrize(
    ("heard", "drained"),
    [
        ([], False),
        (["this"], True),
        (["the one before"], False),
        (["the one before", "this"], True),
        (["this", "the one before"], True),
        (["no number"], False),
    ],
)
def test_the_session_is_drained_once_the_health_of_this_connection_came_back(
    link: Link, heard: list[str], drained: bool
) -> None:
    link.begin()
    number = link.begin()

    for each in heard:
        link.heard_health({"this": number, "the one before": number - 1, "no number": None}[each])

    assert link.drained is drained


def test_a_connection_that_is_over_is_neither_online_nor_drained(link: Link) -> None:
    link.heard_health(link.begin())
    link.connected("5")
    link.online.set()

    link.disconnected()

    assert not link.online.is_set()
    assert not link.drained
