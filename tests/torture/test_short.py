"""A short torture of fixed seeds with every run of the tests; `make torture` is the long one."""

from pathlib import Path

import pytest

from torture.report import stories, table
from torture.run import Run

REQUESTS, KILLS, SECONDS = 150, 10, 12


@pytest.mark.parametrize("seed", [3, pytest.param(1871, marks=pytest.mark.slow)])
def test_nothing_is_lost_doubled_or_untrue_while_everything_breaks(seed: int, tmp_path: Path) -> None:
    result = Run(tmp_path, seed=seed, requests=REQUESTS, kills=KILLS, seconds=SECONDS).go()

    assert not result.findings, "\n\n".join([*stories(result), table(result)])
    # What a run has to have done to say anything.
    assert len(result.history.wishes) >= REQUESTS / 2
    assert result.world.keeper.kills >= KILLS
    assert result.world.broker_kills >= 1
    assert {"created", "expired", "device_not_found"} <= {
        answer.code for wish in result.history.wishes for answer in wish.answers
    }
