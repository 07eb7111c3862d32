"""A short run of doors that are asked for while everything breaks; `make torture` has the long one."""

from pathlib import Path
from typing import Any

import pytest

from torture.door_oracle import TOLERANCE_S, Answer, Delivery, History, Publication, Request, judge
from torture.door_wishes import SECONDS
from torture.doors import Torture, protocol_of

REQUESTS, TERMINALS = 45, 5
MAX_AGE_S = 6.0
OPENED = {"success": True, "code": "unlocked", "status": 200}
UNKNOWN = {"success": False, "code": "outcome_unknown", "status": 500, "effect": "unknown"}
REJECTED = {"success": False, "code": "device_rejected", "status": 500}
EXPIRED = {"success": False, "code": "expired", "status": 408}
#: Published at once after the first, and long after.
COPIES = [Publication(0.0, confirmed_at=0.1), Publication(30.0, confirmed_at=30.1)]


def again(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"replayed": True}


def request(
    *bodies: Any,
    openings: list[float] | tuple[Any, ...] = (1.0,),
    publications: list[Publication] = COPIES[:1],
    request_id: str | None = "r",
    numbered: bool = True,
    **more: Any,
) -> Request:
    """Asked at 0, opened at 1, and each publication answered in its turn."""
    answers = [Answer(body, copy if numbered else None) for copy, body in enumerate(bodies)]
    return Request("p", 5, request_id, numbered, None, list(publications), answers, list(openings), **more)


def findings(asked: Request, **history: Any) -> list[str]:
    return [finding.kind for finding in judge(History([asked], MAX_AGE_S, **history)).findings]


@pytest.mark.parametrize("seed", [1])
def test_no_door_opens_twice_or_late_or_unsaid_while_everything_breaks(seed: int, tmp_path: Path) -> None:
    torture = Torture(tmp_path, seed=seed, requests=REQUESTS, terminals=TERMINALS, long_after_s=8, tell=lambda _: None)
    verdict = torture.go()

    told = [finding.sentence for finding in verdict.findings[:20]]
    assert not verdict.findings, "\n".join([*told, str(verdict), torture.daemon.log[-20_000:]])
    # What a run has to have done to say anything.
    assert verdict.requests == REQUESTS < verdict.publications
    assert verdict.openings > REQUESTS / 5
    assert torture.broken["kill -9"] >= 1
    assert torture.broken["fault"] >= 10


def test_the_bridge_of_some_seeds_uses_mqtt_3_1_1() -> None:
    assert {protocol_of(seed) for seed in range(10)} == {"5", "3.1.1"}


def test_more_requests_than_can_be_distinguished_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no more"):
        Torture(tmp_path, seed=1, requests=2 * len(SECONDS) + 1, terminals=2, tell=lambda _: None)


@pytest.mark.parametrize(
    "honest",
    [
        request(OPENED),
        request(UNKNOWN),
        request(UNKNOWN, openings=()),
        request(REJECTED, openings=()),
        request(OPENED, again(OPENED), publications=COPIES),
        request(OPENED, again(OPENED), publications=COPIES, numbered=False),
        request(EXPIRED, OPENED, publications=COPIES, openings=[31.0]),
        request(EXPIRED, OPENED, publications=COPIES, openings=[31.0], numbered=False),
        request(EXPIRED, openings=(), request_id=None),
    ],
    ids=repr,
)
def test_a_correct_bridge_passes(honest: Request) -> None:
    assert findings(honest) == []


def test_an_answer_that_comes_twice_is_one_answer() -> None:
    asked = request(OPENED)
    asked.answers.append(asked.answers[0])

    assert findings(asked) == []


def test_a_door_that_opens_twice_is_found() -> None:
    assert "twice" in findings(request(OPENED, openings=[1.0, 2.0]))
    assert "twice" in findings(request(OPENED, again(OPENED), publications=COPIES, openings=[1.0, 31.0]))


def test_a_door_that_opens_late_is_found() -> None:
    limit = MAX_AGE_S + TOLERANCE_S

    assert findings(request(OPENED, openings=[limit - 0.1])) == []
    assert findings(request(OPENED, openings=[limit + 0.1])) == ["late"]


@pytest.mark.parametrize("numbered", [True, False])
def test_a_copy_makes_no_request_younger(numbered: bool) -> None:
    late = request(OPENED, again(OPENED), publications=COPIES, openings=[31.0], numbered=numbered)

    assert findings(late) == ["late"]


def test_what_the_bridge_may_never_have_had_is_no_beginning() -> None:
    lost = [Publication(0.0, qos=0), COPIES[1]]

    assert findings(request(OPENED, OPENED, publications=lost, openings=[31.0], numbered=False)) == []


def test_a_door_that_opens_after_its_request_has_expired_is_found() -> None:
    asked = request(OPENED, openings=[4.5])
    asked.expires_at = 2.0

    assert findings(asked) == ["late"]


def test_a_request_with_an_expiry_may_have_waited_until_then() -> None:
    asked = request(OPENED, openings=[19.0])
    asked.expires_at = 20.0

    assert findings(asked) == []


def test_a_retained_request_that_opens_is_found() -> None:
    assert findings(request(OPENED, publications=[Publication(0.0, confirmed_at=0.1, retained=True)])) == ["untrue"]


def test_an_opening_without_a_request_is_found() -> None:
    assert findings(request(OPENED), strays=["p opened for 3 s"]) == ["untrue"]


@pytest.mark.parametrize("refusal", [REJECTED, EXPIRED, REJECTED | {"effect": "none"}])
def test_an_opening_behind_a_failure_is_found(refusal: dict[str, Any]) -> None:
    assert findings(request(refusal)) == ["untrue"]
    assert findings(request(refusal, request_id=None)) == ["untrue"]


def test_a_success_without_an_opening_is_found() -> None:
    assert findings(request(OPENED, openings=())) == ["untrue"]


def test_two_answers_to_one_request_are_found() -> None:
    assert findings(request(OPENED, again(UNKNOWN), publications=COPIES)) == ["untrue"]
    assert findings(request(OPENED, again(EXPIRED), publications=COPIES, numbered=False)) == ["untrue"]


def test_a_second_answer_to_one_copy_is_found() -> None:
    turned_away = request(EXPIRED, openings=[1.0])
    turned_away.answers.append(Answer(OPENED, 0))
    nameless = request(OPENED, request_id=None)
    nameless.answers.append(Answer(EXPIRED, 0))

    assert findings(turned_away) == ["untrue"]
    assert findings(nameless) == ["untrue"]


@pytest.mark.parametrize("numbered", [True, False])
def test_an_answer_that_never_came_is_found(numbered: bool) -> None:
    assert findings(request(OPENED, publications=COPIES, numbered=numbered)) == ["unanswered"]
    assert findings(request(openings=(), numbered=numbered)) == ["unanswered"]


@pytest.mark.parametrize("excuse", [Publication(30.0, qos=0, confirmed_at=30.1), Publication(30.0)])
def test_what_promises_nothing_or_never_came_to_the_broker_need_not_be_answered(excuse: Publication) -> None:
    assert findings(request(OPENED, publications=[COPIES[0], excuse])) == []


def test_what_a_broker_that_was_killed_has_forgotten_need_not_be_answered() -> None:
    asked = request(OPENED, publications=COPIES)

    assert findings(asked, broker_losses=[(28.0, 31.0)]) == []
    assert findings(asked, broker_losses=[(31.0, 34.0)]) == ["unanswered"]


def test_an_answer_that_a_broker_has_forgotten_is_excused() -> None:
    asked = request(OPENED, publications=COPIES, deliveries=[Delivery(1, 33.0)])

    assert findings(asked, broker_losses=[(31.0, 34.0)]) == []


def test_an_answer_that_was_never_sent_is_not_excused() -> None:
    asked = request(OPENED, publications=COPIES, deliveries=[Delivery(1, None)])

    assert findings(asked, broker_losses=[(31.0, 34.0)]) == ["unanswered"]


def test_every_other_fault_is_reported() -> None:
    assert findings(request(OPENED), wrong=["the daemon ended by itself"]) == ["wrong"]
