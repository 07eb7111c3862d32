"""A message that ends connections is found out, left out and tried again; all others go on."""

import pytest

from zkbridge.contract.messages import Publication
from zkbridge.mqtt.refused_topics import FIRST_WAIT_S, LONGEST_WAIT_S, RefusedTopics
from zkbridge.mqtt.send_queue import SendQueue
from zkbridge.mqtt.subscription_check import PROBE

STATE, LARGE, INFO = (Publication(f"zk/{name}", b"x" * size) for name, size in [("s", 5), ("large", 900), ("i", 9)])


class Broker:
    """One that takes everything but `bad`, where it ends the connection; `now` is its clock."""

    def __init__(self, bad: Publication = LARGE) -> None:
        self.now = 0.0
        self.bad = bad
        self.refused = RefusedTopics(rights="user 'b'; page", clock=lambda: self.now)
        self.queue = SendQueue(self.refused)

    def connection(self, *publications: Publication, most: int = 20) -> list[str]:
        """What it took before the connection ended, or all was sent; the last is `!` if it ended."""
        self.refused.begin()
        self.queue.extend(publications)
        return self.go_on(most=most)

    def go_on(self, most: int = 20) -> list[str]:
        taken: list[str] = []
        mid = 0
        while True:
            batch = []
            while (sending := self.queue.next(most)) is not None:
                mid += 1
                self.queue.sent(mid, sending)
                batch.append((mid, sending))
            if not batch:
                return taken
            for each, sending in batch:
                if (
                    sending.publication.packet_size >= self.bad.packet_size
                    and sending.publication.topic == self.bad.topic
                ):
                    self.queue.end(broken=True)
                    self.queue.clear()
                    return [*taken, "!"]
                self.queue.confirmed(each)
                self.refused.taken(sending.publication.topic)
                taken.append(sending.publication.topic)


@pytest.mark.parametrize("order", [(STATE, LARGE, INFO), (LARGE, STATE, INFO), (STATE, INFO, LARGE)])
@pytest.mark.parametrize("most", [1, 2, 20])
def test_after_three_connections_all_but_the_guilty_message_are_taken(
    order: tuple[Publication, Publication, Publication], most: int
) -> None:
    broker = Broker()
    ended = [broker.connection(*order, most=most)[-1] for _ in range(3)]

    assert ended == ["!"] * 3
    assert sorted(broker.connection(*order, most=most)) == ["zk/i", "zk/s"]
    assert broker.refused.topics == ["zk/large"]


def test_the_third_connection_takes_all_others_before_it_ends() -> None:
    broker = Broker()
    broker.connection(LARGE, STATE, INFO)
    broker.connection(LARGE, STATE, INFO)

    assert broker.connection(LARGE, STATE, INFO) == ["zk/s", "zk/i", "!"]


def test_a_message_that_waits_is_tried_again_alone_and_waits_longer_each_time() -> None:
    broker = Broker()
    for _ in range(3):
        broker.connection(LARGE, STATE)
    waits = []
    for _ in range(14):
        waits.append(broker.refused.wait_s())
        broker.now += broker.refused.wait_s()
        assert broker.go_on() == ["!"]

    assert waits[:3] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert waits[-1] == LONGEST_WAIT_S


def test_a_message_that_is_taken_at_last_is_one_like_all_others_again() -> None:
    broker = Broker()
    for _ in range(3):
        broker.connection(LARGE, STATE)
    broker.bad = Publication("zk/none", b"")
    broker.now += FIRST_WAIT_S

    assert broker.go_on() == ["zk/large"]
    assert broker.refused.topics == []
    assert broker.connection(LARGE, STATE) == ["zk/large", "zk/s"]
    assert broker.refused.wait_s() == float("inf")


def test_a_smaller_message_on_the_same_topic_does_not_wait() -> None:
    broker = Broker()
    for _ in range(3):
        broker.connection(LARGE)

    assert broker.connection(Publication(LARGE.topic, b"x" * 899), STATE) == ["zk/s", "zk/large"]
    assert broker.refused.topics == []


def test_a_connection_that_ends_for_another_reason_is_held_against_no_message() -> None:
    broker = Broker()
    for _ in range(9):
        broker.queue.extend([LARGE])
        sending = broker.queue.next(20)
        broker.queue.sent(1, sending)
        broker.queue.end(broken=False)
        broker.queue.clear()

    assert broker.connection(LARGE, STATE)[-1] == "!"
    assert broker.refused.topics == []


def test_answers_and_probes_have_their_own_care() -> None:
    broker = Broker()
    for _ in range(5):
        broker.queue.add(7, LARGE)
        broker.queue.add(None, Publication("zk/bridge/ping", PROBE))
        for mid in (1, 2):
            broker.queue.sent(mid, broker.queue.next(20))
        broker.queue.end(broken=True)

    assert broker.refused.topics == []
    broker.queue.add(7, LARGE)
    broker.queue.add(None, Publication("zk/bridge/ping", PROBE))
    assert [broker.queue.next(20).token, broker.queue.next(20).token] == [7, None]  # type: ignore[comparison-overlap]  # any value serves as a token


def test_what_was_not_sent_does_not_hold_up_the_others() -> None:
    broker = Broker()
    for _ in range(2):
        broker.connection(LARGE)
    broker.queue.extend([LARGE])
    assert broker.queue.next(20).publication == LARGE
    broker.queue.extend([STATE])
    assert broker.queue.next(20) is None

    broker.queue.dropped()

    assert broker.queue.next(20).publication == STATE
    assert broker.queue.under_way == []


def test_a_refusal_and_its_end_are_reported_once_a_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    refused = RefusedTopics(rights="user 'b'; page")
    for _ in range(2):
        refused.begin()
        refused.refused("zk/s", "Not authorized")
        refused.refused("zk/s", "Not authorized")
    assert refused.topics == ["zk/s"]
    refused.taken("zk/s")
    refused.taken("zk/s")

    assert caplog.text.count("the broker refuses what is published on zk/s (Not authorized)") == 2
    assert caplog.text.count("the broker takes what is published on zk/s again") == 1
    assert refused.topics == []
