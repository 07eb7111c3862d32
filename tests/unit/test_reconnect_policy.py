"""How long the bridge waits before it connects to the broker again."""

from collections.abc import Callable
from typing import Any

import pytest

from zkbridge.mqtt.reconnect import ReconnectPolicy

FAIL = ReconnectPolicy.failed
ACCEPT = ReconnectPolicy.accepted


def end(lived_s: float = 0.1, *, taken_over: bool = False, unreadable: bool = False) -> Callable[..., Any]:
    return lambda policy: policy.ended(lived_s, taken_over=taken_over, unreadable=unreadable)


LONG, SHORT, TAKEN, UNREADABLE = end(3600), end(), end(3600, taken_over=True), end(unreadable=True)
TABLE = [
    ("nothing yet", [], 0.5, False),
    ("one failure", [FAIL], 1, False),
    ("two failures", [FAIL] * 2, 2, False),
    ("many failures", [FAIL] * 50, 60, False),
    ("accepted after failures", [FAIL] * 5 + [ACCEPT], 0.5, False),
    ("a long connection after failures", [FAIL] * 5 + [LONG], 0.5, False),
    ("two short connections", [SHORT] * 2, 0.5, False),
    ("three short connections", [SHORT] * 3, 4, True),
    ("four short connections", [SHORT] * 4, 32, True),
    ("many short connections", [SHORT] * 50, 300, True),
    ("a connection that lasted the limit ends the row", [SHORT, SHORT, end(10), SHORT], 0.5, False),
    ("a long connection after short ones", [SHORT] * 5 + [LONG], 0.5, False),
    ("one that was taken over", [TAKEN], 0.5, True),
    ("three that were taken over", [TAKEN] * 3, 4, True),
    ("a long one after one that was taken over", [TAKEN, LONG], 0.5, False),
    ("one over an unreadable packet", [UNREADABLE], 1, False),
    ("many over unreadable packets", [UNREADABLE] * 50, 8, False),
    ("a short one after unreadable packets", [UNREADABLE] * 5 + [SHORT], 0.5, False),
    ("unreadable packets end the row of short ones", [SHORT, SHORT, UNREADABLE, SHORT], 0.5, False),
]


@pytest.mark.parametrize(("events", "pause_s", "contested"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_pause_follows_from_how_connections_ended(
    events: list[Callable[..., Any]], pause_s: float, contested: bool
) -> None:
    policy = ReconnectPolicy()
    for event in events:
        event(policy)

    assert (policy.pause_s, policy.is_contested) == (pause_s, contested)
