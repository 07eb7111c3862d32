"""What becomes of each unfinished request after a start: a table, without a daemon."""

from types import SimpleNamespace
from typing import Any

import pytest

from zkbridge.bridge.recovery import Recovery
from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Finish, Finished, Request, Waiting
from zkbridge.telemetry.events import Answered, Event

HERE, GONE = "p", "gone"
LATER = Reply(202, "waiting", b"{}")
KNOWN, REMOVED = "users/create", "users/invented"


def request(number: int, device: str = HERE, command: str = KNOWN, **more: Any) -> Request:
    return Request(number, device, command, f"r{number}", b"{}", 0.0, **more)


class Site:
    """A recovery of a bridge with one device and one command, and what it does with each request."""

    def __init__(self) -> None:
        self.submitted: list[tuple[str, list[int], bool]] = []
        self.waits: list[float] = []
        self.answered: list[tuple[int, str]] = []
        self.told: list[str] = []
        self.noted = 0
        self.said_to_wait: list[tuple[int, str]] = []
        here: Any = self
        config = SimpleNamespace(devices={HERE: None}, groups={"all": [HERE]}, language="en")
        current: Any = SimpleNamespace(config=config, all_commands={KNOWN: None})
        roster: Any = {HERE}
        self.recovery = Recovery(
            current,
            roster,
            here,
            dispatch=here,
            expiry=here,
            probes=here,
            handover=here,
            tell=self.tell,
        )

    def tell(self, event: Event) -> None:
        assert isinstance(event, Answered)
        self.told.append(event.code)

    def submit(self, device: str, requests: list[Request], *, resumed: bool) -> None:
        self.submitted.append((device, [each.id for each in requests], resumed))

    def note_waiting(self, until: float) -> None:
        self.waits.append(until)

    def tell_waiting(self, request: Request, reply: Reply) -> None:
        self.said_to_wait.append((request.id, reply.code))

    def finish(self, finishes: list[Finish]) -> Finished:
        self.answered += [(each.request.id, each.reply.code) for each in finishes]
        return Finished([], [])

    def note_answers(self, _answers: object) -> None:
        self.noted += 1


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    ("device", "command", "code"),
    [
        (HERE, KNOWN, None),
        (GONE, KNOWN, "device_not_found"),
        (HERE, REMOVED, "internal"),
        (GONE, REMOVED, "device_not_found"),
    ],
)
@pytest.mark.parametrize("waiting", [False, True])
def test_what_can_be_done_goes_on_and_the_rest_is_answered(
    site: Site, device: str, command: str, code: str | None, waiting: bool
) -> None:
    left = [request(1, device, command, expires_at=50.0)]

    if waiting:
        site.recovery.wait_on([Waiting(each, "7", LATER) for each in left])
    else:
        site.recovery.resume(left)

    assert site.answered == ([(1, code)] if code else [])
    assert site.told == ([code] if code else [])
    assert site.noted == len(site.answered)
    assert site.submitted == ([(HERE, [1], True)] if code is None and not waiting else [])
    assert site.waits == ([50.0] if code is None and waiting else [])


def test_the_requests_of_a_device_are_handed_over_together_in_their_order(site: Site) -> None:
    site.recovery.resume([request(1), request(2, GONE), request(3)])

    assert site.submitted == [(HERE, [1, 3], True)]
    assert site.answered == [(2, "device_not_found")]


def test_nothing_left_is_nothing_to_do(site: Site) -> None:
    site.recovery.resume([])
    site.recovery.wait_on([])

    assert (site.submitted, site.waits, site.answered) == ([], [], [])


def test_a_waiting_request_is_answered_at_the_start_unless_a_groups_answer_has_it(site: Site) -> None:
    alone, member, gone = request(1), request(2, parent=9), request(3, GONE)

    site.recovery.wait_on([Waiting(each, "7", LATER) for each in (alone, member, gone)])

    assert site.said_to_wait == [(1, "waiting")]
