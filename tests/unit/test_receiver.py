"""In which order what arrives is kept, noted and acknowledged."""

from collections.abc import Sequence
from typing import Any

import pytest
from paho.mqtt.client import MQTTMessage

from zkbridge.contract.messages import Message
from zkbridge.contract.publish_packets import Unreadable
from zkbridge.mqtt.broker_limits import BrokerLimits
from zkbridge.mqtt.connection_state import ConnectionClosed, ConnectionState
from zkbridge.mqtt.delivery_delay import DeliveryDelay, FixedLimit
from zkbridge.mqtt.receiver import BATCH, Receiver
from zkbridge.mqtt.subscription_check import PROBE, SubscriptionCheck
from zkbridge.mqtt.subscriptions import Subscriptions

COMMAND, WATCHED, PROBED = "zk/p/users/create", "zk/bridge/state", "zk/bridge/users/create"
SUBSCRIPTIONS = Subscriptions(("zk/+/users/create",), watched=frozenset([WATCHED]))


class Steps(list[Any]):
    """The rest of the daemon and the connection: what was done, in order. `fails` names the steps that raise."""

    fails: tuple[str, ...] = ()

    def receive(self, messages: Sequence[Message]) -> None:
        self._do("receive", *(message.topic for message in messages))

    def unreadable(self, packets: Sequence[Unreadable]) -> None:
        if packets:
            self._do("unreadable", *(packet.topic for packet in packets))

    def overheard(self, topic: str, _payload: bytes) -> None:
        self._do("overheard", topic)

    def ack(self, mid: int, _qos: int) -> None:
        self._do("ack", mid)

    def _do(self, step: str, *what: Any) -> None:
        self.append((step, *what))
        if step in self.fails:
            raise RuntimeError(step)


def message(mid: int, topic: str, payload: bytes = b"{}", qos: int = 1) -> MQTTMessage:
    made = MQTTMessage(mid, topic.encode())
    made.payload, made.qos = payload, qos
    return made


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def state() -> ConnectionState:
    return ConnectionState("5", 1, BrokerLimits(60))


@pytest.fixture
def receiver(steps: Steps, state: ConnectionState) -> Receiver:
    check = SubscriptionCheck({"zk/+/users/create": PROBED}, rights="user 'b'; page")
    check.begin()
    return Receiver(steps, state, steps, check, DeliveryDelay("", FixedLimit()))


def test_commands_are_kept_before_watched_messages_are_noted_and_all_acknowledged_in_order_of_arrival(
    receiver: Receiver, steps: Steps
) -> None:
    for raw in [
        message(1, WATCHED),
        message(2, COMMAND),
        Unreadable(1, 3, "x", b"", "no"),
        message(4, PROBED, PROBE),
        message(0, COMMAND, qos=0),
    ]:
        receiver.add(raw)

    receiver.settle(SUBSCRIPTIONS)

    assert steps == [
        ("unreadable", "x"),
        ("receive", COMMAND, COMMAND),
        ("overheard", WATCHED),
        *[("ack", mid) for mid in (1, 2, 3, 4)],
    ]


def test_nothing_is_acknowledged_when_the_commands_cannot_be_kept(
    receiver: Receiver, steps: Steps, state: ConnectionState
) -> None:
    steps.fails = ("receive",)
    receiver.add(message(1, WATCHED))
    receiver.add(message(2, COMMAND))

    with pytest.raises(ConnectionClosed):
        receiver.settle(SUBSCRIPTIONS)

    assert steps == [("receive", COMMAND)]
    assert state.unreadable


def test_a_watched_message_that_makes_the_bridge_fail_is_acknowledged(receiver: Receiver, steps: Steps) -> None:
    steps.fails = ("overheard",)
    receiver.add(message(1, WATCHED))

    receiver.settle(SUBSCRIPTIONS)

    assert steps == [("overheard", WATCHED), ("ack", 1)]


def test_a_batch_is_settled_once(receiver: Receiver, steps: Steps) -> None:
    for mid in range(1, BATCH + 1):
        assert not receiver.is_full
        receiver.add(message(mid, COMMAND))
    assert receiver.is_full

    receiver.settle(SUBSCRIPTIONS)
    receiver.settle(SUBSCRIPTIONS)

    assert [step[0] for step in steps] == ["receive"] + ["ack"] * BATCH
