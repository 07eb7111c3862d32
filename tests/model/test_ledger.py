"""The ledger against its reference: a short run with every run of the tests; `make model` has the long one.

The short run reports the first failure as it was found. The long one looks for the shortest that fails so.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.model.ledger_machine import LedgerMachine
from tests.model.store_machine import StoreMachine


def check(machine: type[RuleBasedStateMachine], examples: int, steps: int, *phases: Phase) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_ledger_holds_what_the_reference_holds() -> None:
    check(LedgerMachine, 60, 25, Phase.generate)


def test_it_holds_punches_places_facts_and_dates() -> None:
    check(StoreMachine, 15, 20, Phase.generate)


@pytest.mark.slow
def test_it_holds_punches_places_facts_and_dates_in_a_long_run() -> None:
    check(StoreMachine, 2000, 50, Phase.generate, Phase.shrink)


@pytest.mark.slow
def test_the_ledger_holds_what_the_reference_holds_in_a_long_run() -> None:
    check(LedgerMachine, 5000, 50, Phase.generate, Phase.shrink)
