"""A value of the configuration that looks like a date or a number and is none ended the program in a traceback.

Source: `make fuzz-parsers`, 2026-11
"""

from pathlib import Path

import pytest

from zkbridge.config.faults import ConfigError
from zkbridge.config.loader import load
from zkbridge.config.yaml_file import parse_yaml

GOOD = "mqtt: {host: b}\ndevices: {p: {host: a}}\n"
#: Nine levels of nine aliases: four hundred million values in as many bytes as a small file has.
LAUGHS = "".join(f"y{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("language: 2026-02-30", "line 3, column 11: is written like a date and is none: put it in quotes"),
        ("language: 2026-03-02 99:99:99", "is written like a date and is none"),
        ("queue_limit: !!int x", "is written like a number and is none"),
        ("queue_limit: !!int", "is written like a number and is none"),
        ("session_budget: !!float x", "is written like a number and is none"),
        ("strict: !!bool x", "is written like a truth value and is none"),
        (f"queue_limit: {'9' * 5000}", "is written like a number and is none"),
        (r'language: "\UFFFFFFFF"', "has an escape in a text that stands for no character"),
        ("language: " + "[" * 3000, "is nested too deeply"),
        ("groups: {g,[p: $q]}", "has a list or a mapping where the name of a value must be"),
        ("groups: &g {g: *g}", "an alias that holds itself?"),
        (f"y0: &a0 [x]\n{LAUGHS}", "has more than 100000 values"),
    ],
)
def test_it_is_a_fault_of_the_file_with_its_remedy(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"{GOOD}{line}\n")

    with pytest.raises(ConfigError) as raised:
        load(path, {})

    assert says in str(raised.value.faults[0])


def test_the_message_does_not_quote_the_value() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_yaml("mqtt: {password: !!int geheim}")

    assert "geheim" not in str(raised.value)
