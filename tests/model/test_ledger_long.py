"""The ledger against its reference for long: `make model`. It looks for the shortest life that fails as one did."""

import pytest
from hypothesis import Phase

from tests.model.check import check
from tests.model.ledger_machine import LedgerMachine
from tests.model.store_machine import StoreMachine


@pytest.mark.slow
def test_the_ledger_holds_what_the_reference_holds_in_a_long_run() -> None:
    check(LedgerMachine, 5000, 50, Phase.generate, Phase.shrink)


@pytest.mark.slow
def test_it_holds_punches_places_facts_and_dates_in_a_long_run() -> None:
    check(StoreMachine, 2000, 50, Phase.generate, Phase.shrink)
