"""Who watches is told, and cannot break what is watched."""

import logging
from typing import Any

import pytest

from zkbridge.telemetry.events import Answered, Known, broadcast, ignore

EVENT = Answered("principal", "ping", "pong", 0.1)


def test_all_listeners_get_the_events_in_order() -> None:
    heard = []
    tell = broadcast([lambda event: heard.append((1, event)), lambda event: heard.append((2, event))])

    tell(EVENT)
    tell(Known("principal", "ping"))

    assert heard == [(n, event) for event in (EVENT, Known("principal", "ping")) for n in (1, 2)]


def test_a_listener_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []

    def broken(_event: object) -> None:
        raise RuntimeError("no room left")

    with caplog.at_level(logging.ERROR):
        broadcast([broken, heard.append])(EVENT)

    assert heard == [EVENT]
    assert "a listener failed at Answered" in caplog.text


def test_without_a_listener_nothing_is_called() -> None:
    assert broadcast([]) is ignore
    assert ignore(EVENT) is None
