"""The pages as a test reads them: fenced blocks in their order, each with the mark that stands above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.project.tree import ROOT, tracked_files

FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (?P<kind>not checked|checked by): (?P<words>[^\n]*?) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. `mark` says why it is not checked here, or which test does it instead."""

    page: Path
    line: int
    language: str
    text: str
    kind: str = ""
    mark: str = ""
    follows: bool = False  # nothing stands between it and the block before

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read."""
    return [path for path in tracked_files() if path.suffix == ".md"]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    return list(_blocks(page, page.read_text()))


def prose(page: Path) -> str:
    """The page without its blocks."""
    return FENCE.sub("", page.read_text())


def _blocks(page: Path, text: str) -> Iterator[Block]:
    end = 0
    for found in FENCE.finditer(text):
        mark = MARK.search(text, 0, found.start())
        between = text[end : mark.start() if mark else found.start()]
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"].strip(),
            text=found["text"],
            kind=mark["kind"] if mark else "",
            mark=mark["words"] if mark else "",
            follows=bool(end) and not between.strip(),
        )
        end = found.end()
