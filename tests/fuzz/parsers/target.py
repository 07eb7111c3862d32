"""A parser of what strangers write, as the coverage-guided fuzzer calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.fuzz.broken import Broken


class Target(NamedTuple):
    """`run` parses some bytes and returns, whatever they are; what comes out beside the documented errors is a finding.

    `seeds` are what the fuzzer begins with, `words` what it puts together. An input has at most `longest` bytes.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Callable[[], Iterable[str]] = tuple
    longest: int = 4096


def holds(so: bool, sentence: str) -> None:
    """Raise Broken with the sentence if it is not so."""
    if not so:
        raise Broken(sentence)
