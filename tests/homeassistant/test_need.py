"""What `make homeassistant` says on a machine that lacks something."""

import shutil
import subprocess
from pathlib import Path
from subprocess import CompletedProcess

import pytest

NEED = Path(__file__).with_name("need.sh")
TOOLS = ("sh", "cat", "chmod", "dirname", "mkdir", "mktemp", "rm")


class Machine:
    """A machine with nothing but *TOOLS*, a copy of need.sh, and what a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, folder / "bin"
        self.programs.mkdir()
        for name in TOOLS:
            (self.programs / name).symlink_to(shutil.which(name))
        shutil.copy2(NEED, folder / NEED.name)

    def __call__(self, **environment: str) -> CompletedProcess[str]:
        return subprocess.run(
            ["sh", self.folder / NEED.name],
            env={"PATH": str(self.programs), "HOME": str(self.folder), **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def give(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("script", [None, "exit 1"], ids=["none", "another version"])
def test_without_its_python_it_prints_which_and_how_to_get_it(machine: Machine, script: str | None) -> None:
    if script:
        give(machine.programs / "python3.13", script)

    ended = machine()

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "zkbridge: make homeassistant needs Python 3.13 for Home Assistant 2025.4.4: "
        "pyenv install 3.13, or PYTHON313=/path/to/python3.13\n"
    )


def test_pyenvs_python_is_found_and_a_machine_without_a_network_gets_a_message(machine: Machine) -> None:
    pip = "printf '#!/bin/sh\\nexit 1\\n' > .venv/bin/pip; chmod +x .venv/bin/pip"
    python = machine.folder / ".pyenv" / "versions" / "3.13.7" / "bin" / "python3.13"
    give(python, f'case "$*" in *--clear*) mkdir -p .venv/bin; {pip} ;; esac')

    ended = machine()

    assert ended.returncode == 1
    assert "is this machine online?" in ended.stderr


def test_what_is_installed_is_not_installed_again(machine: Machine) -> None:
    (machine.folder / ".venv").mkdir()
    (machine.folder / ".venv" / ".installed").write_text("2025.4.4\n")

    assert machine().returncode == 0
    assert [path.name for path in (machine.folder / ".venv").iterdir()] == [".installed"]
