"""What the verifier decides: whether a change was made, by the terminal's count or by its table."""

from typing import Any, Self

import pytest

from tests.unit.worker.parts import CREATE, DEVICE, LIST, REPLIES, NoDates, Stored, change, task
from zkbridge.commands.api.registry import Change
from zkbridge.contract.errors import DeviceRejected, DeviceTimeout, InvalidField
from zkbridge.machine.clock import SYSTEM
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.worker.planner import Planner
from zkbridge.worker.retry import Interrupted
from zkbridge.worker.session_state import SessionState, Written
from zkbridge.worker.task import Task
from zkbridge.worker.verifier import Verifier

BODY = {"data": {"user_id": "7", "device_id": "p"}}
LOST = DeviceTimeout(host="h", port=1)
REFUSED = DeviceRejected("table", host="h", port=1, detail="short")
OTHER = InvalidField()


class Table:
    """A table, and how many users more the terminal counts."""

    def __init__(self, hidden: int) -> None:
        self.hidden = hidden


class Session:
    """A terminal that counts `count` users. `calls` are what it was asked for; `fails` is raised for some of them."""

    device = DEVICE

    def __init__(self, *, count: int | None = None, fails: tuple[()] | set[str] = (), hidden: int = 0) -> None:
        self.table = Table(hidden)
        self.calls: list[Any] = []
        self._count = count
        self._fails = fails

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self._fails:
            raise REFUSED

    def refresh(self) -> None:
        self._call("refresh")

    def users(self, *, again: bool = False) -> Table:
        self._call("users again" if again else "users")
        return self.table

    def read_unverified(self) -> None:
        self._call("table alone")

    def count(self) -> int | None:
        self._call("count")
        return self._count


class Access:
    """Opens the given sessions, one after the other; an exception is raised instead."""

    def __init__(self, *sessions: Any) -> None:
        self.sessions = list(sessions)

    def open_to_look(self, _deadline: object) -> Session:
        session = self.sessions.pop(0)
        if isinstance(session, BaseException):
            raise session
        return session


def verifier(*sessions: Any) -> Verifier:
    planner = Planner(DEVICE, replies=REPLIES, stored=Stored(), clock=SYSTEM, dates=NoDates())
    return Verifier(DEVICE, replies=REPLIES, planner=planner, access=Access(*sessions))


def confirm(session: Session, *changes: Any, count_before: int = 5) -> list[str | Any]:
    tasks = [task(number) for number, _ in enumerate(changes, start=1)]
    state = SessionState(disables=True, count_before=count_before)
    state.written = [Written(each, one, BODY) for each, one in zip(tasks, changes, strict=True)]
    verifier().confirm(session, state)
    return [each.reply.code for each in tasks]


def created(**more: Any) -> Change:
    return change(grows=1, counts=lambda: True, **more)


#: The count before, the changes, the count after; the calls that this takes.
COUNTED = ["refresh", "count"]
READ = [*COUNTED, "users again"]
ENOUGH = {
    "one user more": (5, [created()], 6, COUNTED),
    "two users more": (5, [created(), created()], 7, COUNTED),
    "one of two is missing": (5, [created(), created()], 6, READ),
    "one more than written": (5, [created()], 7, READ),
    "the terminal does not count": (5, [created()], None, READ),
    "the count before is not known": (None, [created()], 6, ["refresh", "users again"]),
    "a change that no count shows": (5, [created(), change()], 6, ["refresh", "users again"]),
}


@pytest.mark.parametrize("case", ENOUGH)
def test_the_table_is_read_unless_the_count_shows_every_change(case: str) -> None:
    before, changes, after, calls = ENOUGH[case]
    session = Session(count=after)

    assert confirm(session, *changes, count_before=before) == ["created"] * len(changes)
    assert session.calls == calls


def test_nothing_is_asked_where_nothing_was_written() -> None:
    session = Session()

    assert confirm(session) == []
    assert session.calls == []


@pytest.mark.parametrize(
    ("kept", "amiss", "code"),
    [(True, None, "created"), (False, None, "device_rejected"), (False, OTHER, "invalid_field")],
)
def test_a_change_that_the_table_does_not_show_is_a_failure(kept: bool, amiss: InvalidField | None, code: str) -> None:
    one = change(kept=lambda _table: kept, amiss=lambda _table: amiss)

    assert confirm(Session(), one) == [code]


def unsettled(run: dict[str, dict[str, str]] | Change | DeviceRejected, *, command: str = CREATE) -> Task:
    made = task(command=command, run=run)
    made.asked = True
    return made


def settle(made: Task, *sessions: Any) -> None:
    verifier(*sessions).settle([made], Deadline.after(1))


class TestAfterABrokenSession:
    """The table is read once more, changing nothing; a request that is not answered keeps `asked`: effect unknown."""

    def test_what_the_table_shows_is_the_reply(self) -> None:
        made = unsettled(BODY)
        settle(made, Session())

        assert made.reply.code == "created"

    def test_a_change_that_the_compared_table_does_not_show_was_never_made(self) -> None:
        made = unsettled(change())
        settle(made, Session())

        assert (made.reply, made.asked) == (None, False)

    def test_a_table_that_is_short_of_users_shows_only_what_is_there(self) -> None:
        missing, there = unsettled(change()), unsettled(BODY)
        settle(missing, Session(hidden=1))
        settle(there, Session(hidden=1))

        assert (missing.reply, missing.asked) == (None, True)
        assert there.reply.code == "created"

    def test_a_user_whom_a_short_table_does_not_show_may_have_been_written(self) -> None:
        made = unsettled(REFUSED)
        settle(made, Session(hidden=1))

        assert (made.reply.code, made.reply.open_effect) == ("device_rejected", "unknown")

    @pytest.mark.parametrize("fails", ["refresh", "users"])
    def test_a_table_that_cannot_be_compared_shows_only_what_is_there(self, fails: str) -> None:
        missing, there = unsettled(change()), unsettled(BODY)
        settle(missing, Session(fails={fails}), Session())
        settle(there, Session(fails={fails}), Session())

        assert (missing.reply, missing.asked) == (None, True)
        assert there.reply.code == "created"

    def test_the_second_reading_is_of_the_table_alone(self) -> None:
        first, second = Session(fails={"users"}), Session()
        settle(unsettled(BODY), first, second)

        assert (first.calls, second.calls) == (["refresh", "users"], ["table alone"])

    def test_a_terminal_that_does_not_answer_leaves_the_effect_unknown(self) -> None:
        made = unsettled(BODY)
        settle(made, Session(fails={"refresh"}), Session(fails={"table alone"}))

        assert (made.reply, made.asked) == (None, True)

    def test_a_stop_leaves_the_reading_to_the_next_start(self) -> None:
        made = unsettled(BODY)
        with pytest.raises(Interrupted):
            settle(made, Interrupted())

        assert made.reply is None

    @pytest.mark.parametrize("command", [LIST, "door/unlock"])
    def test_a_request_that_no_table_shows_is_not_looked_for(self, command: str) -> None:
        settle(unsettled(BODY, command=command))  # no session is opened
