"""The ledger: nothing kept is lost, nothing is done twice, nothing secret stays."""

import json
import os
import random
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import create_draft
from tests.support.judging import keep_or_refuse as keep
from zkbridge.contract.errors import Busy, RequestIdReused
from zkbridge.contract.groups import waiting
from zkbridge.contract.messages import Reply, failed
from zkbridge.contract.validity import Validity
from zkbridge.ledger.errors import LedgerInUse, LedgerTooNew, LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import (
    PUNCH,
    USER_EVENT,
    Draft,
    Finish,
    Finished,
    Parked,
    Part,
    Request,
    State,
    UnsentPunch,
    ValidityChange,
    Verdict,
)
from zkbridge.ledger.schema import MIGRATIONS

SECRET = b'{"user_id":"1","password":"geheim77","card":4455667788}'
CREATED = Reply(200, "created", b'{"success":true}')


def draft(ledger: Ledger, name: str = "a", **changes: Any) -> Draft:
    return create_draft(ledger, name, **{"content": ledger.digest("content", name), "params": SECRET, **changes})


def finish(ledger: Ledger, finishes: list[Finish], **more: Any) -> Finished:
    """As somebody does who leaves the sending to the outbox."""
    finished = ledger.finish(finishes, **more)
    ledger.replies.release(finished.answers)
    return finished


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.name.startswith("ledger.db"))


def test_a_request_goes_from_accepted_to_sent(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger))
    assert kept.verdict is Verdict.NEW
    request = kept.request.id
    assert [(r.id, r.state, r.tried) for r in ledger.unfinished()] == [(request, State.ACCEPTED, ())]

    ledger.running([(request, {"uid": 7})])
    assert [(r.state, r.tried) for r in ledger.unfinished()] == [(State.RUNNING, ({"uid": 7},))]
    assert ledger.replies.unsent(10) == []

    finish(ledger, [Finish(kept.request, CREATED)])
    assert ledger.unfinished() == []
    (answer,) = ledger.replies.unsent(10)
    assert (answer.topic, answer.body, answer.status, answer.code) == (
        "zk/p/users/create/reply",
        b'{"success":true}',
        200,
        "created",
    )  # fmt: skip - one comparison

    ledger.replies.sent([answer.id])
    assert ledger.replies.unsent(10) == []
    state = sqlite3.connect(ledger.path).execute("SELECT state FROM requests").fetchone()[0]
    assert state == "sent"


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    (one,) = keep(first, draft(first, "one"))
    keep(first, draft(first, "two", mid=2))
    first.running([(one.request.id, {"uid": 3})])
    first.finish([], pending_enable="p")
    first.facts.remember("p", "terminal", "72")
    first.close()

    second = Ledger(tmp_path)

    assert [(r.params, r.tried) for r in second.unfinished()] == [(SECRET, ({"uid": 3},)), (SECRET, ())]
    assert second.enables.devices() == {"p"}
    assert second.facts.recall("p", "terminal") == "72"
    second.close()


def test_a_finished_request_leaves_no_secret_behind(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (kept,) = keep(ledger, draft(ledger))
    assert b"geheim77" in contents(tmp_path)

    finish(ledger, [Finish(kept.request, CREATED)])
    ledger.scrub()

    assert b"geheim77" not in contents(tmp_path)
    assert b"4455667788" not in contents(tmp_path)
    ledger.close()


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    os.umask(0)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "ledger.db").touch(mode=0o644)  # as somebody may have copied it back
    ledger = Ledger(tmp_path / "state")
    keep(ledger, draft(ledger))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}

    assert set(modes.values()) == {0o600}, modes
    assert {"ledger.db", "ledger.db-wal", "ledger.key", "ledger.lock"} <= set(modes)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    ledger.close()
    os.umask(0o022)


def test_a_copy_with_the_same_request_id_waits_for_the_same_answer(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger, request_id="r-1"))
    (second,) = keep(ledger, draft(ledger, "b", request_id="r-1", mid=2, content=ledger.digest("content", "a")))
    assert second.verdict is Verdict.UNDER_WAY

    finish(ledger, [Finish(first.request, CREATED)])
    (third,) = keep(ledger, draft(ledger, "c", request_id="r-1", mid=3, content=ledger.digest("content", "a")))

    assert third.verdict is Verdict.ANSWERED
    assert [answer.body for answer in ledger.replies.unsent(10)] == [
        b'{"success":true}',
        b'{"success":true,"replayed":true}',
        b'{"success":true,"replayed":true}',
    ]  # fmt: skip - one comparison


def test_a_request_id_with_other_content_is_refused(ledger: Ledger) -> None:
    keep(ledger, draft(ledger, request_id="r-1"))

    (other,) = keep(ledger, draft(ledger, "b", request_id="r-1", mid=2))

    assert other.reply.code == "request_id_reused"
    assert [answer.code for answer in ledger.replies.unsent(10)] == ["request_id_reused"]


def test_what_was_turned_away_may_be_asked_again_with_its_request_id(ledger: Ledger) -> None:
    busy = failed(Busy("stopping", retry_after_s=10), "es")
    (refused,) = keep(ledger, draft(ledger, request_id="r-1"), admit=lambda _draft: busy)
    assert refused.reply.code == "busy"

    (again,) = keep(ledger, draft(ledger, "b", request_id="r-1", mid=2))

    assert again.verdict is Verdict.NEW


def test_a_redelivery_is_the_same_request_and_has_one_answer(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger, connection=1, mid=5))

    (again,) = keep(ledger, draft(ledger, connection=2, mid=5, dup=True))
    assert again.verdict is Verdict.KNOWN
    finish(ledger, [Finish(first.request, CREATED)])
    (later,) = keep(ledger, draft(ledger, connection=3, mid=5, dup=True))

    assert later.verdict is Verdict.KNOWN
    assert len(ledger.replies.unsent(10)) == 1


def test_a_redelivered_refusal_is_answered_once(ledger: Ledger) -> None:
    reply = failed(RequestIdReused(request_id="x"), "es")
    keep(ledger, draft(ledger, reply=reply))

    (again,) = keep(ledger, draft(ledger, reply=reply, connection=2, dup=True))

    assert again.verdict is Verdict.KNOWN
    assert len(ledger.replies.unsent(10)) == 1


def test_the_same_words_twice_are_two_requests(ledger: Ledger) -> None:
    first, second = keep(ledger, draft(ledger, mid=1), draft(ledger, mid=2))

    assert first.request.id != second.request.id
    assert second.request.suspect_of is None


def test_a_redelivery_under_a_new_packet_id_is_left_to_the_terminal_to_settle(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger, connection=1, mid=5))

    (again,) = keep(ledger, draft(ledger, connection=2, mid=1, dup=True))
    (unmarked,) = keep(ledger, draft(ledger, connection=2, mid=2))
    (quality_0,) = keep(ledger, draft(ledger, connection=2, mid=0, redeliverable=False))

    assert again.request.suspect_of == first.request.id
    assert unmarked.request.suspect_of == first.request.id
    assert quality_0.request.suspect_of is None


def test_a_packet_id_of_long_ago_proves_nothing(ledger: Ledger) -> None:
    (first,) = keep(ledger, draft(ledger, connection=1, mid=5))
    keep(ledger, draft(ledger, "other", connection=2, mid=6))

    (again,) = keep(ledger, draft(ledger, connection=3, mid=5, dup=True))

    assert again.verdict is Verdict.NEW
    assert again.request.suspect_of == first.request.id


def test_a_redelivery_is_known_over_a_connection_that_ended_before_all_of_it_had_come(ledger: Ledger) -> None:
    busy = failed(Busy("queue", retry_after_s=1, waiting=9, device="p"), "es")
    keep(ledger, draft(ledger, reply=busy, connection=1, mid=5, settled=False))
    keep(ledger, draft(ledger, "other", connection=2, mid=4, dup=True, settled=False))

    (again,) = keep(ledger, draft(ledger, reply=busy, connection=3, mid=5, dup=True, settled=False))

    assert again.verdict is Verdict.KNOWN


def test_the_connection_that_was_settled_last_is_remembered_over_a_crash(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        keep(ledger, draft(ledger, connection=1, mid=5))
        keep(ledger, draft(ledger, "other", connection=2, mid=6))
        keep(ledger, draft(ledger, "third", connection=3, mid=7, settled=False))

    with closing(Ledger(tmp_path)) as ledger:
        old, last = keep(
            ledger,
            draft(ledger, connection=4, mid=5, dup=True, settled=False),
            draft(ledger, "other", connection=4, mid=6, dup=True, settled=False),
        )

    assert (old.verdict, last.verdict) == (Verdict.NEW, Verdict.KNOWN)


def test_a_redelivery_is_known_after_a_connection_on_which_nothing_could_be_kept(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger, connection=1))
    ledger.inspect(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(LedgerUnavailable):
        keep(ledger, draft(ledger, "other", connection=2, mid=2))
    ledger.inspect(lambda db: db.execute("PRAGMA query_only = OFF"))

    (again,) = keep(ledger, draft(ledger, connection=3, dup=True))

    assert again.verdict is Verdict.KNOWN
    assert [each.id for each in ledger.unfinished()] == [kept.request.id]


def test_a_retained_command_is_answered_once_per_content(ledger: Ledger) -> None:
    reply = Reply(409, "retained_refused", b"{}")

    verdicts = [keep(ledger, draft(ledger, name, retained=True, reply=reply))[0].verdict for name in ("a", "a", "b")]

    assert verdicts == [Verdict.ANSWERED, Verdict.KNOWN, Verdict.ANSWERED]


def test_a_stored_reply_is_not_overwritten(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger))
    finish(ledger, [Finish(kept.request, CREATED)])

    finish(ledger, [Finish(kept.request, Reply(500, "internal", b"{}"))])

    assert ledger.reply_of(kept.request.id) == CREATED


def test_a_refused_topic_falls_back(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger, topic="zk/replies/me"))
    finish(ledger, [Finish(kept.request, CREATED)])
    (answer,) = ledger.replies.unsent(10)

    ledger.replies.redirect(answer.id)

    assert [a.topic for a in ledger.replies.unsent(10)] == ["zk/p/users/create/reply"]


def test_a_pending_enable_is_kept_with_the_answer_and_carried_out_once(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger))

    finish(ledger, [Finish(kept.request, CREATED)], pending_enable="p")
    assert ledger.enables.devices() == {"p"}
    ledger.enables.mark_enabled("p")

    assert ledger.enables.devices() == set()


def pending_on_disk(ledger: Ledger) -> list[Any]:
    return [device for (device,) in sqlite3.connect(ledger.path).execute("SELECT device FROM debts")]


def test_a_confirmed_enable_is_written_with_the_next_answers_sent(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger))
    finished = finish(ledger, [Finish(kept.request, CREATED)], pending_enable="p")
    ledger.enables.mark_enabled("p")
    assert pending_on_disk(ledger) == ["p"]

    ledger.replies.sent(answer.id for answer in finished.answers)

    assert pending_on_disk(ledger) == []


def test_a_confirmed_enable_is_written_soon_also_without_answers(ledger: Ledger) -> None:
    finish(ledger, [], pending_enable="p")
    ledger.enables.mark_enabled("p")

    ledger.scrub()

    assert pending_on_disk(ledger) == []


def test_a_terminal_disabled_again_before_that_stays_pending(ledger: Ledger) -> None:
    for number in (1, 2):
        (kept,) = keep(ledger, draft(ledger, str(number), mid=number))
        finished = finish(ledger, [Finish(kept.request, CREATED)], pending_enable="p")
        if number == 1:
            ledger.enables.mark_enabled("p")

    ledger.replies.sent(answer.id for answer in finished.answers)
    ledger.scrub()

    assert ledger.enables.devices() == set(pending_on_disk(ledger)) == {"p"}


def test_answers_belong_to_the_thread_that_ended_the_requests_until_released(ledger: Ledger) -> None:
    one, two = keep(ledger, draft(ledger, "one"), draft(ledger, "two", mid=2))

    first = ledger.finish([Finish(one.request, CREATED)])
    finish(ledger, [Finish(two.request, CREATED)])

    assert [answer.id for answer in first.answers] == [1]
    assert [answer.id for answer in ledger.replies.unsent(1)] == [2]
    ledger.replies.release(first.answers)
    assert [answer.id for answer in ledger.replies.unsent(10)] == [1, 2]


def test_answers_that_were_handed_out_in_a_crash_are_owed_to_the_next_start(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (kept,) = keep(ledger, draft(ledger))
    ledger.finish([Finish(kept.request, CREATED)])
    ledger.close()

    again = Ledger(tmp_path)

    assert [answer.id for answer in again.replies.unsent(10)] == [1]
    again.close()


def test_numbers_of_requests_go_on_after_a_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (kept,) = keep(ledger, draft(ledger))
    ledger.close()

    again = Ledger(tmp_path)

    assert keep(again, draft(again, "b", mid=2))[0].request.id == kept.request.id + 1
    again.close()


def test_what_is_asked_stays_out_of_every_text_about_it(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger))

    assert "geheim77" not in f"{kept} {draft(ledger)} {kept.request}"


def test_what_is_old_or_too_much_is_forgotten_but_nothing_unfinished_or_unsent(tmp_path: Path) -> None:
    now = [1000.0]
    ledger = Ledger(tmp_path, clock=lambda: now[0])
    for number in range(10):
        (kept,) = keep(ledger, draft(ledger, str(number), mid=number))
        if number != 3:
            finish(ledger, [Finish(kept.request, CREATED)])
        if number not in (3, 4):
            ledger.replies.sent([ledger.replies.unsent(10)[-1].id])

    assert ledger.retention.forget(keep_s=100, most=100) == 0
    assert ledger.retention.forget(keep_s=100, most=7) == 3
    now[0] += 200
    ledger.retention.forget(keep_s=100, most=100)

    assert [request.id for request in ledger.unfinished()] == [4]
    assert [answer.id for answer in ledger.replies.unsent(10)] == [5]
    ledger.close()


def test_two_daemons_cannot_share_a_folder(tmp_path: Path) -> None:
    first = Ledger(tmp_path)

    with pytest.raises(LedgerInUse):
        Ledger(tmp_path)

    first.close()
    Ledger(tmp_path).close()


def test_a_damaged_ledger_is_kept_aside_and_logged_as_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is not a database, it is a sentence. " * 100)

    ledger = Ledger(tmp_path)

    assert keep(ledger, draft(ledger))[0].verdict is Verdict.NEW
    (aside,) = tmp_path.glob("ledger.db.damaged-*")
    assert aside.read_bytes().startswith(b"this is not a database")
    assert "the ledger is damaged" in caplog.text
    ledger.close()


def test_a_ledger_with_a_broken_page_is_kept_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(tmp_path)
    keep(ledger, *(draft(ledger, str(number), mid=number) for number in range(200)))
    ledger.close()
    raw = bytearray((tmp_path / "ledger.db").read_bytes())
    raw[4096:] = b"\xa5" * (len(raw) - 4096)
    (tmp_path / "ledger.db").write_bytes(raw)

    Ledger(tmp_path).close()

    assert len(list(tmp_path.glob("ledger.db.damaged-*"))) == 1
    assert "the ledger is damaged" in caplog.text


def test_an_older_ledger_is_lifted_with_what_it_holds(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "ledger.db")
    db.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1;")
    db.execute(
        "INSERT INTO requests (device, command, params, state, tried, accepted_at)"
        " VALUES ('p', 'users/create', ?, 'running', '[{\"uid\":4}]', 1)",
        (SECRET,),
    )
    db.commit()
    db.close()

    ledger = Ledger(tmp_path)

    (request,) = ledger.unfinished()
    assert (request.params, request.tried, request.suspect_of) == (SECRET, ({"uid": 4},), None)
    ledger.close()


def test_a_punch_of_an_older_ledger_is_still_a_punch(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "ledger.db")
    older = MIGRATIONS[: next(at for at, script in enumerate(MIGRATIONS) if "validities" in script)]
    db.executescript(f"{';'.join(older)}; PRAGMA user_version = {len(older)};")
    db.execute("INSERT INTO punches (device, body) VALUES ('p', x'31')")
    db.commit()
    db.close()

    ledger = Ledger(tmp_path)

    assert ledger.punches.unsent(10) == [UnsentPunch(1, "p", b"1", PUNCH)]
    assert ledger.validities.of("p") == {}
    ledger.close()


FOREVER, UNTIL = Validity(), Validity(valid_until="2030-01-31T18:00:00")


def test_dates_are_kept_with_the_reply_and_by_device_and_user_id(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (kept,) = keep(ledger, draft(ledger))
    dates = [ValidityChange("p", "7", UNTIL), ValidityChange("q", "7", UNTIL), ValidityChange("p", "8", FOREVER)]

    ledger.finish([Finish(kept.request, CREATED)], validities=dates)
    ledger.close()
    ledger = Ledger(tmp_path)

    assert ledger.validities.of("p") == ledger.validities.of("q") == {"7": UNTIL}
    ledger.finish([], validities=[ValidityChange("p", "7", FOREVER)])
    assert ledger.validities.of("p") == {}
    ledger.close()


def test_what_is_left_and_the_event_are_kept_in_one_commit(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.finish([], validities=[ValidityChange("p", "7", UNTIL), ValidityChange("p", "8", UNTIL)])

    ledger.validities.carry_out(
        [(ValidityChange("p", "7", FOREVER), b"event"), (ValidityChange("p", "8", FOREVER), None)]
    )

    assert ledger.validities.of("p") == {}
    assert ledger.punches.unsent(10) == [UnsentPunch(1, "p", b"event", USER_EVENT)]
    ledger.close()


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "ledger.db")
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(LedgerTooNew, match="written by a newer zkbridge"):
        Ledger(tmp_path)


def test_a_lost_key_makes_no_copy_look_like_another_request(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    keep(ledger, draft(ledger, request_id="r-1"))
    ledger.close()
    (tmp_path / "ledger.key").unlink()

    ledger = Ledger(tmp_path)

    assert keep(ledger, draft(ledger, "b", request_id="r-1", mid=9))[0].verdict is Verdict.UNDER_WAY
    ledger.close()


def test_a_full_disk_keeps_nothing_and_raises(ledger: Ledger) -> None:
    ledger.database._db.execute("PRAGMA max_page_count = 30")
    with pytest.raises(LedgerUnavailable, match="full"):
        keep(ledger, *(draft(ledger, str(number), mid=number, params=SECRET * 100) for number in range(100)))
    assert ledger.unfinished() == []

    ledger.database._db.execute("PRAGMA max_page_count = 100000")

    assert keep(ledger, draft(ledger))[0].verdict is Verdict.NEW


def test_one_threads_fault_does_not_undo_anothers_work(ledger: Ledger) -> None:
    def fail(_draft: object) -> None:
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        keep(ledger, draft(ledger), admit=fail)

    assert ledger.unfinished() == []
    assert keep(ledger, draft(ledger))[0].verdict is Verdict.NEW


def test_what_arrives_together_is_committed_together(ledger: Ledger) -> None:
    before = ledger.database.commits
    keep(ledger, *(draft(ledger, str(number), mid=number) for number in range(100)))
    assert ledger.database.commits == before + 1

    start = threading.Barrier(20)

    def remember(number: str) -> None:
        start.wait()
        ledger.facts.remember("x", str(number), "y")

    with ledger.database._lock:  # as if a commit were under way while the others arrive
        threads = [threading.Thread(target=remember, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        waiting = threading.Event()
        while len(ledger.database._jobs) < 20:
            waiting.wait(0.01)
    for thread in threads:
        thread.join()

    assert ledger.database.commits == before + 2
    assert all(ledger.facts.recall("x", str(number)) == "y" for number in range(20))


def test_connection_numbers_never_repeat(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    numbers = [first.facts.next_connection(), first.facts.next_connection()]
    first.close()
    second = Ledger(tmp_path)
    numbers.append(second.facts.next_connection())
    second.close()

    assert numbers == [1, 2, 3]


def test_digests_distinguish_parts(ledger: Ledger) -> None:
    texts = [("ab", "c"), ("a", "bc"), ("abc", None), ("abc", ""), (b"abc",)]

    assert len({ledger.digest(*parts) for parts in texts}) == len(texts)
    assert json.dumps(ledger.digest("x").hex()) != json.dumps(Ledger.__name__)


def test_no_secret_is_left_where_a_row_stood_before_its_page_was_rearranged(tmp_path: Path) -> None:
    """Requests of all sizes come and go in any order; what waits stays, what is done is nowhere."""
    ledger, luck = Ledger(tmp_path), random.Random(7)
    waiting: dict[Request, bytes] = {}
    done: list[bytes] = []
    for number in range(1500):
        secret = b"geheim%06d" % number
        params = luck.randbytes(luck.randrange(400)).hex().encode() + secret
        (kept,) = keep(ledger, draft(ledger, str(number), mid=number, params=params))
        waiting[kept.request] = secret
        if len(waiting) > 40:
            for request in luck.sample(list(waiting), luck.randrange(1, 30)):
                finish(ledger, [Finish(request, CREATED)])
                done.append(waiting.pop(request))

    ledger.scrub()

    left = contents(tmp_path)
    assert [secret for secret in done if secret in left] == []
    assert all(secret in left for secret in waiting.values())
    assert {request: request.params[-12:] for request in ledger.unfinished()} == waiting
    ledger.close()


def test_a_scrub_that_cannot_write_is_made_up_for_later(ledger: Ledger) -> None:
    (kept,) = keep(ledger, draft(ledger))
    finish(ledger, [Finish(kept.request, CREATED)])
    ledger.database._db.execute("PRAGMA query_only = ON")
    ledger.scrub()
    ledger.database._db.execute("PRAGMA query_only = OFF")

    ledger.scrub()

    assert b"geheim77" not in contents(ledger.path.parent)


def test_very_much_that_waits_is_not_written_anew_each_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zkbridge.ledger.retention.REWRITTEN_AT_MOST", 3)
    kept = keep(ledger, *(draft(ledger, str(number), mid=number) for number in range(5)))
    finish(ledger, [Finish(kept[0].request, CREATED)])
    ledger.scrub()
    assert ledger.retention._secrets_freed
    finish(ledger, [Finish(one.request, CREATED) for one in kept[1:]])
    ledger.scrub()

    assert b"geheim77" not in contents(ledger.path.parent)


# -- groups --------------------------------------------------------------------------------------------------------


def group_draft(ledger: Ledger, name: str = "g", members: tuple[str, str] = ("p", "q"), **changes: Any) -> Draft:
    parts = tuple(Part(member, f"zk/{member}/users/create/reply") for member in members)
    return draft(ledger, name, device="planta", parts=parts, request_id=name, expires_at=2e9, **changes)


DONE = Reply(200, "created", b'{"success":true,"status":200,"code":"created"}')


def test_a_groups_request_is_one_for_each_member_and_answered_with_the_last(ledger: Ledger) -> None:
    (kept,) = keep(ledger, group_draft(ledger))
    one, two = kept.parts
    assert [(r.device, r.parent, r.request_id, r.shares) for r in ledger.unfinished()] == [
        ("p", kept.request.id, "g", 2),
        ("q", kept.request.id, "g", 2),
    ]

    assert finish(ledger, [Finish(two, DONE)]).groups == []
    assert ledger.replies.unsent(10) == []
    (ended,) = finish(ledger, [Finish(one, DONE)]).groups

    (answer,) = ledger.replies.unsent(10)
    assert ended.reply.body == answer.body
    assert [each["device_id"] for each in json.loads(answer.body)["results"]] == ["p", "q"]
    assert (answer.status, answer.code) == (200, "created")
    assert ledger.unfinished() == []
    ledger.scrub()
    assert b"geheim77" not in contents(ledger.path.parent)


def test_two_members_that_end_at_once_answer_the_group_once(ledger: Ledger) -> None:
    (kept,) = keep(ledger, group_draft(ledger))
    threads = [threading.Thread(target=finish, args=(ledger, [Finish(each, DONE)])) for each in kept.parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ledger.replies.unsent(10)) == 1


def test_a_copy_of_a_groups_request_waits_for_its_answer(ledger: Ledger) -> None:
    (kept,) = keep(ledger, group_draft(ledger))
    (copy,) = keep(ledger, group_draft(ledger, mid=2))
    assert copy.verdict is Verdict.UNDER_WAY

    finish(ledger, [Finish(each, DONE) for each in kept.parts])

    first, second = ledger.replies.unsent(10)
    assert b"replayed" not in first.body
    assert json.loads(second.body)["replayed"] is True


def test_a_member_that_waits_completes_the_group_and_answers_later_for_itself(ledger: Ledger) -> None:
    (kept,) = keep(ledger, group_draft(ledger, catch_up=True, correlation=b"c"))
    one, two = kept.parts
    finish(ledger, [Finish(one, DONE)])
    meanwhile = waiting("q", until=2e9, effect="none", why="away", language="es")
    finish(ledger, [], parked=[Parked(two.id, "123", meanwhile)])

    (answer,) = ledger.replies.unsent(10)
    assert [each["code"] for each in json.loads(answer.body)["results"]] == ["created", "waiting"]
    assert ledger.unfinished() == []
    assert [(each.request.id, each.subject, each.request.params) for each in ledger.waiting("q")] == [
        (two.id, "123", b"")
    ]
    assert ledger.waiting("p") == []

    ledger.replies.sent([answer.id])
    assert ledger.take_up("q", subject="other") == []
    (taken,) = ledger.take_up("q")
    assert (taken.id, taken.params, taken.request_id) == (two.id, SECRET, "g")
    assert ledger.take_up("q") == []
    finish(ledger, [Finish(two, DONE)])

    (late,) = ledger.replies.unsent(10)
    assert (late.topic, late.correlation, late.code) == ("zk/q/users/create/reply", b"c", "created")
    (copy,) = keep(ledger, group_draft(ledger, mid=5, catch_up=True))
    assert [each["code"] for each in json.loads(copy.reply.body)["results"]] == ["created", "created"]
    ledger.scrub()
    assert b"geheim77" not in contents(ledger.path.parent)


@pytest.mark.parametrize("intents", [[], [{"uid": 7}]], ids=["never asked", "asked once"])
def test_what_waited_and_is_taken_up_is_known_to_the_next_start_as_far_as_it_got(
    tmp_path: Path, intents: list[dict[str, Any]]
) -> None:
    ledger = Ledger(tmp_path)
    (kept,) = keep(ledger, group_draft(ledger, catch_up=True))
    one, two = kept.parts
    for intent in intents:
        ledger.running([(two.id, intent)])
    parked = Parked(two.id, "123", waiting("q", until=2e9, effect="unknown", why="away", language="es"))
    finish(ledger, [Finish(one, DONE)], parked=[parked])
    ledger.take_up("q")
    ledger.close()

    ledger = Ledger(tmp_path)
    (left,) = ledger.unfinished()
    ledger.close()

    assert (left.id, left.params) == (two.id, SECRET)
    assert (left.state, left.tried) == (State.RUNNING if intents else State.ACCEPTED, tuple(intents))


def test_a_member_that_waited_but_ended_before_the_group_answers_with_it(ledger: Ledger) -> None:
    (kept,) = keep(ledger, group_draft(ledger, catch_up=True))
    one, two = kept.parts
    finish(ledger, [], parked=[Parked(two.id, "", waiting("q", until=2e9, effect="none", why="x", language="es"))])
    ledger.take_up("q")
    assert finish(ledger, [Finish(two, DONE)]).groups == []
    finish(ledger, [Finish(one, DONE)])

    (answer,) = ledger.replies.unsent(10)
    assert json.loads(answer.body)["code"] == "created"


def test_what_waited_too_long_is_answered_for_itself(tmp_path: Path) -> None:
    now = [1e9]
    ledger = Ledger(tmp_path, clock=lambda: now[0])
    (kept,) = keep(ledger, group_draft(ledger, catch_up=True)._replace(expires_at=1e9 + 10))
    one, two = kept.parts
    parked = Parked(two.id, "", waiting("q", until=1e9 + 10, effect="none", why="x", language="es"))
    finish(ledger, [Finish(one, DONE)], parked=[parked])
    late = Reply(408, "expired", b'{"success":false,"status":408,"code":"expired"}')

    assert ledger.expire(lambda _: late) == []
    now[0] += 11
    assert ledger.take_up("q") == []
    assert [each.request.id for each in ledger.expire(lambda _: late)] == [two.id]
    assert ledger.expire(lambda _: late) == []

    assert [answer.code for answer in ledger.replies.unsent(10)] == ["partial", "expired"]
    ledger.close()


def test_a_groups_request_is_remembered_whole_while_a_member_waits(tmp_path: Path) -> None:
    now = [1e9]
    ledger = Ledger(tmp_path, clock=lambda: now[0])
    (kept,) = keep(ledger, group_draft(ledger, catch_up=True))
    one, two = kept.parts
    parked = Parked(two.id, "", waiting("q", until=2e9, effect="none", why="x", language="es"))
    finish(ledger, [Finish(one, DONE)], parked=[parked])
    ledger.replies.sent([answer.id for answer in ledger.replies.unsent(10)])
    now[0] += 100

    assert ledger.retention.forget(keep_s=10, most=1) == 0
    ledger.take_up("q")
    finish(ledger, [Finish(two, DONE)])
    ledger.retention.forget(keep_s=10, most=1)
    (late,) = ledger.replies.unsent(10)
    ledger.replies.sent([late.id])
    ledger.retention.forget(keep_s=10, most=1)
    count = sqlite3.connect(ledger.path).execute("SELECT count(*) FROM requests").fetchone()[0]
    assert count == 0
    ledger.close()


def test_members_that_all_refuse_at_once_answer_at_once(ledger: Ledger) -> None:
    busy = failed(Busy("queue", retry_after_s=1, waiting=9, device="p"), "es")
    asked = []

    def admit(each: Draft) -> Reply | None:
        asked.append(each.device)
        return busy if each.device == "p" else None

    unfit = Part("q", "zk/q/users/create/reply", Reply(400, "invalid_field", b'{"success":false}'))
    parts = (Part("p", "zk/p/users/create/reply"), unfit)
    (kept,) = keep(ledger, group_draft(ledger)._replace(parts=parts), admit=admit)

    assert asked == ["planta", "p"]
    assert (kept.verdict, kept.reply.code) == (Verdict.ANSWERED, "all_failed")
    (answer,) = ledger.replies.unsent(10)
    assert [each.get("code") for each in json.loads(answer.body)["results"]] == ["busy", None]
    assert ledger.unfinished() == []


def test_a_full_disk_is_ignored_when_a_confirmed_enable_is_written(ledger: Ledger) -> None:
    finish(ledger, [], pending_enable="p")
    ledger.enables.mark_enabled("p")
    ledger.database._db.execute("PRAGMA query_only = ON")

    ledger.scrub()

    ledger.database._db.execute("PRAGMA query_only = OFF")
    assert ledger.enables.devices() == set(pending_on_disk(ledger)) == {"p"}
    ledger.enables.mark_enabled("p")
    ledger.scrub()
    assert pending_on_disk(ledger) == []


def test_of_a_list_the_rows_wait_with_what_they_ask_and_nothing_of_it_is_left_when_they_are_done(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    rows = [Part("p", "t", None, "users/create", b'{"password":"73915826"}', user_id) for user_id in ("1", "2")]
    (kept,) = keep(ledger, draft(ledger, command="users/create-many", params=b"", parts=tuple(rows)))

    assert [(each.command, each.params) for each in ledger.unfinished()] == [("users/create", rows[0].params)] * 2
    finished = ledger.finish([Finish(each, Reply(200, "created", b'{"data":{}}')) for each in kept.parts])
    ledger.close()

    (answer,) = finished.answers
    assert [each["user_id"] for each in json.loads(answer.body)["results"]] == ["1", "2"]
    assert b"73915826" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


@pytest.mark.parametrize(
    ("request_id", "repairs", "left"),
    [
        ("7/1a2b", "", []),
        ("7/1a2b", "done", []),
        ("7/1a2b", "waits", ["7/1a2b", None]),
        ("7", "", ["7"]),
        ("7", "done", ["7", None]),
    ],
)
def test_nothing_stays_of_a_comparison_with_a_document_once_it_is_confirmed(
    ledger: Ledger, request_id: str, repairs: str, left: list[str | None]
) -> None:
    asked = draft(ledger, command="users/desired", request_id=request_id, expires_at=2e9, catch_up=True)
    [kept] = keep(ledger, asked, draft(ledger, "b", request_id="other/1"))[:1]
    assert kept.request is not None
    if repairs:
        parts = [Part(asked.device, "plan", None, "users/create", b"{}", "1")]
        [part] = ledger.handing_over.prepare(kept.request, parts, catch_up=True)
        ledger.handing_over.begin(kept.request)
        if repairs == "waits":
            finish(
                ledger,
                [],
                parked=[Parked(part.id, "1", waiting("p", until=2e9, effect="none", why="x", language="es"))],
            )
        else:
            finish(ledger, [Finish(part, CREATED)])
    else:
        finish(ledger, [Finish(kept.request, Reply(200, "drift", b"{}"))])

    ledger.replies.sent([each.id for each in ledger.replies.unsent(10)])

    rows = ledger.database.read("SELECT request_id FROM requests WHERE request_id IS NOT 'other/1' ORDER BY id")
    assert [row[0] for row in rows] == left
