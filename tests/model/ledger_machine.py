"""Whatever intake, workers and outbox ask of the real ledger, in whatever order: it holds what the reference holds."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.model.reference import Reference
from tests.model.values import READING, Asked, together
from tests.support.judging import Judging, keep_drafts
from zkbridge.contract.messages import Reply, encode
from zkbridge.contract.validity import Validity
from zkbridge.ledger.budget import Budget, Reserve
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.finding import Finding
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer, Draft, Finish, Kept, Parked, Part, Request, ValidityChange, Verdict

CREATE, DOOR = "users/create", "door/unlock"
MEMBERS = ("p", "q")
PICK = st.integers(0, 30)
#: No power is cut here, so nothing has to wait for a disk.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def reply(code: str, status: int = 500, **more: Any) -> Reply:
    """A reply of which the ledger reads `retryable` and `effect`."""
    return Reply(status, code, encode({"success": status == 200, "status": status, "code": code, **more}))


#: How a request may end.
ENDS = {
    "success": reply("created", 200),
    "refused": reply("user_exists", 409),
    "away": reply("device_unreachable", retryable=True, effect="none"),
    "doubtful": reply("device_timeout", retryable=True, effect="unknown"),
    "unknown for good": reply("outcome_unknown", retryable=False, effect="unknown"),
}
BUSY, INVALID, REUSED = reply("busy", 503), reply("invalid_field", 400), reply("request_id_reused", 409)
EXPIRED, LATER = reply("expired", 408), reply("waiting", 202)

#: One message: to whom, for what, under which name, and how the broker brings it.
MESSAGES = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["p", "q", "both"]),
        "command": st.sampled_from([CREATE, CREATE, READING, DOOR]),
        "request_id": st.sampled_from([None, "r-1", "r-1", "r-2"]),
        "content": st.sampled_from(["Ana", "Ana", "Eva"]),
        "how": st.sampled_from(["QoS 1", "QoS 1", "unsettled", "QoS 0", "retained", "invalid"]),
        "catch_up": st.booleans(),
        "good_for": st.sampled_from([None, 50.0, 5000.0]),
        "language": st.sampled_from([None, None, "en"]),
    }
)


class LedgerMachine(RuleBasedStateMachine):
    """Messages come, come again and are worked on; the process is killed; answers are sent, confirmed and forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Reference()
        self.folders: list[Path] = []
        self.ledger = self.open(self.folder())
        self.connection = self.ledger.facts.next_connection()
        self.messages: list[Draft] = []
        self.handed_out: list[Answer] = []
        self.dates: dict[tuple[str, str], Validity] = {}
        self.count = 0

    def teardown(self) -> None:
        with suppress(OSError):  # after a failed step it may be closed already
            self.ledger.close()
        for folder in self.folders:
            shutil.rmtree(folder)

    def folder(self) -> Path:
        self.folders.append(Path(tempfile.mkdtemp(prefix="zkbridge-model-", dir=IN_MEMORY)))
        return self.folders[-1]

    def open(self, folder: Path) -> Ledger:
        return Ledger(folder, clock=lambda: self.model.now, combine=together, readings=[READING])

    # -- messages in ---------------------------------------------------------------------------------------------

    @rule(wanted=st.lists(MESSAGES, min_size=1, max_size=3), refused=st.sampled_from([None, None, None, "p", "both"]))
    def messages_come(self, wanted: list[dict[str, Any]], refused: str | None) -> None:
        drafts = [self.draft(**each) for each in wanted]
        self.messages += [each for each in drafts if each.redeliverable]
        self.keep(drafts, refused)

    @precondition(lambda self: self.messages)
    @rule(pick=PICK, how=st.sampled_from(["marked", "marked", "unmarked", "renumbered", "by its caller"]))
    def a_message_comes_again(self, pick: int, how: str) -> None:
        """As Mosquitto brings it, as aedes, as RabbitMQ; or its caller publishes it once more."""
        index = pick % len(self.messages)
        again = self.readdressed(self.messages[index])._replace(connection=self.connection)
        if how == "marked":
            again = again._replace(dup=True, settled=False)
        elif how == "by its caller":
            again = again._replace(settled=True, mid=self.count)
        else:
            again = again._replace(dup=how == "renumbered", settled=False, mid=self.count)
        self.messages[index] = again._replace(dup=False, settled=True)
        self.keep([again], None)

    def draft(self, how: str, good_for: float | None, **asked: Any) -> Draft:
        device, content = asked["device"], asked.pop("content")
        self.count += 1
        params = encode({"pin": "".join(f"<{each}>" for each in (*asked.values(), content))})
        made = Draft(
            digest=self.ledger.digest(how, str(good_for), content, *map(str, asked.values())),
            topic="",
            fallback="",
            connection=self.connection,
            mid=0 if how in ("QoS 0", "retained") else self.count,
            redeliverable=how not in ("QoS 0", "retained"),
            settled=how != "unsettled",
            retained=how == "retained",
            reply=INVALID if how == "invalid" else None,
            content=self.ledger.digest(content),
            params=b"" if how == "invalid" else params,
            expires_at=None if good_for is None else self.model.now + good_for,
            **asked,
        )
        catches_up = made.catch_up and device == "both" and made.command == CREATE and good_for is not None
        return self.readdressed(made._replace(catch_up=catches_up))

    def readdressed(self, draft: Draft) -> Draft:
        """The same message with topics by which its own answer is known."""
        self.count += 1
        members = MEMBERS if draft.device == "both" and draft.reply is None else ()
        parts = tuple(Part(member, f"reply/{self.count}/{member}") for member in members)
        topic = f"reply/{self.count}"
        return draft._replace(topic=topic, fallback=f"{topic}/f", parts=parts, correlation=b"%d" % self.count)

    def keep(self, drafts: Sequence[Draft], refused: str | None) -> None:
        self.model.last = self.ledger._acceptance._last_request  # a batch that failed leaves numbers unused
        kept = keep_drafts(self.ledger, drafts, Judging(lambda new: BUSY if new.device == refused else None, _reused))
        for draft, each in zip(drafts, kept, strict=True):
            assert (each.verdict, each.reply) == self.expected(draft, each, refused)

    def expected(self, draft: Draft, kept: Kept, refused: str | None) -> tuple[Verdict, Reply | None]:
        finding, copy = self.model.find(draft)
        if finding is Finding.KNOWN:
            return Verdict.KNOWN, None
        if finding is Finding.COPY:
            self.model.join(draft, copy)
            return (Verdict.UNDER_WAY, None) if copy.reply is None else (Verdict.ANSWERED, copy.reply)
        answer = draft.reply or (REUSED if finding is Finding.REUSED else BUSY if draft.device == refused else None)
        if answer is not None:
            self.model.answer(draft, answer)
            return Verdict.ANSWERED, answer
        assert not self.was_done(draft), "what had its effect is carried out again"
        parts = [part._replace(reply=BUSY if part.device == refused else None) for part in draft.parts]
        whole = self.model.take_on(draft, copy, parts)
        begun = [each for each in whole.parts if self.model.requests[each].id > whole.id]
        begun = [each for each in begun if self.model.requests[each].reply is None]
        if draft.parts and not begun:
            return (Verdict.UNDER_WAY, None) if whole.reply is None else (Verdict.ANSWERED, whole.reply)
        assert (kept.request.id, [each.id for each in kept.parts]) == (whole.id, begun)
        return Verdict.NEW, None

    def was_done(self, draft: Draft) -> bool:
        """Whether a request of this name has succeeded on its terminal, and that is remembered."""
        name = (draft.device, draft.command, draft.request_id)
        same = [each for each in self.model.requests.values() if (each.device, each.command, each.name) == name]
        return draft.request_id is not None and any(
            each.reply == ENDS["success"] for each in same if each.command != READING
        )

    # -- work ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.unfinished())
    @rule(picks=st.lists(PICK, min_size=1, max_size=3))
    def terminals_are_to_be_asked(self, picks: list[int]) -> None:
        requests = {each.id: each for each in self.chosen(picks)}
        self.ledger.running((number, {"uid": number}) for number in requests)
        for number in requests:
            self.model.running(number, {"uid": number})

    @precondition(lambda self: self.model.unfinished())
    @rule(
        picks=st.lists(PICK, min_size=1, max_size=3),
        ends=st.sampled_from([*ENDS, "later", "later"]),
        replayed=st.booleans(),
        pending=st.sampled_from([None, None, *MEMBERS]),
        dates=st.sampled_from([None, Validity(), Validity("2030-01-31T08:00:00", None)]),
    )
    def requests_end(
        self, picks: list[int], ends: str, replayed: bool, pending: str | None, dates: Validity | None
    ) -> None:
        requests = self.chosen(picks)
        may_wait = [each for each in requests if each.catch_up and each.parent and ends == "later"]
        parked = [Parked(each.id, each.device + "/7", LATER) for each in may_wait]
        ended = [each for each in requests if each not in may_wait]
        finishes = [Finish(each, ENDS.get(ends, ENDS["success"]), replayed) for each in ended]
        changes = [] if dates is None else [ValidityChange(requests[0].device, "7", dates)]

        finished = self.ledger.finish(finishes, parked=parked, pending_enable=pending, validities=changes)

        topics = self.model.finish(finishes, parked, pending)
        assert [each.topic for each in finished.answers] == topics
        self.handed_out += finished.answers
        for device, user_id, validity in changes:
            self.dates[device, user_id] = validity

    @precondition(lambda self: any(each.parent is None for each in self.model.unfinished()))
    @rule(pick=PICK, refused=st.booleans(), catch_up=st.booleans(), only_prepared=st.sampled_from([False, False, True]))
    def a_request_is_handed_over(self, pick: int, refused: bool, catch_up: bool, only_prepared: bool) -> None:
        whole = [each for each in self.ledger.unfinished() if each.parent is None]
        request = whole[pick % len(whole)]
        self.count += 1
        first, second = (Part(each, f"reply/{self.count}/{each}", command=f"{request.command}/to") for each in MEMBERS)
        parts = [first._replace(params=b"<1>"), second._replace(reply=BUSY if refused else None, params=b"<2>")]
        catches_up = catch_up and request.expires_at is not None
        self.model.last = self.ledger._acceptance._last_request

        made = self.ledger.handing_over.prepare(request, parts, catch_up=catches_up)
        if only_prepared:  # the process is killed before the rest, or the disk is full
            return
        self.ledger.handing_over.begin(request)

        self.model.hand_over(request.id, parts, catch_up=catches_up)
        open_parts = [each.id for each in self.model.unfinished() if each.parent == request.id]
        assert [each.id for each in made] == open_parts

    @rule(device=st.sampled_from(MEMBERS), by_subject=st.booleans(), most=st.sampled_from([1, 1000]))
    def a_terminal_is_back(self, device: str, by_subject: bool, most: int) -> None:
        subject = f"{device}/7" if by_subject else None

        taken = self.ledger.take_up(device, subject=subject, most=most)

        expected = self.model.take_up(device, subject, most)
        assert [(each.id, each.params) for each in taken] == [(each.id, each.params) for each in expected]

    @rule()
    def what_waited_too_long_is_answered(self) -> None:
        ended = self.ledger.expire(lambda _: EXPIRED)

        assert {each.request.id for each in ended} == self.model.expire(EXPIRED)

    # -- answers out ---------------------------------------------------------------------------------------------

    @rule(picks=st.lists(PICK, max_size=3))
    def the_broker_confirms(self, picks: list[int]) -> None:
        answers = [*self.handed_out, *self.ledger.replies.unsent(100)]
        confirmed = {each.id: each for each in (answers[pick % len(answers)] for pick in picks if answers)}
        self.ledger.replies.sent(confirmed)
        self.ledger.replies.release(confirmed.values())
        self.model.sent([self.topic_of(each) for each in confirmed.values()])
        self.model.handed_out -= {self.topic_of(each) for each in confirmed.values()}
        self.handed_out = [each for each in self.handed_out if each.id not in confirmed]

    @rule()
    def the_connection_ends(self) -> None:
        """What was on its way is given back to the outbox, and the next connection has a number of its own."""
        self.ledger.replies.release(self.handed_out)
        self.model.handed_out.clear()
        self.handed_out.clear()
        before, self.connection = self.connection, self.ledger.facts.next_connection()
        assert self.connection > before

    @precondition(lambda self: self.model.unsent())
    @rule()
    def the_broker_refuses_a_topic(self) -> None:
        answer = self.ledger.replies.unsent(1)[0]
        self.ledger.replies.redirect(answer.id)
        self.model.answers[self.topic_of(answer)].topic = answer.fallback

    def topic_of(self, answer: Answer) -> str:
        """The topic by which the reference knows an answer, also after it was sent elsewhere."""
        return answer.fallback.removesuffix("/f")

    @rule(device=st.sampled_from(MEMBERS))
    def a_terminal_is_enabled(self, device: str) -> None:
        self.ledger.enables.mark_enabled(device)
        self.model.enabled.add(device)

    # -- what takes several calls in a row: by chance it would be rare ---------------------------------------------

    @rule(noted=st.booleans(), late=st.booleans(), language=st.sampled_from([None, "en"]))
    def a_groups_request_waits(self, noted: bool, late: bool, language: str | None) -> None:
        self.a_message_comes({"device": "both", "catch_up": True, "good_for": 50.0, "language": language})
        count = len(self.model.unfinished())
        if noted:
            self.terminals_are_to_be_asked([count - 1, count - 2])
        self.requests_end([count - 1, count - 2], "later", False, None, None)
        if late:
            self.time_passes(60.0)
            self.a_terminal_is_back("p", by_subject=False, most=1000)

    @rule(noted=st.booleans(), ends=st.sampled_from(["away", "doubtful"]))
    def a_caller_asks_again_after_a_failure(self, noted: bool, ends: str) -> None:
        for _ in range(2):
            self.a_message_comes({"request_id": f"again-{noted}-{ends}"})
            if self.model.unfinished():
                last = [len(self.model.unfinished()) - 1]
                if noted:
                    self.terminals_are_to_be_asked(last)
                self.requests_end(last, ends, False, None, None)

    @rule(times=st.sampled_from([1, 2]), taken=st.booleans())
    def a_terminal_is_enabled_after_a_reply(self, times: int, taken: bool) -> None:
        """And disabled again; the reply is given to a connection that ends."""
        for _ in range(times):
            self.a_message_comes({})
            self.requests_end([len(self.model.unfinished()) - 1], "success", False, "p", None)
            self.a_terminal_is_enabled("p")
        self.a_message_comes({})
        self.requests_end([len(self.model.unfinished()) - 1], "success", False, "p", None)
        if taken:
            self.the_connection_ends()

    def a_message_comes(self, fields: dict[str, Any]) -> None:
        plain = {"device": "p", "command": CREATE, "request_id": None, "content": "Ana", "how": "QoS 1"}
        self.messages_come([{**plain, "catch_up": False, "good_for": None, "language": None, **fields}], None)

    # -- time, kills and upkeep ----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1.0, 60.0, 700.0, 6000.0]))
    def time_passes(self, seconds: float) -> None:
        self.model.now += seconds

    @rule()
    def it_is_killed(self) -> None:
        """What the kernel has of the files is all that the next life finds."""
        folder = self.folder()
        for file in self.folders[-2].iterdir():
            if file.name in ("ledger.db", "ledger.db-wal", "ledger.key"):
                shutil.copy(file, folder)
        old, self.ledger = self.ledger, self.open(folder)
        old.database.close()
        self.begun_again()

    @rule()
    def it_is_stopped_and_started(self) -> None:
        self.ledger.close()
        self.model.debts -= self.model.enabled
        assert not [each.name for each in self.folders[-1].iterdir() if each.name.startswith("ledger.db-")]
        self.assert_no_secret_is_left()
        self.ledger = self.open(self.folders[-1])
        self.begun_again()

    def begun_again(self) -> None:
        self.model.restart()
        self.handed_out.clear()
        self.connection = self.ledger.facts.next_connection()

    def assert_no_secret_is_left(self) -> None:
        """What was asked by a request that has ended is nowhere in the file."""
        content = (self.folders[-1] / "ledger.db").read_bytes()
        needed = {each.params for each in (*self.model.unfinished(), *self.model.waiting())}
        secrets = {each.params for each in self.messages} - needed - {b""}
        assert not [each for each in secrets if each in content]

    @rule(call=st.sampled_from(["keep", "running", "finish", "sent", "take up", "connection"]), pick=PICK)
    def the_disk_refuses(self, call: str, pick: int) -> None:
        """Nothing changes, and the caller hears of it."""
        draft = self.draft(
            "QoS 1", None, device="p", command=CREATE, request_id=None, content="x", catch_up=False, language=None
        )
        first = self.ledger.unfinished()[:1]
        calls: dict[str, Callable[[], object]] = {
            "keep": lambda: keep_drafts(self.ledger, [draft], Judging()),
            "running": lambda: self.ledger.running((each.id, {}) for each in first),
            "finish": lambda: self.ledger.finish([Finish(each, ENDS["success"]) for each in first]),
            "sent": lambda: self.ledger.replies.sent([pick]),
            "take up": lambda: self.ledger.take_up("p"),
            "connection": self.ledger.facts.next_connection,
        }
        writes = {"running": bool(first), "finish": bool(first), "take up": bool(self.may_be_taken_up("p"))}
        with self.read_only():
            if writes.get(call, True):
                with pytest.raises(LedgerUnavailable):
                    calls[call]()

    def may_be_taken_up(self, device: str) -> list[Asked]:
        return [each for each in self.model.waiting(device) if (each.expires_at or 0.0) > self.model.now]

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self.ledger.inspect(lambda db: db.execute("PRAGMA query_only = ON"))
        yield
        self.ledger.inspect(lambda db: db.execute("PRAGMA query_only = OFF"))

    @rule()
    def the_file_is_written_anew(self) -> None:
        self.ledger.rebuild(aside=False)

    @rule()
    def it_is_scrubbed(self) -> None:
        self.ledger.scrub()
        self.model.debts -= self.model.enabled
        self.model.enabled.clear()

    @rule(keep_s=st.sampled_from([0.0, 1000.0, 1e6]), most=st.sampled_from([0, 3, 10_000]))
    def it_forgets(self, keep_s: float, most: int) -> None:
        young = {each.id for each in self.model.requests.values() if each.accepted_at >= self.model.now - keep_s}
        self.ledger.retention.forget(keep_s=keep_s, most=most)
        gone = self.forgotten()
        self.model.forget_reading()
        assert most < 10_000 or not gone & young
        if keep_s == 0.0 and most == 0:
            whole = [each for each in self.model.requests.values() if each.accepted_at < self.model.now]
            assert not [each for each in whole if each.parent is None and self.model.may_be_forgotten(each.id)]

    @rule(most=st.sampled_from([0, 60_000, 10_000_000]))
    def it_keeps_to_its_size(self, most: int) -> None:
        Budget(self.ledger, Reserve(self.folders[-1] / "none"), clock=lambda: self.model.now).tidy(most)
        self.forgotten()
        used = self.ledger.inspect(_used)
        whole = [each.id for each in self.model.requests.values() if each.parent is None]
        assert used <= most or not [each for each in whole if self.model.may_be_forgotten(each)]

    def forgotten(self) -> set[int]:
        """Take over what was forgotten: none of it was unanswered or unconfirmed. The requests."""
        kept = set(self.ids("SELECT id FROM requests"))
        gone = set(self.model.requests) - kept
        assert all(self.model.may_be_forgotten(each) for each in gone)
        for each in gone:
            self.model.forget(each)
        topics = set(self.ids("SELECT topic FROM answers"))
        lost = [topic for topic, each in self.model.answers.items() if each.topic not in topics]
        assert all(self.model.answers.pop(topic).sent for topic in lost)
        self.model.retained &= set(self.ids("SELECT digest FROM retained"))
        return gone

    def ids(self, query: str) -> list[Any]:
        return self.ledger.inspect(lambda db: [row[0] for row in db.execute(query)])

    # -- always --------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_each_device_is_in_order(self) -> None:
        found = [_shown(each) for each in self.ledger.unfinished()]
        assert found == [self.shown(each) for each in self.model.unfinished()]
        for device in (None, *MEMBERS):
            waiting = [(each.request.id, each.subject) for each in self.ledger.waiting(device)]
            assert waiting == [(each.id, each.waits.subject) for each in self.model.waiting(device)]

    @invariant()
    def each_answer_is_the_one_that_was_kept(self) -> None:
        found = [(each.topic, each.body, each.correlation) for each in self.ledger.replies.unsent(1000)]
        assert found == self.model.unsent()
        for number, each in self.model.requests.items():
            assert self.ledger.reply_of(number) == each.reply

    @invariant()
    def figures_enables_and_dates_are_right(self) -> None:
        stats = self.ledger.stats()
        owed = sum(each.owed for each in self.model.answers.values())
        assert (stats.unfinished, stats.unsent) == (len(self.model.unfinished()), owed)
        assert self.ledger.enables.devices() == self.model.debts - self.model.enabled
        for device in MEMBERS:
            kept = {user: each for (where, user), each in self.dates.items() if where == device and each != Validity()}
            assert self.ledger.validities.of(device) == kept

    def chosen(self, picks: list[int]) -> list[Request]:
        """Some unfinished requests, oldest first, as a worker has them in hand."""
        unfinished = self.ledger.unfinished()
        places = {pick % len(unfinished) for pick in picks}
        return [unfinished[place] for place in sorted(places)]

    def shown(self, each: Asked) -> tuple[Any, ...]:
        group = self.model.requests.get(each.parent)
        request_id = each.request_id or (group.request_id if group else None)
        shares = sum(other.parent == each.parent for other in self.model.requests.values()) if each.parent else 1
        tried = tuple(each.tried)
        own = (each.id, each.device, request_id, each.language, each.state, tried)
        return *own, each.params, each.suspect_of, each.parent, shares


def _shown(each: Request) -> tuple[Any, ...]:
    own = (each.id, each.device, each.request_id, each.language, each.state, each.tried)
    return *own, each.params, each.suspect_of, each.parent, each.shares


def _reused(_draft: Draft) -> Reply:
    return REUSED


def _used(db: sqlite3.Connection) -> int:
    count, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((count - free) * size)
