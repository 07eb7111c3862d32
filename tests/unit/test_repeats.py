"""A request that comes again with its request_id: when it is carried out anew, and when its stored answer is sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import create_draft
from tests.support.judging import keep_or_refuse as keep
from zkbridge.contract.errors import Busy
from zkbridge.contract.groups import waiting
from zkbridge.contract.messages import Reply, encode, failed
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer, Draft, Finish, Parked, Part, State, Verdict

CREATED = Reply(200, "created", b'{"success":true,"status":200,"code":"created"}')
EXISTS = Reply(409, "user_exists", b'{"success":false,"status":409,"code":"user_exists"}')
INTENT = {"uid": 7}


def away(effect: str = "none") -> Reply:
    body = {"success": False, "status": 500, "code": "device_unreachable", "retryable": True, "effect": effect}
    return Reply(500, "device_unreachable", encode(body))


def ended(code: str, status: int = 500, **more: Any) -> Reply:
    return Reply(status, code, encode({"success": False, "status": status, "code": code, **more}))


AWAY, DOUBTFUL = away(), away("unknown")
BUSY = ended("busy", 503, retryable=True, retry_after_s=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path, readings=["users/list"])
    yield ledger
    ledger.close()


def draft(ledger: Ledger, *, words: str = "first", content: str = "a", **changes: Any) -> Draft:
    own = {"content": ledger.digest(content), "request_id": "r-1", "expires_at": 2e9}
    return create_draft(ledger, words, **{**own, **changes})


def group(ledger: Ledger, *, members: tuple[Any, ...] = ("p", "q", "s"), **changes: Any) -> Draft:
    parts = tuple(Part(member, f"zk/{member}/users/create/reply") for member in members)
    return draft(ledger, device="planta", parts=parts, **changes)


def finish(ledger: Ledger, *finishes: Any, **more: Any) -> None:
    finished = ledger.finish([Finish(request, reply) for request, reply in finishes], **more)
    ledger.replies.release(finished.answers)


def confirm(ledger: Ledger) -> None:
    ledger.replies.sent([answer.id for answer in ledger.replies.unsent(100)])


def codes(reply: Answer) -> list[tuple[Any, Any]]:
    return [(each["code"], each.get("replayed", False)) for each in json.loads(reply.body)["results"]]


@pytest.mark.parametrize(
    ("reply", "noted", "verdict", "tried"),
    [
        (AWAY, False, Verdict.NEW, ()),
        (DOUBTFUL, True, Verdict.NEW, (INTENT,)),
        (DOUBTFUL, False, Verdict.ANSWERED, None),  # kept by a version that did not keep the note
        (ended("enroll_interrupted", retryable=True), True, Verdict.NEW, ()),
        (CREATED, True, Verdict.ANSWERED, None),
        (EXISTS, False, Verdict.ANSWERED, None),
        (ended("device_rejected"), False, Verdict.ANSWERED, None),
        (ended("device_rejected", effect="unknown"), True, Verdict.NEW, (INTENT,)),
        (ended("outcome_unknown", retryable=False, effect="unknown"), True, Verdict.ANSWERED, None),
        (ended("internal", error_id="5f3a9c01"), False, Verdict.ANSWERED, None),
    ],
)
def test_only_what_may_be_asked_again_is_carried_out_again(
    ledger: Ledger, reply: Reply, noted: bool, verdict: Verdict, tried: tuple[dict[str, Any], ...] | None
) -> None:
    (first,) = keep(ledger, draft(ledger))
    if noted:
        ledger.running([(first.request.id, INTENT)])
    finish(ledger, (first.request, reply))
    confirm(ledger)

    (again,) = keep(ledger, draft(ledger, mid=2))

    assert again.verdict is verdict
    if verdict is Verdict.ANSWERED:
        assert (again.reply, again.replayed) == (reply, True)
        return
    assert again.request.tried == tried
    assert again.request.state is (State.RUNNING if tried else State.ACCEPTED)
    assert [(one.id, one.request_id, one.state, one.tried) for one in ledger.unfinished()] == [
        (again.request.id, "r-1", again.request.state, tried)
    ]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"mid": 2}, Verdict.NEW),
        ({"mid": 2, "words": "second"}, Verdict.NEW),
        ({"mid": 0, "redeliverable": False}, Verdict.NEW),
        ({"mid": 1, "connection": 2}, Verdict.NEW),  # a new message on a connection that brings nothing again
        ({"mid": 1, "dup": True}, Verdict.KNOWN),
        ({"mid": 1, "connection": 2, "dup": True}, Verdict.KNOWN),
        ({"mid": 9, "connection": 2, "dup": True}, Verdict.ANSWERED),  # RabbitMQ
        ({"mid": 9, "connection": 2, "settled": False}, Verdict.ANSWERED),  # aedes
        ({"mid": 9, "connection": 2, "settled": False, "words": "second"}, Verdict.NEW),
        ({"mid": 0, "connection": 2, "settled": False, "redeliverable": False}, Verdict.NEW),
        ({"mid": 2, "content": "b"}, Verdict.ANSWERED),
    ],
)
def test_a_message_that_the_broker_may_have_brought_again_is_no_new_request(
    ledger: Ledger, changes: dict[str, Any], verdict: Verdict
) -> None:
    (first,) = keep(ledger, draft(ledger))
    finish(ledger, (first.request, AWAY))
    confirm(ledger)

    (again,) = keep(ledger, draft(ledger, **changes))

    assert again.verdict is verdict
    if verdict is Verdict.ANSWERED:
        assert again.reply.code == ("request_id_reused" if "content" in changes else "device_unreachable")


def test_a_connection_brings_a_message_again_only_as_often_as_it_was_sent(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger))
    finish(ledger, (first.request, AWAY))

    verdicts = [
        keep(ledger, draft(ledger, connection=2, mid=mid, settled=False))[0].verdict for mid in (1, 2)
    ]  # fmt: skip - one question

    assert verdicts == [Verdict.ANSWERED, Verdict.NEW]


def test_two_copies_at_once_are_carried_out_once_and_both_are_answered(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger))
    finish(ledger, (first.request, AWAY))
    confirm(ledger)

    one, two = keep(ledger, draft(ledger, mid=2), draft(ledger, mid=3))
    (three,) = keep(ledger, draft(ledger, mid=4))
    finish(ledger, (one.request, CREATED))

    assert [each.verdict for each in (one, two, three)] == [Verdict.NEW, Verdict.UNDER_WAY, Verdict.UNDER_WAY]
    assert [(answer.code, b"replayed" in answer.body) for answer in ledger.replies.unsent(9)] == [
        ("created", False),
        ("created", True),
        ("created", True),
    ]


def test_an_answer_that_is_not_sent_yet_stays_what_it_was(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger))
    finish(ledger, (first.request, AWAY))

    (again,) = keep(ledger, draft(ledger, mid=2))
    assert [answer.body for answer in ledger.replies.unsent(9)] == [AWAY.body]
    finish(ledger, (again.request, CREATED))

    assert [answer.body for answer in ledger.replies.unsent(9)] == [AWAY.body, CREATED.body]


def test_what_cannot_be_taken_on_now_stays_open(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger))
    finish(ledger, (first.request, AWAY))
    busy = failed(Busy("stopping", retry_after_s=10), "es")

    (refused,) = keep(ledger, draft(ledger, mid=2), admit=lambda _: busy)
    (again,) = keep(ledger, draft(ledger, mid=3))

    assert (refused.verdict, refused.reply.code, again.verdict) == (Verdict.ANSWERED, "busy", Verdict.NEW)


def test_a_repetition_is_kept_whole_or_not_at_all(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = keep(ledger, draft(ledger))
    ledger.running([(first.request.id, INTENT)])
    finish(ledger, (first.request, DOUBTFUL))
    monkeypatch.setattr("zkbridge.ledger.repeats.carry_on", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        keep(ledger, draft(ledger, mid=2))
    monkeypatch.undo()

    assert ledger.unfinished() == []
    (again,) = keep(ledger, draft(ledger, mid=2))
    assert again.request.tried == (INTENT,)


def test_each_failure_is_followed_by_another_attempt_until_one_succeeds(ledger: Ledger) -> None:
    for mid, reply in enumerate([AWAY, DOUBTFUL, DOUBTFUL, AWAY, CREATED], 1):
        (kept,) = keep(ledger, draft(ledger, mid=mid))
        assert kept.verdict is Verdict.NEW
        ledger.running([(kept.request.id, {"uid": mid})])
        finish(ledger, (kept.request, reply))
        confirm(ledger)

    (last,) = keep(ledger, draft(ledger, mid=9))
    assert (last.verdict, last.reply) == (Verdict.ANSWERED, CREATED)


# -- groups ----------------------------------------------------------------------------------------------------------


def test_members_that_failed_are_asked_again_and_the_others_answer_from_memory(ledger: Ledger) -> None:
    (first,) = keep(ledger, group(ledger))
    p, q, s = first.parts
    ledger.running([(s.id, INTENT)])
    finish(ledger, (p, CREATED), (q, AWAY), (s, DOUBTFUL))
    confirm(ledger)

    (again,) = keep(ledger, group(ledger, mid=2))

    assert again.verdict is Verdict.NEW
    assert [(part.device, part.tried, part.shares) for part in again.parts] == [("q", (), 3), ("s", (INTENT,), 3)]
    assert [one.request_id for one in ledger.unfinished()] == ["r-1", "r-1"]
    finish(ledger, (again.parts[0], CREATED), (again.parts[1], EXISTS))
    (answer,) = ledger.replies.unsent(9)
    assert codes(answer) == [("created", True), ("created", False), ("user_exists", False)]
    assert b'"replayed"' not in answer.body.partition(b'"results"')[0]
    confirm(ledger)
    (last,) = keep(ledger, group(ledger, mid=3))
    assert (last.verdict, last.replayed) == (Verdict.ANSWERED, True)


def test_a_group_whose_members_need_no_new_try_gets_the_stored_answer(ledger: Ledger) -> None:
    (first,) = keep(ledger, group(ledger))
    finish(ledger, *zip(first.parts, [CREATED, EXISTS, ended("device_rejected")], strict=True))

    (again,) = keep(ledger, group(ledger, mid=2))

    assert (again.verdict, again.replayed) == (Verdict.ANSWERED, True)


def test_a_member_whose_queue_was_full_is_asked_again(ledger: Ledger) -> None:
    (first,) = keep(ledger, group(ledger), admit=lambda d: BUSY if d.device == "q" else None)
    finish(ledger, *((part, CREATED) for part in first.parts))
    confirm(ledger)

    (again,) = keep(ledger, group(ledger, mid=2))

    assert [part.device for part in again.parts] == ["q"]


def test_a_member_that_waits_goes_on_waiting_and_answers_for_itself(ledger: Ledger) -> None:
    (first,) = keep(ledger, group(ledger, catch_up=True, correlation=b"1"))
    p, q, s = first.parts
    waits = waiting("q", until=2e9, effect="none", why="away", language="es")
    finish(ledger, (p, CREATED), (s, AWAY), parked=[Parked(q.id, "1", waits)])
    confirm(ledger)

    (again,) = keep(ledger, group(ledger, mid=2, catch_up=True, correlation=b"2"))
    assert [part.device for part in again.parts] == ["s"]
    assert [each.request.id for each in ledger.waiting()] == [q.id]
    (taken,) = ledger.take_up("q")
    finish(ledger, (taken, CREATED))  # while the group's second answer is still to come
    assert [(a.topic, a.correlation) for a in ledger.replies.unsent(9)] == [("zk/q/users/create/reply", b"1")]
    finish(ledger, (again.parts[0], CREATED))

    assert [answer.code for answer in ledger.replies.unsent(9)] == ["created", "created"]
    whole = next(answer for answer in ledger.replies.unsent(9) if answer.correlation == b"2")
    assert codes(whole) == [("created", True), ("created", False), ("created", False)]


def test_a_worker_that_took_a_part_up_before_the_repetition_answers_to_the_new_request(ledger: Ledger) -> None:
    (first,) = keep(ledger, group(ledger, catch_up=True))
    p, q, s = first.parts
    waits = waiting("q", until=2e9, effect="none", why="away", language="es")
    finish(ledger, (p, CREATED), (s, AWAY), parked=[Parked(q.id, "1", waits)])
    (taken,) = ledger.take_up("q")
    confirm(ledger)

    (again,) = keep(ledger, group(ledger, mid=2, catch_up=True), admit=lambda d: BUSY if d.device == "s" else None)
    assert again.verdict is Verdict.UNDER_WAY  # nobody new is to be asked, but `q` is not done
    finish(ledger, (taken, CREATED))

    whole = ledger.replies.unsent(9)[-1]
    assert codes(whole) == [("created", True), ("created", False), ("busy", False)]


def test_a_member_that_has_left_the_group_is_not_asked_again(ledger: Ledger) -> None:
    (first,) = keep(ledger, group(ledger))
    finish(ledger, *((part, AWAY) for part in first.parts))
    confirm(ledger)

    (again,) = keep(ledger, group(ledger, members=("s", "x"), mid=2))
    assert [part.device for part in again.parts] == ["s"]
    finish(ledger, (again.parts[0], CREATED))

    assert [each["device_id"] for each in json.loads(ledger.replies.unsent(9)[0].body)["results"]] == ["p", "q", "s"]


def test_the_parts_of_a_repeated_group_are_forgotten_with_it_and_not_before(tmp_path: Path) -> None:
    now = [1e9]
    ledger = Ledger(tmp_path, clock=lambda: now[0])
    (first,) = keep(ledger, group(ledger))
    finish(ledger, *zip(first.parts, [CREATED, AWAY, CREATED], strict=True))
    confirm(ledger)
    now[0] += 90
    (again,) = keep(ledger, group(ledger, mid=2))
    finish(ledger, (again.parts[0], AWAY))
    confirm(ledger)
    now[0] += 90

    ledger.retention.forget(keep_s=100, most=100)
    (third,) = keep(ledger, group(ledger, mid=3))
    finish(ledger, (third.parts[0], CREATED))
    (answer,) = ledger.replies.unsent(9)
    assert [each["device_id"] for each in json.loads(answer.body)["results"]] == ["p", "q", "s"]
    confirm(ledger)

    ledger.retention.forget(
        keep_s=1000, most=3
    )  # of six: the failures of before, and nothing of what is remembered whole
    assert [row[0] for row in ledger.database.read("SELECT state FROM requests WHERE parent IS NOT NULL")] == [
        "done"
    ] * 3
    ledger.retention.forget(keep_s=1000, most=0)
    assert ledger.database.read("SELECT count(*) FROM requests")[0][0] == 0
    ledger.close()


def test_what_a_crash_leaves_of_a_repetition_is_under_way_after_the_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (first,) = keep(ledger, group(ledger))
    p, q, s = first.parts
    ledger.running([(s.id, INTENT)])
    finish(ledger, (p, CREATED), (q, AWAY), (s, DOUBTFUL))
    keep(ledger, group(ledger, mid=2))
    ledger.close()

    ledger = Ledger(tmp_path)
    left = ledger.unfinished()
    assert [(one.device, one.tried, one.shares) for one in left] == [("q", (), 3), ("s", (INTENT,), 3)]
    finish(ledger, *((one, CREATED) for one in left))
    assert codes(ledger.replies.unsent(9)[-1]) == [("created", True), ("created", False), ("created", False)]
    ledger.close()


# -- what only reads -------------------------------------------------------------------------------------------------

LISTED = Reply(200, "ok", b'{"success":true,"data":[{"card":4455667788}],"status":200,"code":"ok"}')


def contents(ledger: Ledger) -> bytes:
    ledger.scrub()
    return b"".join(path.read_bytes() for path in ledger.path.parent.glob("ledger.db*"))


def test_what_was_read_is_forgotten_when_the_broker_has_it_and_read_again(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger, command="users/list"))
    finish(ledger, (first.request, LISTED))
    (copy,) = keep(ledger, draft(ledger, command="users/list", mid=2))
    assert (copy.verdict, copy.reply) == (Verdict.ANSWERED, LISTED)
    one, two = ledger.replies.unsent(9)
    ledger.replies.sent([one.id])
    assert b"4455667788" in contents(ledger)
    ledger.replies.sent([two.id])

    assert b"4455667788" not in contents(ledger)
    (again,) = keep(ledger, draft(ledger, command="users/list", mid=3))
    (other,) = keep(ledger, draft(ledger, command="users/list", mid=4, content="b"))
    assert again.verdict is Verdict.NEW
    assert other.reply.code == "request_id_reused"
    assert ledger.retention.forget(keep_s=-1, most=100) > 0  # it is no unfinished request


def test_what_a_group_read_is_forgotten_with_every_members_part(ledger: Ledger) -> None:
    (first,) = keep(ledger, group(ledger, command="users/list"))
    finish(ledger, *zip(first.parts, [LISTED, LISTED, AWAY], strict=True))
    assert b"4455667788" in contents(ledger)
    confirm(ledger)

    assert b"4455667788" not in contents(ledger)
    (again,) = keep(ledger, group(ledger, command="users/list", mid=2))
    assert [part.device for part in again.parts] == ["p", "q", "s"]


def test_what_was_changed_is_remembered(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger))
    finish(ledger, (first.request, CREATED))
    confirm(ledger)

    assert ledger.reply_of(first.request.id) == CREATED
