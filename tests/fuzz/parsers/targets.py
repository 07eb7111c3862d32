"""Every parser that the fuzzer calls, by name."""

from __future__ import annotations

from tests.fuzz.parsers import of_files, of_messages, of_terminals
from tests.fuzz.parsers.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for target in (*of_messages.TARGETS, *of_terminals.TARGETS, *of_files.TARGETS)
}
