"""New subscriptions reach the broker before what is published about them."""

from types import SimpleNamespace
from unittest.mock import Mock, call

from zkbridge.contract.messages import Publication
from zkbridge.mqtt.connection import Connection
from zkbridge.mqtt.thread_control import ThreadControl


def test_subscriptions_that_change_while_the_queue_is_sent_go_before_the_next_publication() -> None:
    control, order = ThreadControl(Mock()), Mock()
    connection = object.__new__(Connection)
    connection.client = order
    order.publish.return_value.mid = 1
    connection.state = SimpleNamespace(protocol="3.1.1")  # type: ignore[assignment]  # all that is asked of it
    connection._parts = SimpleNamespace(control=control)  # type: ignore[assignment]  # a stand-in has what is asked of it
    connection._subscriber = order
    new = Mock()

    control.resubscribe(new)
    connection.send(Publication("zk/bridge/info", b"{}"), retain=True)
    control.close()

    assert order.mock_calls[0] == call.subscribe(new)
    assert [each[0] for each in order.mock_calls[:2]] == ["subscribe", "publish"]
