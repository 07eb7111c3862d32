"""What the bridge sends, how much at once, and which part hears what the broker said to it."""

import threading
from typing import Any

import pytest

from zkbridge.contract.messages import TOO_LARGE, Publication
from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.send_window import SendWindow
from zkbridge.mqtt.subscription_check import PROBE, SubscriptionCheck

REPLY, STATE = Publication("zk/p/ping/reply", b"{}"), Publication("zk/p/state", b"{}", retain=True)
CLEARED = Publication("zk/p/state", b"", retain=True)
LARGE = Publication("zk/p/users/list/reply", b"x" * 1000)


class Broker:
    """A connection and the part that hears confirmations; `cannot` are publications that MQTT cannot carry."""

    def __init__(self, cannot: tuple[()] | list[Publication] = ()) -> None:
        self.cannot = cannot
        self.sent: list[Any] = []
        self.confirmations: list[Any] = []

    def send(self, publication: Publication, *, retain: bool) -> int:
        if publication in self.cannot:
            raise ValueError("no")
        self.sent.append((publication.topic, retain))
        return len(self.sent)

    def confirmed(self, token: int, refusal: str | None) -> None:
        self.confirmations.append((token, refusal))


RIGHTS = "user 'b'; page"


def window(broker: Broker, *sendings: Any) -> SendWindow:
    made = SendWindow(broker, SubscriptionCheck({"zk/+/ping": "zk/test/ping"}, rights=RIGHTS), login="user 'b'")
    made.begin()
    made.open()
    for token, publication in sendings:
        made.add(token, publication)
    return made


NO_RETAIN, SMALL = BrokerLimits(60, retain=False), BrokerLimits(60, largest_packet=100)
TABLE = [
    ("a reply", (7, REPLY), BrokerLimits(60), [(REPLY.topic, False)], []),
    ("a retained state", (None, STATE), BrokerLimits(60), [(STATE.topic, True)], []),
    ("a state, where nothing is retained", (None, STATE), NO_RETAIN, [(STATE.topic, False)], []),
    ("a cleared state, where nothing is retained", (None, CLEARED), NO_RETAIN, [], []),
    ("a cleared state", (None, CLEARED), BrokerLimits(60), [(STATE.topic, True)], []),
    ("a reply over the largest packet", (7, LARGE), SMALL, [], [(7, TOO_LARGE)]),
    ("a state over the largest packet", (None, LARGE), SMALL, [], []),
]


@pytest.mark.parametrize(
    ("sending", "limits", "sent", "confirmed"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_what_is_sent_follows_from_the_limits(
    sending: tuple[Publication | int | None, ...],
    limits: BrokerLimits,
    sent: list[tuple[str, bool]],
    confirmed: list[tuple[int, str]],
) -> None:
    broker = Broker()

    window(broker, sending).fill(broker, limits)

    assert broker.sent == sent
    assert [(token, (refusal or "")[: len(TOO_LARGE)]) for token, refusal in broker.confirmations] == confirmed


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_is_under_way_than_the_broker_takes(most: int) -> None:
    broker = Broker()
    sends = window(broker, *((token, REPLY) for token in range(10)))
    limits = BrokerLimits(60, in_flight=most)
    for mid in range(1, 11):
        sends.fill(broker, limits)
        assert len(broker.sent) == min(10, mid - 1 + most)
        sends.confirmed(mid, None)

    assert broker.confirmations == [(token, None) for token in range(10)]


def test_a_message_that_mqtt_cannot_carry_is_refused_and_the_next_is_sent() -> None:
    broker = Broker(cannot=[LARGE])

    window(broker, (1, LARGE), (2, REPLY)).fill(broker, BrokerLimits(60))

    assert (broker.confirmations, broker.sent) == ([(1, "no")], [(REPLY.topic, False)])


def test_a_refused_state_is_listed_until_it_is_taken_and_a_probe_never() -> None:
    broker = Broker()
    sends = SendWindow(
        broker, check := SubscriptionCheck({"zk/+/ping": "zk/test/ping"}, rights=RIGHTS), login="user 'b'"
    )
    sends.open()
    probes = [Publication(topic, PROBE) for topic in check.begin()]
    sends.extend([STATE, *probes])
    sends.fill(broker, BrokerLimits(60))
    sends.confirmed(1, "Not authorized")
    sends.confirmed(2, "Not authorized")
    assert sends.refused == [STATE.topic]

    sends.extend([STATE])
    sends.fill(broker, BrokerLimits(60))
    sends.confirmed(3, None)

    assert sends.refused == []
    assert broker.confirmations == []


def test_the_end_of_a_connection_forgets_everything_and_ends_the_wait_for_it() -> None:
    broker = Broker()
    sends = window(broker, (1, REPLY), (2, REPLY))
    sends.fill(broker, BrokerLimits(60, in_flight=1))
    assert not sends.wait_until_empty(0)
    waiting = threading.Thread(target=sends.wait_until_empty, args=(30,))
    waiting.start()

    sends.end(broken=False)

    waiting.join(10)
    assert not waiting.is_alive()
    sends.open()
    sends.fill(broker, BrokerLimits(60))
    assert len(broker.sent) == 1
    sends.confirmed(1, None)
    assert broker.confirmations == []
