"""`zkbridge backup`, `backups` and `restore`: shorter names, and the difference as a table."""

from typing import Any

import pytest
from click.testing import CliRunner

from tests.project.tree import ROOT
from zkbridge.cli.answers import tell
from zkbridge.cli.backups import SHORT, tell_difference
from zkbridge.cli.main import main
from zkbridge.commands import commands

EMPTY: dict[str, list[str]] = {
    kind: [] for kind in ("added", "completed", "changed", "unfit", "extra", "extra_fingers")
}


def compared(**lists: Any) -> dict[str, Any]:
    data = {"backup": "2030-01-31T08-00-00Z", "same_terminal": True, **EMPTY, "unchanged": 36, "device_id": "principal"}
    return {"success": True, "data": data | lists, "status": 200, "code": "compared"}


@pytest.mark.parametrize("name", SHORT)
def test_a_shorter_name_is_the_same_command(name: str) -> None:
    short, whole = (CliRunner().invoke(main, [*words, "--help"]).output for words in ([name], SHORT[name].split("/")))

    assert SHORT[name] in commands()
    assert short.startswith(f"Usage: main {name} [OPTIONS] DEVICE")
    assert short.partition("\n")[2] == whole.partition("\n")[2]


def test_a_restores_difference_is_a_table_of_what_each_option_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_difference(compared(added=["123"], extra=["999"], extra_fingers=["124"]))

    text = capsys.readouterr().out
    assert text in (ROOT / "docs" / "client.md").read_text()


def test_a_user_in_two_lists_has_one_line_and_every_list_has_its_effect(capsys: pytest.CaptureFixture[str]) -> None:
    lists = {kind: [str(number)] for number, kind in enumerate(EMPTY)}
    assert tell_difference(compared(**lists | {"extra_fingers": ["1", "2"], "same_terminal": False}))

    first, _, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell for cell in row.split("  ") if cell] for row in rows[: len(EMPTY) - 1]]
    assert first == "Backup 2030-01-31T08-00-00Z, another terminal principal"
    assert {user_id: [each.strip() for each in rest] for user_id, *rest in cells} == {
        "0": ["is not on the terminal", "added", "added"],
        "1": ["lacks fingers, has fingers beside", "fingers added", "fingers added, these fingers deleted"],
        "2": [
            "has another record or finger, has fingers beside",
            "left as it is",
            "written over, these fingers deleted",
        ],
        "3": ["does not fit this terminal", "refused", "refused"],
        "4": ["is not in the backup", "left as it is", "deleted"],
    }


def test_where_nothing_differs_nothing_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_difference(compared())
    assert capsys.readouterr().out.endswith("Users who are the same: 36\nNothing was written.\n")
    assert not tell_difference({"success": False, "code": "backup_not_found", "error": "x"})
    assert not tell_difference({"success": True, "code": "ok", "data": []})


def test_a_line_of_a_restore_names_the_fingers_that_were_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"user_id": "124", "status": 200, "code": "copied", "removed_fingers": [1, 3]}
    tell({"success": True, "message": "Done.", "results": [entry], "status": 200, "code": "copied"})

    assert capsys.readouterr().out.splitlines()[-1].split() == ["124", "200", "copied", "removed_fingers:", "[1,", "3]"]
