"""The record of messages that were set aside, after a power cut tore it."""

from pathlib import Path

import pytest

from zkbridge.intake.set_aside import SetAside

TORN = [b'{"at": "2026-11-29T22', b"\0" * 300, b"\xff\xfe", b"[]\n", b'{"digest": "07"}\n']


def add(folder: Path, number: int) -> tuple[str, bool]:
    """A message by its number: its error_id, and whether it was new."""
    return SetAside(folder).add("zk/d/ping", bytes([number]), "test")


@pytest.mark.parametrize("torn", TORN)
def test_an_entry_that_was_torn_costs_no_other_entry(tmp_path: Path, torn: bytes) -> None:
    first, _ = add(tmp_path, 1)
    file = tmp_path / "set-aside.jsonl"
    file.write_bytes(file.read_bytes() + torn)

    second, _ = add(tmp_path, 2)

    assert add(tmp_path, 1) == (first, False)
    assert add(tmp_path, 2) == (second, False)
    assert len(file.read_bytes().splitlines()) == 2
