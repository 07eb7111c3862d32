"""The ledger against its reference: a short run with every run of the tests; `make model` has the long one.

The short run reports the first failure as it was found. The long one looks for the shortest that fails so.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.ledger_machine import LedgerMachine


def check(examples: int, steps: int, *phases: Phase) -> None:
    run_state_machine_as_test(
        LedgerMachine,
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
    check(60, 25, Phase.generate)


@pytest.mark.slow
def test_the_ledger_holds_what_the_reference_holds_in_a_long_run() -> None:
    check(5000, 50, Phase.generate, Phase.shrink)
