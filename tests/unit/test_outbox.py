"""The outbox: an answer is owed until the broker has confirmed it, and one bad answer does not hold up the rest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import Judging, keep_drafts
from tests.support.waiting import wait_until
from zkbridge.contract.messages import TOO_LARGE, AnswerToken, Publication, Reply, Token, encode
from zkbridge.contract.topics import Topics
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer, Draft, Finish
from zkbridge.outbox import postponed
from zkbridge.outbox import replies as outbox
from zkbridge.outbox.postponed import WAIT_AFTER
from zkbridge.outbox.replies import WINDOW, Outbox
from zkbridge.outbox.short_reply import ReplyRoom

DRAFT = Draft(digest=b"d", topic="zk/replies/me", fallback="zk/p/users/create/reply", correlation=b"c")


class Bench:
    """An outbox, its ledger, and a broker that does what the test says."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.published: list[tuple[int, Publication]] = []
        self.deaths: list[BaseException] = []
        self.outbox = Outbox(self.ledger, self, topics=Topics(), supervisor=self)
        self.outbox.start()

    brings_back = False

    def publish(self, token: Token | None, publication: Publication) -> None:
        assert isinstance(token, AnswerToken)
        self.published.append((token.answer, publication))

    def fail(self, error: BaseException) -> None:
        self.deaths.append(error)

    def owe(self, count: int = 1, body: bytes = b"{}") -> None:
        drafts = [DRAFT._replace(digest=b"%d" % n, reply=Reply(409, "user_exists", body)) for n in range(count)]
        keep_drafts(self.ledger, drafts, Judging())
        self.outbox.wake()

    def finish(self, count: int = 1, body: bytes = b"{}") -> list[Answer]:
        """So many requests end; the answers to them, for whoever ended them to send."""
        drafts = [DRAFT._replace(digest=b"f%d" % n, device="p", command="users/create") for n in range(count)]
        kept = keep_drafts(self.ledger, drafts, Judging())
        done = [Finish(one.request, Reply(200, "created", body)) for one in kept if one.request is not None]
        return self.ledger.finish(done).answers

    def rest(self) -> None:
        """Wait until the thread has looked, so that nothing but `offer` can send what comes now."""
        wait_until(lambda: not self.outbox._look)

    def wait_for(self, count: int) -> list[tuple[int, Publication]]:
        wait_until(lambda: len(self.published) >= count, what=f"{count} publications")
        return self.published

    def confirm_all_but(self, number: int) -> None:
        for token in set(self.outbox._under_way) - {number}:
            self.outbox.confirmed(AnswerToken(token), None)

    def tries(self, number: int) -> int:
        return sum(token == number for token, _ in self.published)

    def owed(self) -> list[int]:
        return [answer.id for answer in self.ledger.replies.unsent(1000)]

    def close(self) -> None:
        self.outbox.stop()
        self.ledger.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()
    assert bench.deaths == []


def test_an_answer_is_owed_until_it_is_confirmed(bench: Bench) -> None:
    bench.outbox.online(None)
    bench.owe()

    ((token, publication),) = bench.wait_for(1)
    said = {"status": 409, "code": "user_exists", "command": "users/create"}
    assert publication == Publication("zk/replies/me", b"{}", correlation_data=b"c", **said)
    assert bench.owed() == [token]
    bench.outbox.confirmed(AnswerToken(token), None)

    wait_until(lambda: not bench.owed())
    assert bench.outbox.drain(5)


def test_nothing_is_sent_offline_and_all_of_it_again_online(bench: Bench) -> None:
    bench.owe(3)
    assert bench.outbox.drain(0.2)
    assert bench.published == []

    bench.outbox.online(None)
    bench.wait_for(3)
    bench.outbox.offline()
    bench.outbox.online(None)

    assert [token for token, _ in bench.wait_for(6)] == [1, 2, 3, 1, 2, 3]


def test_a_refused_response_topic_falls_back_to_the_default(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.outbox.online(None)
    bench.owe()
    ((token, _),) = bench.wait_for(1)

    bench.outbox.confirmed(AnswerToken(token), "Not authorized")

    assert bench.wait_for(2)[1][1].topic == "zk/p/users/create/reply"
    assert "refused on zk/replies/me (Not authorized)" in caplog.text
    bench.outbox.confirmed(AnswerToken(token), "Not authorized")
    wait_until(lambda: "refused by the broker on zk/p/users/create/reply" in caplog.text)
    assert bench.owed() == [token]
    bench.outbox.offline()
    bench.outbox.online(None)
    bench.wait_for(3)


def test_no_more_than_a_window_is_under_way(bench: Bench) -> None:
    bench.outbox.online(None)
    bench.owe(WINDOW + 20)
    sent = list(bench.wait_for(WINDOW))
    assert not bench.outbox.drain(0.2)
    assert len(bench.published) == WINDOW

    for token, _ in sent:
        bench.outbox.confirmed(AnswerToken(token), None)

    bench.wait_for(WINDOW + 20)


def test_an_answer_that_breaks_the_connection_is_found_out_and_waits(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponed, "FIRST_WAIT_S", 0.5)
    bench.owe(3)
    poison, breaks = 2, 0
    while poison in bench.owed() and breaks < WAIT_AFTER:
        bench.outbox.online(None)
        wait_until(lambda: bench.confirm_all_but(poison) or poison in bench.outbox._under_way, what="the poison's turn")
        bench.outbox.offline()
        breaks += 1
    assert f"answer=2 was under way {WAIT_AFTER} times when the connection broke; it waits" in caplog.text

    tries = bench.tries(poison)
    bench.outbox.online(None)
    wait_until(lambda: bench.confirm_all_but(poison) or bench.owed() == [poison])
    wait_until(lambda: bench.tries(poison) == tries + 1, what="its wait to be over, and it to be tried again")
    bench.outbox.confirmed(AnswerToken(poison), None)

    wait_until(lambda: not bench.owed())


def test_an_answer_too_large_for_the_broker_is_not_sent(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.outbox.online(200)
    bench.owe(1, body=b"x" * 300)

    wait_until(lambda: "the broker takes 200" in caplog.text)
    assert bench.published == []
    bench.outbox.online(None)
    bench.wait_for(1)


class TestWhatIsOfferedByWhoeverHasKeptIt:
    def test_it_is_sent_at_once_without_the_thread(self, bench: Bench) -> None:
        bench.outbox.online(None)
        bench.rest()

        bench.outbox.offer(bench.finish(2))

        assert [token for token, _ in bench.published] == [1, 2]
        assert bench.published[0][1].status == 200
        assert not bench.outbox.drain(0.1)
        bench.confirm_all_but(0)
        wait_until(lambda: not bench.owed())
        assert bench.outbox.drain(5)
        assert len(bench.published) == 2

    def test_the_thread_leaves_it_alone_until_then(self, bench: Bench) -> None:
        bench.outbox.online(None)
        answers = bench.finish()

        bench.outbox.wake()
        bench.rest()

        assert bench.published == []
        bench.outbox.offer(answers)
        bench.wait_for(1)
        bench.outbox.wake()
        bench.rest()
        assert len(bench.published) == 1

    def test_offline_it_is_left_to_the_thread(self, bench: Bench) -> None:
        bench.outbox.offer(bench.finish())
        assert bench.published == []

        bench.outbox.online(None)

        bench.wait_for(1)

    def test_what_was_under_way_when_the_broker_went_is_sent_again(self, bench: Bench) -> None:
        bench.outbox.online(None)
        bench.rest()
        bench.outbox.offer(bench.finish())
        bench.outbox.offline()

        bench.outbox.online(None)

        assert [token for token, _ in bench.wait_for(2)] == [1, 1]

    def test_it_does_not_go_before_what_waits_already(self, bench: Bench) -> None:
        bench.outbox.online(None)
        bench.owe(WINDOW + 2)
        bench.wait_for(WINDOW)

        bench.outbox.offer(bench.finish())

        assert len(bench.published) == WINDOW
        for number in range(1, WINDOW + 4):
            bench.wait_for(number)
            bench.outbox.confirmed(AnswerToken(number), None)
        assert [token for token, _ in bench.published] == list(range(1, WINDOW + 4))

    def test_one_too_large_for_the_broker_is_kept(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.outbox.online(200)
        bench.rest()

        bench.outbox.offer(bench.finish(1, body=b"x" * 300))

        assert "the broker takes 200" in caplog.text
        assert bench.published == []
        assert bench.owed() == [1]

    def test_what_the_broker_had_taken_when_it_went_is_no_suspect(self, bench: Bench) -> None:
        bench.outbox.online(None)
        bench.rest()
        with bench.outbox._change:  # the thread cannot note it before the end
            bench.outbox.offer(bench.finish())
            bench.outbox.confirmed(AnswerToken(1), None)
            bench.outbox.offline()

        assert bench.outbox._postponed._breaks == {}
        wait_until(lambda: not bench.owed())


LIST = encode({"success": True, "data": ["x" * 90] * 60, "status": 200, "code": "ok", "request_id": "r-1"})
SHORT_KEYS = ["success", "error", "status", "code", "reply", "request_id"]


def short(publication: Publication) -> dict[str, Any]:
    body = json.loads(publication.payload)
    assert list(body) == SHORT_KEYS
    assert (publication.status, publication.code) == (500, "reply_too_large") == (body["status"], body["code"])
    assert (body["success"], body["request_id"]) == (False, "r-1")
    return body["reply"]


def test_a_list_over_the_packet_size_of_connack_is_replaced_by_a_small_answer(bench: Bench) -> None:
    bench.outbox.online(2000)
    bench.owe(body=LIST)

    ((token, publication),) = bench.wait_for(1)
    assert short(publication) == {"success": True, "status": 200, "code": "ok"}
    assert publication.correlation_data == b"c"
    bench.outbox.confirmed(AnswerToken(token), None)
    wait_until(lambda: not bench.owed())


def test_a_list_that_the_broker_refuses_as_too_large_is_replaced_on_the_same_topic(bench: Bench) -> None:
    bench.outbox.online(None)
    bench.owe(body=LIST)
    ((token, publication),) = bench.wait_for(1)
    assert publication.payload == LIST

    bench.outbox.confirmed(AnswerToken(token), f"{TOO_LARGE}: that is all")

    _, (_, publication) = bench.wait_for(2)
    assert short(publication)["success"]
    assert publication.topic == DRAFT.topic


def test_a_list_that_is_refused_for_another_reason_is_not_replaced(bench: Bench) -> None:
    bench.outbox.online(None)
    bench.owe(body=LIST)
    ((token, _),) = bench.wait_for(1)

    bench.outbox.confirmed(AnswerToken(token), "Not authorized")

    assert bench.wait_for(2)[1][1].payload == LIST


@pytest.mark.parametrize(("size", "tries"), [(outbox.LARGE + 200, 3), (outbox.LARGE - 200, WAIT_AFTER)])
def test_only_a_large_answer_that_ends_connections_alone_is_replaced(bench: Bench, size: int, tries: int) -> None:
    body = encode({"success": True, "data": "x" * size, "status": 200, "code": "ok", "request_id": "r-1"})
    bench.owe(body=body)
    for number in range(tries):
        bench.outbox.online(None)
        assert bench.wait_for(number + 1)[number][1].payload == body
        bench.outbox.offline()
    bench.outbox.online(None)

    if size > outbox.LARGE:
        assert short(bench.wait_for(tries + 1)[tries][1])["success"]
    else:
        wait_until(lambda: len(bench.outbox._postponed))


@pytest.mark.parametrize(
    ("largest", "room"),
    [
        (None, 262_144),
        (149_504, 130_816),
        (20_000, 17_500),
        (4000, 2300),
        (3000, 1500),
        (300, 150),
        (268_435_455, 262_144),
    ],
)
def test_a_reply_is_made_for_the_packets_of_the_last_connection(largest: int | None, room: int) -> None:
    reply_room = ReplyRoom(262_144)
    reply_room.follow(largest)

    assert reply_room.current() == room
    reply_room.follow(None)
    assert reply_room.current() == 262_144
