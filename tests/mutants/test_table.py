"""The table of mutations fits the program: each guard is where the table says, and each test file is there."""

import pytest

from tests.mutants.table import MUTATIONS, Mutation
from tests.project.tree import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.harm)
def test_the_guard_is_there_once(mutation: Mutation) -> None:
    source = (ROOT / mutation.file).read_text()

    assert mutation.applied(source) != source
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutation.tests)
