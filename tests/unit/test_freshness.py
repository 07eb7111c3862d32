"""How old what arrives may be: never less than it is, and no older than it need be."""

import pytest

from zkbridge.mqtt.delivery_delay import LEAST_S, MOST_S, PROMPT_S, Freshness

TOPIC = "zk/bridge/door/unlock"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def freshness(clock):
    freshness = Freshness(TOPIC, lambda: 10.0, clock=clock)
    freshness.begin()
    return freshness


def echo(freshness, clock, after):
    """Say the word, and hear it some seconds later."""
    assert freshness.look() == [TOPIC]
    clock.now += after
    freshness.take(TOPIC)


def test_before_the_first_echo_nothing_is_claimed(freshness, clock):
    assert freshness.look() == [TOPIC]
    clock.now += 100
    assert freshness.waited_s() == 0
    assert freshness.look() == [], "one word at a time"
    assert freshness.wait_s() == float("inf")


def test_what_comes_after_an_echo_has_waited_no_longer_than_since_its_word(freshness, clock):
    echo(freshness, clock, 0.25)

    assert freshness.waited_s() == 0.25
    clock.now += 9
    assert freshness.waited_s() == 9.25


def test_a_late_echo_proves_nothing_and_the_word_is_said_again_at_once(freshness, clock):
    echo(freshness, clock, 0)
    clock.now += MOST_S
    echo(freshness, clock, PROMPT_S + 4)

    assert freshness.waited_s() == MOST_S + PROMPT_S + 4
    assert freshness.wait_s() == 0
    echo(freshness, clock, 0.5)
    assert freshness.waited_s() == 0.5


def test_a_first_echo_that_is_late_tells_at_least_since_when(freshness, clock):
    echo(freshness, clock, PROMPT_S + 4)

    assert freshness.waited_s() == PROMPT_S + 4
    assert freshness.wait_s() == 0


@pytest.mark.parametrize(("age", "pause"), [(100, MOST_S), (4, 1), (0.1, LEAST_S)])
def test_the_word_is_said_often_enough_for_the_age_that_matters(clock, age, pause):
    freshness = Freshness(TOPIC, lambda: age, clock=clock)
    freshness.begin()
    echo(freshness, clock, 0)

    assert freshness.wait_s() == pause
    assert freshness.look() == []
    clock.now += pause
    assert freshness.look() == [TOPIC]


def test_where_no_age_matters_nothing_is_said(clock):
    freshness = Freshness(TOPIC, lambda: None, clock=clock)
    freshness.begin()

    assert (freshness.look(), freshness.wait_s(), freshness.waited_s()) == ([], float("inf"), 0)


def test_a_new_connection_begins_anew(freshness, clock):
    echo(freshness, clock, 0)
    freshness.end()
    clock.now += 50
    assert (freshness.look(), freshness.wait_s(), freshness.waited_s()) == ([], float("inf"), 0)
    freshness.begin()
    assert freshness.waited_s() == 0
    freshness.take(TOPIC)
    assert freshness.waited_s() == 0, "an echo without a word of this connection"
    echo(freshness, clock, 0)
    freshness.take("zk/bridge/ping")
    clock.now += 3
    assert freshness.waited_s() == 3
