"""What no file of the project may hold, and what none may leave unsaid."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.project.tree import ROOT, tracked_files

# Folders of one machine, and where packages come from: a clone must not depend on either.
MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:root|work|farm|home/(?!pi\b)\w+|Users/\w+)/")
REGISTRY_HOST = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|yarnpkg|crates|golang|debian|ubuntu|raspbian|piwheels)\.(?:org|com|io)\b"
)
SILENCER = re.compile(r"#\s*(?:ruff:\s*)?(noqa|type:\s*ignore|pragma)\b(.*)", re.IGNORECASE)
NAMED = re.compile(r"^(?:\[[\w, -]+\]|:\s*(?:no (?:cover|branch)|[A-Z]+\d+(?:,\s*[A-Z]+\d+)*))")


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked_files():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a picture
    return found


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def unexplained(source: str) -> list[int]:
    """Return the lines of Python *source* that silence a tool without naming a rule, or without a reason beside it.

    The reason is in the comment itself or in a comment that fills the line above.
    """
    lines = source.splitlines()
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or not (silencer := SILENCER.match(token.string)):
            continue
        row = token.start[0]
        rule = NAMED.match(silencer[2])
        reason = silencer[2][rule.end() :] if rule else ""
        above = lines[row - 2].strip() if row > 1 else ""
        explained_above = above.startswith("#") and not SILENCER.match(above)
        if not rule or not (re.search(r"\w+\W+\w{2,}", reason) or explained_above):
            found.append(row)
    return found


def slow_tests(source: str) -> bool:
    """Tell whether a module's tests, or some of them, carry the mark *slow*."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "slow" and ast.unparse(node).endswith("mark.slow")
        for node in ast.walk(ast.parse(source))
    )


def run_by_make(test: Path, makefile: str) -> bool:
    """Tell whether a recipe runs the slow tests of a file, by its name or its folder's."""
    named = {str(each) for each in (test, *test.parents)} - {"."}
    recipes = [line for line in makefile.splitlines() if line.startswith("\t") and re.search(r"-m\s*[\"']?slow", line)]
    return any(word.rstrip("/") in named for recipe in recipes for word in recipe.split())


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert lines_with(REGISTRY_HOST) == []


def test_every_exception_for_a_tool_has_its_reason() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{number}"
        for path, text in texts()
        if path.suffix in {".py", ".pyi"}
        for number in unexplained(text)
    ] == []


@pytest.mark.parametrize(
    ("comment", "accepted"),
    [
        ("# noqa: S603 - our own module", True),
        ("# noqa: S603, S607  our own module", True),
        ("# ruff: noqa: DTZ001  a terminal knows no time zone", True),
        ("# type: ignore[no-untyped-call] # paho leaves this untyped", True),
        ("# pragma: no cover - another process runs it", True),
        ("# noqa: S603", False),
        ("# noqa", False),
        ("# noqa because it is so", False),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore", False),
        ("# pragma: no cover", False),
    ],
)
def test_a_silenced_tool_needs_a_rule_and_a_reason(comment: str, accepted: bool) -> None:
    assert (unexplained(f"x = 1  {comment}\n") == []) == accepted


def test_a_reason_may_stand_on_the_line_above() -> None:
    assert unexplained("# It is another process that runs this.\nx = 1  # pragma: no cover\n") == []
    assert unexplained("# It is so.\nx = 1  # noqa\n") == [2]
    assert unexplained("x = 1\ny = 2  # pragma: no cover\n") == [2]


def test_every_slow_test_is_run_by_make() -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert [
        str(path.relative_to(ROOT))
        for path in tracked_files("tests", "benchmarks")
        if path.suffix == ".py" and slow_tests(path.read_text()) and not run_by_make(path.relative_to(ROOT), makefile)
    ] == []


def test_a_slow_test_that_no_recipe_names_is_found() -> None:
    makefile = "fast:\n\tpytest -m 'not slow'\ntorture:\n\tpytest -m slow tests/torture tests/bridge/test_long.py\n"

    assert slow_tests("import pytest\n\n@pytest.mark.slow\ndef test_it(): ...\n")
    assert not slow_tests("import pytest\n\n@pytest.mark.parametrize('slow', [1])\ndef test_it(slow): ...\n")
    assert run_by_make(Path("tests/torture/test_any.py"), makefile)
    assert run_by_make(Path("tests/bridge/test_long.py"), makefile)
    assert not run_by_make(Path("tests/bridge/test_other.py"), makefile)
