"""The example on the page for developers: a command and its test, run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

from tests.project.tree import ROOT

PAGE = ROOT / "docs" / "development.md"
RUN = """
import importlib.util, sys

def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

load("zkbridge.commands.users_rename", sys.argv[1])
from tests.commands import test_port_of_lists as lists

lists.test_a_command_does_its_example_on_an_empty_terminal_or_with_that_user_or_with_their_fingers("users/rename")
test = load("test_users_rename", sys.argv[2])
tests = [each for name, each in vars(test).items() if name.startswith("test_")]
for each in tests:
    each()
print(f"{len(tests)} passed")
"""


def test_the_example_of_a_new_command_is_two_files_that_work(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    files = [tmp_path / f"{name}.py" for name in ("users_rename", "test_users_rename")]
    for path, block in zip(files, blocks, strict=True):
        path.write_text(block)

    ran = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (ran.stdout, ran.stderr) == ("1 passed\n", "")
