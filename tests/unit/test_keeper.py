"""One message that cannot be kept, among others that can."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.full_disk import full
from zkbridge.contract.errors import Internal
from zkbridge.contract.messages import failed
from zkbridge.contract.topics import Topics
from zkbridge.intake import set_aside
from zkbridge.intake.keeper import PATIENCE_S, Keeper
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.records import Draft, Kept, Verdict

SECRET = b"hunter2"


def draft(name: str, **more: Any) -> Draft:
    return Draft(
        digest=name.encode(),
        topic=f"zk/replies/{name}",
        fallback="zk/p/users/create/reply",
        device="p",
        command="users/create",
        params=SECRET,
        **more,
    )


class Desk:
    """A keeper over a ledger that fails as a test says: `wrong(draft)` raises for what cannot be kept."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.kept: list[Any] = []
        self.calls: list[Any] = []
        self.wrong: Callable[[Draft], None] = lambda _draft: None
        self.set_aside = SetAside(folder, clock=lambda: 0.0)
        self.keeper = Keeper(self.set_aside, Topics(), clock=lambda: self.now)

    def keep(self, drafts: list[Any]) -> list[Kept]:
        self.calls.append(len(drafts))
        for each in drafts:
            self.wrong(each)
        self.kept += drafts
        return [Kept(Verdict.ANSWERED if each.reply else Verdict.NEW) for each in drafts]

    def receive(self, *drafts: Any) -> list[Any]:
        outcomes = self.keeper.keep(list(drafts), self.keep, lambda _draft, id_: failed(Internal(id_), "en"))
        return [pair for outcome in outcomes for pair in outcome]

    @property
    def lines(self) -> list[Any]:
        path = self.set_aside.path
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def fails_on(digest: str, *, only: Callable[..., Any] = lambda _draft: True) -> Callable[..., None]:
    def wrong(each: Draft) -> None:
        if each.digest == digest.encode() and only(each):
            raise ValueError(SECRET)

    return wrong


def test_a_batch_that_can_be_kept_is_kept_as_one(desk: Desk) -> None:
    desk.receive(draft("a"), draft("b"), draft("c"))

    assert desk.calls == [3]
    assert desk.lines == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_cannot_be_kept_is_answered_internal_and_the_others_are_kept(desk: Desk, place: int) -> None:
    names = ["a", "b", "c"]
    desk.wrong = fails_on(names[place], only=lambda each: each.reply is None)

    outcome = desk.receive(*map(draft, names))

    assert [each.digest.decode() for each in desk.kept] == names, "in their order"
    for number, (each, kept) in enumerate(outcome):
        assert (each.reply is not None) is (number == place)
        assert kept.verdict is (Verdict.ANSWERED if number == place else Verdict.NEW)
    (line,) = desk.lines
    body = json.loads(outcome[place][0].reply.body)
    assert (body["code"], body["error_id"]) == ("internal", line["error_id"])
    assert outcome[place][0].params == b""


def test_what_is_noted_is_topic_digest_reason_and_error_id_and_never_the_payload(desk: Desk) -> None:
    desk.wrong = fails_on("a")

    desk.receive(draft("a"))

    (line,) = desk.lines
    assert line["topic"] == "zk/p/users/create"
    assert line["digest"] == b"a".hex()
    assert line["reason"].startswith("ValueError at unit/test_keeper.py:")
    assert SECRET.decode() not in desk.set_aside.path.read_text()
    assert stat.S_IMODE(desk.set_aside.path.stat().st_mode) == 0o600


def test_what_makes_its_own_answer_fail_is_answered_on_the_default_topic(desk: Desk) -> None:
    desk.wrong = fails_on("a", only=lambda each: each.topic != "zk/p/users/create/reply")

    ((answer, kept),) = desk.receive(draft("a", correlation=b"c"))

    assert (answer.topic, answer.correlation) == ("zk/p/users/create/reply", None)
    assert kept.verdict is Verdict.ANSWERED


def test_what_cannot_be_answered_at_all_is_set_aside_all_the_same(desk: Desk) -> None:
    desk.wrong = fails_on("a")

    outcome = desk.receive(draft("a"), draft("b"))

    assert [each.digest for each, _ in outcome] == [b"b"]
    assert desk.keeper.set_aside == 1


def test_a_failure_that_does_not_repeat_is_logged_without_its_text_and_sets_nothing_aside(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [RuntimeError("a payload")]

    def fail_once(_draft: object) -> None:
        if failures:
            raise failures.pop()

    desk.wrong = fail_once

    assert len(desk.receive(draft("a"), draft("b"))) == 2
    assert desk.lines == []
    [line] = [record.message for record in caplog.records if "only one by one (RuntimeError" in record.message]
    assert "a payload" not in line


def test_the_same_message_is_noted_and_logged_once_and_counted_each_time(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.wrong = fails_on("a")

    for _ in range(5):
        desk.receive(draft("a"))

    assert len(desk.lines) == 1
    assert sum("is set aside" in record.message for record in caplog.records) == 1
    assert desk.keeper.set_aside == 5


def test_the_same_message_is_noted_once_over_restarts(desk: Desk, tmp_path: Path) -> None:
    desk.wrong = fails_on("a")
    desk.receive(draft("a"))

    again = Desk(tmp_path)
    again.wrong = fails_on("a")
    again.receive(draft("a"))

    assert len(again.lines) == 1
    assert again.keeper.set_aside == 1


def test_a_ledger_that_cannot_be_written_sets_nothing_aside(desk: Desk) -> None:
    desk.wrong = full
    with pytest.raises(LedgerUnavailable):
        desk.receive(draft("a"), draft("b"))

    assert desk.lines == []


def test_what_was_kept_before_the_disk_was_full_is_handed_over(desk: Desk) -> None:
    """Kept one by one, some are on disk: they do not come again, so they must be worked on."""

    def wrong(each: Draft) -> None:
        fails_on("a", only=lambda each: each.reply is None)(each)
        if each.digest == b"c":
            raise LedgerUnavailable("disk full")

    desk.wrong = wrong
    drafts = [draft("b"), draft("a"), draft("c")]
    outcomes = desk.keeper.keep(drafts, desk.keep, lambda _draft, id_: failed(Internal(id_), "en"))

    assert [each.digest for outcome in (next(outcomes), next(outcomes)) for each, _ in outcome] == [b"b", b"a"]
    with pytest.raises(LedgerUnavailable):
        next(outcomes)


def test_a_bridge_that_can_keep_nothing_for_a_minute_is_not_well(desk: Desk) -> None:
    desk.wrong = full
    for waited in range(0, int(PATIENCE_S), 10):
        desk.now = 1000 + waited
        with pytest.raises(LedgerUnavailable):
            desk.receive(draft("a"))
        assert desk.keeper.is_well()
    desk.now = 1000 + PATIENCE_S
    with pytest.raises(LedgerUnavailable):
        desk.receive(draft("a"))

    assert not desk.keeper.is_well()

    desk.wrong = lambda _draft: None
    desk.receive(draft("a"))
    assert desk.keeper.is_well()


def test_one_failure_long_ago_with_nothing_to_keep_since_is_no_illness(desk: Desk) -> None:
    desk.wrong = full
    with pytest.raises(LedgerUnavailable):
        desk.receive(draft("a"))
    desk.now += 10 * PATIENCE_S

    assert desk.keeper.is_well()


def test_a_keeper_that_sets_everything_aside_is_well(desk: Desk) -> None:
    desk.wrong = fails_on("a")
    for _ in range(10):
        desk.receive(draft("a"))
        desk.now += PATIENCE_S

    assert desk.keeper.is_well()


def test_the_record_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_aside, "MOST_ENTRIES", 50)
    aside = SetAside(tmp_path)
    for number in range(set_aside.MOST_ENTRIES + 10):
        aside.add("t" * 65535, number.to_bytes(4), "reason")

    lines = aside.path.read_text().splitlines()
    assert len(lines) <= set_aside.MOST_ENTRIES
    assert json.loads(lines[-1])["digest"] == (set_aside.MOST_ENTRIES + 9).to_bytes(4).hex()
    assert aside.path.stat().st_size < 1_000 * set_aside.MOST_ENTRIES
    assert len(SetAside(tmp_path)._entries) == len(lines)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{}\n", b"[]\n", b"x", b'{"digest":1}\n'])
def test_a_record_that_cannot_be_read_costs_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set-aside.jsonl").write_bytes(content)

    assert SetAside(tmp_path).add("zk/p/ping", b"a", "reason").first


def test_a_record_that_cannot_be_written_costs_no_message(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.set_aside.path.mkdir()
    desk.wrong = fails_on("a")

    assert len(desk.receive(draft("a"), draft("b"))) == 1
    assert "cannot be written" in caplog.text
