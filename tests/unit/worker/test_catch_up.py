"""Which requests wait for the terminal to answer again, and when they are tried."""

import json
from typing import Any

import pytest

from tests.unit.worker.parts import CONFIG, CREATE, DEVICE, ENROLL, LIST, request, task
from zkbridge.config.models import Config
from zkbridge.contract.errors import DeviceAuthFailed, DeviceTimeout
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Parked, Waiting
from zkbridge.worker.catch_up import CatchUp

NOW = 1_700_000_000.0
LOST = DeviceTimeout(host="h", port=1)


class Clock:
    def now(self) -> float:
        return NOW


class Ledger:
    """Requests that wait, by their subject."""

    def __init__(self, *waiting: Any) -> None:
        self.waits = list(waiting)

    def waiting(self, _device: str) -> list[Waiting]:
        return [Waiting(each, "7", Reply(202, "waiting", b"{}")) for each in self.waits]

    def take_up(self, _device: str, *, subject: str | None = None, most: int) -> list[Any]:
        taken = self.waits[:most] if subject in (None, "7") else []
        self.waits = [each for each in self.waits if each not in taken]
        return taken


def make(*waiting: Any, config: Config = CONFIG) -> CatchUp:
    return CatchUp(DEVICE, config, Ledger(*waiting), Clock())


@pytest.mark.parametrize(
    ("catch_up_wanted", "expires_at", "failure", "waits"),
    [
        (True, NOW + 60, LOST, True),
        (False, NOW + 60, LOST, False),
        (True, NOW, LOST, False),
        (True, None, LOST, False),
        (True, NOW + 60, DeviceAuthFailed(host="h", port=1), False),
    ],
    ids=["wanted", "not wanted", "expired", "without an end", "a wrong password"],
)
def test_a_request_waits_where_it_may_and_the_terminal_is_only_away(
    catch_up_wanted: bool, expires_at: float | None, failure: DeviceAuthFailed | DeviceTimeout, waits: bool
) -> None:
    made = task(catch_up=catch_up_wanted, expires_at=expires_at)

    reply = make().waiting_reply(made, failure)

    assert (reply is not None) == waits
    assert not waits or json.loads(reply.body)["code"] == "waiting"


def test_no_more_requests_wait_than_the_queue_may_hold() -> None:
    full = make(*(request(number) for number in range(CONFIG.queue_limit)))

    assert full.waiting_reply(task(catch_up=True, expires_at=NOW + 60), LOST) is None


@pytest.mark.parametrize(("waits", "reached", "due"), [(True, True, True), (True, False, False), (False, True, False)])
def test_it_is_due_once_the_terminal_has_answered(waits: bool, reached: bool, due: bool) -> None:
    assert make(*[request(1)] * waits).is_due(reached=reached) == due


def test_it_is_not_due_in_the_pause_after_a_failure() -> None:
    made = make(request(1))
    made.pause.note_failure()
    assert not made.is_due(reached=True)

    made.pause.note_success()
    assert made.is_due(reached=True)


@pytest.mark.parametrize(
    ("command", "fields", "older"),
    [(CREATE, {}, [1, 2]), (CREATE, {"user_id": "8"}, []), (LIST, {}, []), (ENROLL, {}, [])],
    ids=["the same user", "another user", "a list", "no change of a user"],
)
def test_what_waits_for_the_same_user_is_done_before_a_change(
    command: str, fields: dict[str, Any], older: list[int]
) -> None:
    made = make(request(1), request(2))

    assert [each.id for each in made.older_than(task(9, command, fields=fields))] == older
    assert made.is_empty == bool(older)


def test_nothing_waits_any_more_once_everything_was_taken_or_has_expired() -> None:
    made = make(request(1))
    assert [each.id for each in made.take()] == [1]
    assert made.is_empty

    made.add([Parked(5, "7", LOST)])
    assert made.take() == []  # the ledger has let it expire
    assert made.is_empty
