"""The fault matrix holds, and docs/faults.md says what it found."""

import pytest

from tests.faults.frames import ALWAYS, VARIANTS, Case
from tests.faults.matrix import HEAD, PAGE, committed, measure, rows, section

#: A machine under load may add an attempt of its own: a cell that differs is measured again, with little beside it.
MEASURED_AGAIN = 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_fault_at_every_frame_ends_with_one_true_answer_as_the_docs_say(variant, tmp_path, shared_broker):
    outcomes = measure(tmp_path / variant.name, shared_broker.port, variant.cases())

    told = rows(committed(variant))
    for number in range(MEASURED_AGAIN):
        differing = [case for case in outcomes if _told(told, case) != str(outcomes[case])]
        if not 0 < len(differing) < len(outcomes) // 20:
            break
        outcomes |= measure(tmp_path / f"{variant.name}-{number}", shared_broker.port, differing)

    assert committed(variant) == section(variant, outcomes), "python -m tests.faults.matrix writes the page anew"


def test_the_page_holds_these_tables_and_nothing_else():
    assert PAGE.read_text("utf-8") == "\n".join([HEAD, *map(committed, VARIANTS)])


def _told(told, case: Case) -> str:
    cells = told.get((case.frame.name, case.fault.name))
    return "" if cells is None else cells[case.count == ALWAYS]
