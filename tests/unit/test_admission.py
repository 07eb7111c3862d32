"""What intake decides about a message once the ledger has said what it knows of it, and what is kept then."""

from threading import Event

import pytest

from tests.support.ports import StubPorts
from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.contract.messages import Reply
from zkbridge.intake.admission import Admission, keep
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Kept, Part, Verdict
from zkbridge.machine.clock import SYSTEM

CONFIG = Config.model_validate(
    {"devices": {"p": {"host": "192.0.2.1"}, "q": {"host": "192.0.2.2"}}, "groups": {"g": ["p", "q"]}, "queue_limit": 2}
)


class Queues(StubPorts):
    """Terminals with so many requests in their queues."""

    def __init__(self, **waiting: int) -> None:
        super().__init__()
        self._waiting = waiting

    def waiting(self, device: str) -> int:
        return self._waiting.get(device, 0)


class Refusing:
    """Takes nothing on that is for one device."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.asked: list[str] = []

    def admit(self, draft: Draft, *, rows: int = 1) -> Reply | None:
        assert rows == 1
        self.asked.append(draft.device)
        return Reply(503, "busy", b"{}") if draft.device == self.device else None

    def reused(self, _draft: Draft) -> Reply:
        return Reply(409, "request_id_reused", b"{}")


def draft(name: str, *, device: str = "p", command: str = "users/create", **changes: object) -> Draft:
    made = Draft(digest=name.encode(), topic="t", fallback="t", device=device, command=command, content=name.encode())
    return made._replace(params=b"{}", **changes)


def admission(*, stopping: bool = False, **waiting: int) -> Admission:
    stop = Event()
    if stopping:
        stop.set()
    return Admission(CONFIG, commands(), ports=Queues(**waiting), clock=SYSTEM, stopping=stop)


def ends(kept: list[Kept]) -> list[str]:
    """What became of each: the code of its reply, else the verdict."""
    return [one.reply.code if one.reply is not None else one.verdict.value for one in kept]


@pytest.mark.parametrize(
    ("changes", "waiting", "stopping", "end"),
    [
        ({}, 0, False, "new"),
        ({}, 1, False, "new"),
        ({}, 2, False, "busy"),
        ({"command": "users/enroll-finger/cancel"}, 2, False, "new"),
        ({}, 0, True, "busy"),
        ({"expires_at": 1.0}, 0, False, "expired"),
        ({"expires_at": 1.0}, 2, True, "expired"),
        ({"expires_at": 4e9}, 0, False, "new"),
    ],
    ids=["empty queue", "room for one", "full", "full, ends another", "stopping", "late", "late first", "in time"],
)
def test_a_new_request_is_taken_on_or_answered(
    ledger: Ledger, changes: dict[str, object], waiting: int, stopping: bool, end: str
) -> None:
    assert ends(keep(ledger, [draft("a", **changes)], admission(stopping=stopping, p=waiting))) == [end]


def test_each_new_request_of_a_batch_counts_for_the_queue_of_its_device(ledger: Ledger) -> None:
    batch = [draft("a"), draft("b"), draft("c"), draft("d", device="q")]

    assert ends(keep(ledger, batch, admission())) == ["new", "new", "busy", "new"]


def test_each_row_of_a_list_counts_for_the_queue_of_its_device(ledger: Ledger) -> None:
    rows = tuple(Part("p", "t", command="users/create", params=b"{}", user_id=user) for user in "123")
    people = draft("people", command="users/create-many", parts=rows)
    batch = [people, draft("a"), draft("b", device="q"), people._replace(digest=b"more"), draft("c", device="q")]

    assert ends(keep(ledger, batch, admission())) == ["new", "busy", "new", "busy", "new"]


def test_a_copy_counts_for_no_queue_and_joins_the_request_though_the_queue_is_full(ledger: Ledger) -> None:
    first, copy = draft("a", request_id="r"), draft("a", request_id="r")

    assert ends(keep(ledger, [first, copy, copy, draft("b")], admission())) == ["new", *["under way"] * 2, "new"]
    assert ends(keep(ledger, [copy, draft("c")], admission(p=2))) == ["under way", "busy"]


def test_another_content_under_the_same_request_id_is_answered_whatever_the_queue(ledger: Ledger) -> None:
    batch = [draft("a", request_id="r"), draft("b", request_id="r")]

    assert ends(keep(ledger, batch, admission(p=1))) == ["new", "request_id_reused"]


def test_a_member_with_a_full_queue_is_answered_and_the_others_are_asked(ledger: Ledger) -> None:
    group = draft("a", device="g", parts=(Part("p", "t/p"), Part("q", "t/q")))

    (kept,) = keep(ledger, [group], admission(p=2))

    assert [part.device for part in kept.parts] == ["q"]


def test_a_group_without_room_anywhere_is_answered_as_a_whole(ledger: Ledger) -> None:
    group = draft("a", device="g", parts=(Part("p", "t/p"), Part("q", "t/q")))

    assert ends(keep(ledger, [group], admission(p=2, q=3))) == ["busy"]


def test_a_member_that_has_its_answer_already_is_not_decided_about(ledger: Ledger) -> None:
    wrong = Part("p", "t/p", Reply(400, "invalid_field", b"{}"))
    decisions = Refusing("nobody")

    (kept,) = keep(ledger, [draft("a", device="g", parts=(wrong, Part("q", "t/q")))], decisions)

    assert decisions.asked == ["g", "q"]
    assert [part.device for part in kept.parts] == ["q"]


def test_a_decision_that_fails_takes_the_whole_batch_back(ledger: Ledger) -> None:
    class Failing(Refusing):
        def admit(self, draft: Draft, *, rows: int = 1) -> Reply | None:
            assert rows == 1
            if draft.device == "q":
                raise ValueError("a fault of this decision")
            return None

    with pytest.raises(ValueError, match="this decision"):
        keep(ledger, [draft("a"), draft("b", device="q")], Failing("q"))

    assert ledger.unfinished() == []
    assert [one.verdict for one in keep(ledger, [draft("a")], Refusing("q"))] == [Verdict.NEW]


def test_a_refused_request_and_its_answer_are_kept_with_the_new_ones_by_one_commit(ledger: Ledger) -> None:
    before = ledger.database.commits, ledger.database.syncs

    kept = keep(ledger, [draft("a"), draft("b", device="q")], Refusing("q"))

    assert ends(kept) == ["new", "busy"]
    assert (ledger.database.commits, ledger.database.syncs) == (before[0] + 1, before[1] + 1)
    assert [answer.code for answer in ledger.replies.unsent(10)] == ["busy"]
