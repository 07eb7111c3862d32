"""A short run of people who punch while everything breaks; `make torture` has the long one."""

from pathlib import Path
from typing import Any

import pytest

from torture.punch_oracle import ids, judge
from torture.punches import Torture

PUNCHES, TERMINALS = 400, 5
RECORDS = [("1", "2026-03-02T09:00:00", 1, 0), ("2", "2026-03-02T09:00:05", 1, 0), ("1", "2026-03-02T09:00:00", 1, 0)]


def event(number: int, **changes: Any) -> dict[str, Any]:
    user_id, when, status, punch = RECORDS[number]
    told = {"user_id": user_id, "name": "Ana", "timestamp": when, "status": status, "punch": punch, "device_id": "p"}
    return told | {"id": ids("p", RECORDS)[number]} | changes


def findings(*told: Any) -> list[str]:
    return judge({"p": RECORDS}, told).findings


@pytest.mark.parametrize("seed", [5])
def test_each_punch_is_published_and_none_invented_while_everything_breaks(seed: int, tmp_path: Path) -> None:
    torture = Torture(tmp_path, seed=seed, punches=PUNCHES, terminals=TERMINALS, tell=lambda _: None)
    verdict = torture.go()

    assert not verdict.findings, "\n".join([*verdict.findings[:20], str(verdict), torture.daemon.log[-20_000:]])
    # What a run has to have done to say anything.
    assert verdict.expected >= PUNCHES
    assert torture.broken["kill -9"] >= 1
    assert torture.broken["command"] >= 5
    assert 0 < verdict.late < verdict.published


def test_a_correct_bridge_passes_also_when_it_publishes_a_punch_again() -> None:
    assert findings(event(0), event(1), event(2), event(1, late=True)) == []


def test_a_lost_punch_is_found() -> None:
    assert findings(event(0), event(2)) == [f"{ids('p', RECORDS)[1]} was never published"]


def test_an_invented_punch_is_found() -> None:
    assert len(findings(event(0), event(1), event(2), event(2, id="p/2026-03-02T09:00:00/1/1/0/2"))) == 1


def test_a_punch_out_of_order_is_found() -> None:
    assert findings(event(1), event(0), event(2)) == [
        f"p: {ids('p', RECORDS)[1]} was published where {ids('p', RECORDS)[0]} was to come"
    ]


def test_one_id_for_two_punches_is_found() -> None:
    assert findings(event(0), event(1), event(2), event(1, punch=1)) != []


def test_a_punch_with_another_s_id_is_found() -> None:
    assert findings(event(0), event(1, user_id="9"), event(2)) != []
