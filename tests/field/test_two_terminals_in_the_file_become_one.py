"""Device ids that YAML reads as numbers, nothing or true are merged, renamed to 7, or named None, without a word.

Source: attack on 7bb949d, 2026-11
"""

from pathlib import Path

import pytest

from tests.unit.test_config import faults, write
from zkbridge.config.loader import load

DEVICE = "{host: 192.168.1.201}"


@pytest.mark.parametrize("part", ["devices", "groups"])
@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("007", '"007"'),
        ("0x10", '"0x10"'),
        ("0o7", '"0o7"'),
        ("1_000", '"1_000"'),
        ("+7", '"+7"'),
        ("null", '"null"'),
        ("~", '"null"'),
        ("true", '"true"'),
        ("False", '"false"'),
        ("1.5", '"1.5"'),
        ("2024-01-01", '"2024-01-01"'),
    ],
)
def test_an_id_that_is_not_read_as_it_is_written_is_refused(tmp_path: Path, part: str, key: str, advice: str) -> None:
    lines = {"devices": f"devices: {{a: {DEVICE}}}\n", "groups": "groups: {b: [a]}\n"}
    value = DEVICE if part == "devices" else "[a]"
    lines[part] = f"{part}:\n  a: {value}\n  {key}: {value}\n"

    told = [fault for fault in faults(tmp_path, "".join(lines.values())) if advice in fault]

    assert len(told) == 1
    assert told[0].startswith(f"{part}: YAML reads ")
    assert "quotes" in told[0]


def test_ids_that_differ_in_their_quotes_only_are_refused(tmp_path: Path) -> None:
    text = f'devices:\n  1: {DEVICE}\n  "1": {DEVICE}\ngroups:\n  2: ["1"]\n  "2": ["1"]\n'

    assert faults(tmp_path, text) == [
        'devices.1: is there twice, as 1 and as "1"',
        'groups.2: is there twice, as 2 and as "2"',
    ]


def test_a_member_that_is_not_read_as_it_is_written_is_refused(tmp_path: Path) -> None:
    told = faults(tmp_path, f'devices: {{"7": {DEVICE}}}\ngroups: {{g: [007], h: [null]}}\n')

    assert told == [
        'groups.g.0: YAML reads 007 as the number 7: put an id in quotes, "007"',
        'groups.h.0: YAML reads this id as null, which is no text: put it in quotes, such as "null"',
    ]


@pytest.mark.parametrize("key", ["101", '"007"', '"null"', "'1_000'", "!!str 7", "A1"])
def test_plain_numbers_and_quoted_ids_are_taken(tmp_path: Path, key: str) -> None:
    config = load(write(tmp_path, f"devices: {{{key}: {DEVICE}}}"), {})

    assert list(config.devices) == [key.removeprefix("!!str ").strip("\"'")]


def test_an_id_in_a_variable_is_looked_at_too(tmp_path: Path) -> None:
    environment = {"ZKBRIDGE_GROUPS": "{007: [a]}"}

    assert any('"007"' in fault for fault in faults(tmp_path, f"devices: {{a: {DEVICE}}}", environment))


@pytest.mark.parametrize("text", [f"devices:\n  - {DEVICE}\n", "devices: [principal]\n"])
def test_a_list_of_devices_is_answered_with_the_form_that_is_right(tmp_path: Path, text: str) -> None:
    [told] = faults(tmp_path, text)

    assert told.startswith("devices: must be a mapping of ids, not a list: `principal: {host: 192.168.1.201}`")
