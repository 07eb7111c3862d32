"""A short run of power cuts with every run of the tests; `make cuts` has the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nursery import Nursery
from torture.cuts import CutRun
from torture.report import stories, table
from torture.storage import shimmed_nursery

CUTS = 20


@pytest.fixture(scope="module")
def nursery_of_cuts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with shimmed_nursery(tmp_path_factory.mktemp("cuts")) as nursery:
        yield nursery


@pytest.mark.parametrize("seed", [11])
def test_nothing_is_lost_doubled_or_untrue_while_the_power_is_cut(
    seed: int, tmp_path: Path, nursery_of_cuts: Nursery
) -> None:
    run = CutRun(tmp_path, seed=seed, cuts=CUTS, nursery=nursery_of_cuts)
    result = run.go()

    assert not result.findings, "\n\n".join([*stories(result), table(result)])
    # What a run has to have done to say anything.
    assert run.storage.cuts >= CUTS
    assert run.storage.operations > 50 * CUTS
    assert run.storage.moments > CUTS
    assert "created" in {answer.code for wish in result.history.wishes for answer in wish.answers}


def test_a_ledger_whose_log_is_never_synced_is_found(tmp_path: Path, nursery_of_cuts: Nursery) -> None:
    run = CutRun(tmp_path, seed=1, cuts=8, nursery=nursery_of_cuts, ignored=["ledger.db-wal"])
    run.silent_for_s = 3

    assert run.go().findings
