"""The fault matrix holds, and docs/faults.md says what it found."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults import promises
from tests.faults.frames import ALWAYS, VARIANTS, Case, Variant
from tests.faults.matrix import (
    HEAD,
    OTHERS_TITLE,
    PAGE,
    AnyCase,
    Outcome,
    committed,
    measure,
    others_section,
    rows,
    section,
)
from tests.faults.others import OTHERS
from tests.support.mosquitto import Mosquitto

#: A machine under load may add attempts, in every cell: what differs is measured again, with less beside it.
MEASURED_AGAIN = 3
ANEW = "python -m tests.faults.matrix writes the page anew"


#: Both transports and both records in every run, crosswise; the other two in the long one.
ALWAYS_MEASURED = {"tcp72", "udp28"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(variant, id=variant.name, marks=() if variant.name in ALWAYS_MEASURED else pytest.mark.slow)
        for variant in VARIANTS
    ],
)
def test_every_fault_at_every_frame_ends_with_one_true_answer_as_the_docs_say(
    variant: Variant, tmp_path: Path, shared_broker: Mosquitto
) -> None:
    cases = list(variant.cases())

    assert section(variant, _measure(cases, variant.title, tmp_path, shared_broker)) == committed(variant.title), ANEW


@pytest.mark.timeout(300)
def test_every_other_trouble_ends_with_one_true_answer_as_the_docs_say(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    outcomes = _measure(OTHERS, OTHERS_TITLE, tmp_path, shared_broker)

    assert others_section(outcomes) == committed(OTHERS_TITLE), ANEW


def test_the_page_holds_these_tables_and_nothing_else() -> None:
    titles = [*(variant.title for variant in VARIANTS), OTHERS_TITLE]

    assert PAGE.read_text("utf-8") == "\n".join([HEAD, *map(committed, titles), promises.page()])


def test_every_promise_has_its_tests() -> None:
    assert promises.missing() == []


def _measure(
    cases: Sequence[AnyCase],
    title: str,
    folder: Path,
    broker: Mosquitto,
) -> dict[AnyCase, Outcome]:
    outcomes = measure(folder / f"m-{folder.name[-12:]}", broker.port, cases)
    told = rows(committed(title))
    for number in range(MEASURED_AGAIN):
        differing = [case for case in outcomes if _told(told, case) != str(outcomes[case])]
        if not differing:
            break
        outcomes |= measure(folder / f"m{number}-{folder.name[-12:]}", broker.port, differing)
    return outcomes


def _told(told: dict[str, list[str]], case: AnyCase) -> str:
    if not isinstance(case, Case):
        return "".join(told.get(case.name, []))
    cells = told.get(f"{case.frame.name} | {case.fault.name}")
    return cells[case.count == ALWAYS] if cells else ""
