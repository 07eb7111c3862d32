"""Pages that are made from the code are as the code is now, and what people wrote on them is whole."""

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.docs import configuration, errors
from tests.docs.commands import Table
from tests.docs.pages import prose
from tests.docs.write import MADE
from tests.project.tree import ROOT
from zkbridge.asyncapi.examples import example_failures
from zkbridge.asyncapi.site import Site
from zkbridge.config.models import Config
from zkbridge.config.yaml_file import parse_yaml


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.PAGE.name)
def test_a_page_is_up_to_date(made: ModuleType | Table) -> None:
    assert made.PAGE.read_text() == made.page(), "bring it up to date: .venv/bin/python -m tests.docs.write"


@pytest.mark.parametrize("code", example_failures(Site()))
def test_every_code_has_advice_for_the_caller_and_the_operator(code: str) -> None:
    written = errors.advice(errors.PAGE.read_text())[code]

    assert errors.UNWRITTEN not in written, f"write in docs/errors.md what {code} asks of people"
    for who in ("**The caller** ", "**The operator** "):
        assert len(written.partition(who)[2].partition("\n")[0]) > 10, f"docs/errors.md: {code}: {who.strip('* ')}?"


def test_the_page_has_no_code_that_no_error_has() -> None:
    assert set(errors.advice(errors.PAGE.read_text())) == set(example_failures(Site()))


def test_the_sections_of_the_contract_count_over_its_pages() -> None:
    numbers = {
        name: [int(each) for each in re.findall(r"^## (\d+)\. ", (ROOT / "docs" / name).read_text(), re.MULTILINE)]
        for name in ("contract.md", "guarantees.md")
    }

    assert numbers["guarantees.md"] == [5, 6, 7, 8]
    assert numbers["contract.md"] == [1, 2, 3, 4, *range(9, 17)]


def test_a_section_that_a_page_of_the_contract_cites_is_there_or_linked() -> None:
    for name in ("contract.md", "guarantees.md"):
        text = prose(ROOT / "docs" / name)
        here = set(re.findall(r"^## (\d+)\. ", text, re.MULTILINE))
        assert set(re.findall(r"(?<!\[)\b[Ss]ection (\d+)", text)) <= here, name


@pytest.mark.parametrize("code", example_failures(Site()))
def test_the_contract_names_every_code(code: str) -> None:
    assert f"`{code}`" in "".join((ROOT / "docs" / name).read_text() for name in ("contract.md", "guarantees.md"))


def test_every_key_of_the_file_shown_has_a_row() -> None:
    def paths(values: dict[str, Any], above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        for key, value in values.items():
            yield (*above, key)
            if isinstance(value, dict):
                yield from paths(value, (*above, key))

    page = configuration.PAGE.read_text()
    shown = [path for path in paths(parse_yaml(configuration.SHOWN.read_text())) if path[:1] != ("devices",)]

    assert len(shown) > 20
    for path in shown:
        assert f"| `{path[-1]}` |" in page or f"## `{'.'.join(path)}`" in page, path


def test_comments_are_read_beside_above_and_below_a_list() -> None:
    text = """\
    # Of the whole file.

    a:            # the part
      b: 1        # beside
      # above
      # and further
      c: 2
      d:          # before a list
        [x,
         y]
    devices:
      one: {host: x}
      two:
        port: 1   # a port
    """
    said = configuration.meanings("\n".join(line[4:] for line in text.splitlines()))

    assert said == {
        "a": "the part",
        "a.b": "beside",
        "a.c": "above and further",
        "a.d": "before a list",
        "devices.*.port": "a port",
    }


def test_a_key_without_a_meaning_is_not_written() -> None:
    with pytest.raises(AssertionError, match=r"groups: say in config\.yaml what it is for"):
        configuration._section("", Config, {})
