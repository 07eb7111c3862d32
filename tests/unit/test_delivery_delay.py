"""How old what arrives may be: never less than it is, and no older than it need be."""

import pytest

from zkbridge.mqtt.delivery_delay import LEAST_S, MOST_S, PROMPT_S, DeliveryDelay, FixedLimit

TOPIC = "zk/bridge/door/unlock"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delay(clock: Clock) -> DeliveryDelay:
    delay = DeliveryDelay(TOPIC, FixedLimit(10.0), clock=clock)
    delay.begin()
    return delay


def echo(delay: DeliveryDelay, clock: Clock, after: float) -> None:
    """Say the word, and hear it some seconds later."""
    assert delay.look() == [TOPIC]
    clock.now += after
    delay.take(TOPIC)


def test_before_the_first_echo_nothing_is_claimed(delay: DeliveryDelay, clock: Clock) -> None:
    assert delay.look() == [TOPIC]
    clock.now += 100
    assert delay.waited_s() == 0
    assert delay.look() == [], "one word at a time"
    assert delay.wait_s() == float("inf")


def test_what_comes_after_an_echo_has_waited_no_longer_than_since_its_word(delay: DeliveryDelay, clock: Clock) -> None:
    echo(delay, clock, 0.25)

    assert delay.waited_s() == 0.25
    clock.now += 9
    assert delay.waited_s() == 9.25


def test_a_late_echo_proves_nothing_and_the_next_is_sent_at_once(delay: DeliveryDelay, clock: Clock) -> None:
    echo(delay, clock, 0)
    clock.now += MOST_S
    echo(delay, clock, PROMPT_S + 4)

    assert delay.waited_s() == MOST_S + PROMPT_S + 4
    assert delay.wait_s() == 0
    echo(delay, clock, 0.5)
    assert delay.waited_s() == 0.5


def test_a_late_first_echo_gives_a_lower_bound(delay: DeliveryDelay, clock: Clock) -> None:
    echo(delay, clock, PROMPT_S + 4)

    assert delay.waited_s() == PROMPT_S + 4
    assert delay.wait_s() == 0


@pytest.mark.parametrize(("age", "pause"), [(100, MOST_S), (4, 1), (0.1, LEAST_S)])
def test_echoes_are_sent_often_enough_for_the_limit(clock: Clock, age: float, pause: float) -> None:
    delay = DeliveryDelay(TOPIC, FixedLimit(age), clock=clock)
    delay.begin()
    echo(delay, clock, 0)

    assert delay.wait_s() == pause
    assert delay.look() == []
    clock.now += pause
    assert delay.look() == [TOPIC]


def test_without_a_limit_no_echo_is_sent(clock: Clock) -> None:
    delay = DeliveryDelay(TOPIC, FixedLimit(), clock=clock)
    delay.begin()

    assert (delay.look(), delay.wait_s(), delay.waited_s()) == ([], float("inf"), 0)


def test_a_new_connection_begins_anew(delay: DeliveryDelay, clock: Clock) -> None:
    echo(delay, clock, 0)
    delay.end()
    clock.now += 50
    assert (delay.look(), delay.wait_s(), delay.waited_s()) == ([], float("inf"), 0)
    delay.begin()
    assert delay.waited_s() == 0
    delay.take(TOPIC)
    assert delay.waited_s() == 0, "an echo without a word of this connection"
    echo(delay, clock, 0)
    delay.take("zk/bridge/ping")
    clock.now += 3
    assert delay.waited_s() == 3
