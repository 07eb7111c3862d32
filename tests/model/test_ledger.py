"""The ledger against its reference: a short run; `test_ledger_long` is that of `make model`.

It reports the first failure as it was found.
"""

from hypothesis import Phase

from tests.model.check import check
from tests.model.ledger_machine import LedgerMachine
from tests.model.store_machine import StoreMachine


def test_the_ledger_holds_what_the_reference_holds() -> None:
    check(LedgerMachine, 60, 25, Phase.generate)


def test_it_holds_punches_places_facts_and_dates() -> None:
    check(StoreMachine, 15, 20, Phase.generate)
