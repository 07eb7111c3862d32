"""`zkbridge users create … --name Mu\u00f1oz` in a Latin-1 terminal window ends in a traceback, and so does its output.

Source: attack on 7bb949d, 2026-11
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.field.conftest import FieldSite

NAME = "Mu\u00f1oz \u674e"


@pytest.fixture
def zk(field_site: FieldSite, tmp_path: Path) -> Callable[..., Any]:
    """Run the program to its end in a shell of some encoding."""
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({**field_site.daemon.config, "language": "en"}))

    def run(*words: Any, stdin: bytes = b"", **environment: Any) -> CompletedProcess[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
        return subprocess.run(
            [sys.executable, "-m", "zkbridge", *words, "--config", str(path)],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env={**kept, "LC_ALL": "C.UTF-8", **environment},
        )

    return run


@pytest.mark.parametrize("words", [("p", "--name", b"Mu\xf1oz"), (b"p\xf1", "--name", "Ana")])
def test_bytes_of_another_encoding_are_refused_in_a_sentence(
    zk: Callable[..., Any], words: tuple[bytes | str, ...]
) -> None:
    ended = zk("users", "create", *words, "--user-id", "881")

    said = ended.stderr.decode()
    assert ended.returncode == 2
    assert "is not text in utf-8, the encoding of this shell" in said
    assert "Traceback" not in said


def test_a_password_of_another_encoding_is_refused_and_not_quoted(zk: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(b"geheim\xf1\n")

    for ended in (
        zk("users", "create", "p", "--user-id", "882", "--name", "Ana", "--password-file", str(tmp_path / "pin")),
        zk("users", "create", "p", "--user-id", "882", "--name", "Ana", "--password-stdin", stdin=b"geheim\xf1\n"),
    ):
        said = ended.stderr.decode()
        assert ended.returncode == 2
        assert "text" in said
        assert "Traceback" not in said
        assert "geheim" not in said


def test_an_answer_is_printed_with_escapes_where_the_shell_lacks_characters(
    zk: Callable[..., Any], field_site: FieldSite
) -> None:
    field_site.terminals["p"].add_user("883", NAME)

    plain = zk("users", "list", "p", "--user-id", "883", PYTHONIOENCODING="latin-1")
    raw = zk("users", "list", "p", "--user-id", "883", "--json", PYTHONIOENCODING="ascii")

    assert (plain.returncode, plain.stderr) == (0, b"")
    assert "Mu\u00f1oz \\u674e".encode("latin-1") in plain.stdout
    assert json.loads(raw.stdout)["data"][0]["name"] == NAME
