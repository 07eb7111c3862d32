"""What `make fuzz-parsers` begins with, and each input that it has found: only the documented errors come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.broken import Broken
from tests.fuzz.parsers.targets import TARGETS
from zkbridge.port.users import User
from zkbridge.terminal.records.users import decode

#: Inputs that broke a promise, in a folder named after their target.
FOUND = Path(__file__).parent / "found"


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_what_the_fuzzer_begins_with(name: str) -> None:
    seeds = list(TARGETS[name].seeds())

    assert seeds
    for seed in (*seeds, b"", b"\0", b"\xff" * 64):
        TARGETS[name].run(seed)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_parser_takes_what_has_broken_a_promise(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


def test_a_parser_that_reads_a_user_in_two_ways_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_wrong(raw: bytes, *, encoding: str) -> User:
        return decode(raw, encoding=encoding)._replace(card=0)

    monkeypatch.setattr("tests.fuzz.parsers.of_terminals.decode", read_wrong)

    with pytest.raises(Broken, match="two ways"):
        _run_seeds("users")


def _run_seeds(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)
