"""Every state of small lives with every run of the tests; `make model` explores the large ones."""

import pytest

from tests.model.explorer import explore
from tests.model.life import Life, Setting
from tests.model.settings import BREAKAGES, SHORT, broken


def holds(setting: Setting) -> None:
    found = Life(setting).explore()

    assert found.fault is None, "\n".join([found.fault, *found.way])
    assert found.complete > 0


@pytest.mark.parametrize("name", SHORT)
def test_no_state_of_a_small_life_breaks_a_rule(name: str) -> None:
    holds(SHORT[name])


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_is_broken_on_purpose_is_found(breakage: str) -> None:
    with broken(breakage) as setting:
        assert Life(setting).explore().fault is not None


def test_a_state_from_which_nothing_can_be_completed_is_found() -> None:
    found = explore(
        0,
        lambda state: [("add", state + 1), ("stop", -1)] if 0 <= state < 3 else [],
        broken=lambda _: None,
        is_complete=lambda state: state == 3,
    )

    assert (found.fault, found.way) == ("it can never be completed", ("stop",))
    assert (found.states, found.transitions, found.complete) == (5, 6, 1)
