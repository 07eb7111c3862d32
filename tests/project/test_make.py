"""The two commands of the README, on machines that lack something."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "make", "cat", "cksum", "cp", "dirname", "env", "mkdir", "sed", "touch")


class Machine:
    """A copy of the project's set-up on a machine that has nothing but *TOOLS* and what a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "zkbridge"
        self.programs = folder / "bin"
        self.home = folder / "home"
        self.calls = folder / "calls"
        for each in (self.project / ".ci", self.project / "tests" / "systemd", self.programs, self.home):
            each.mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", ".ci/setup", "tests/systemd/need.sh"):
            shutil.copy2(ROOT / name, self.project / name)
        for name in TOOLS:
            (self.programs / name).symlink_to(shutil.which(name))
        self.environment = {
            "PATH": str(self.programs),
            "HOME": str(self.home),
            "SYSTEM_FOLDERS": "",
            "CALLS": str(self.calls),
        }

    def give(self, name: str, script: str = "") -> None:
        """Install a program that notes how it was called and then runs *script*."""
        self._write(self.programs / name, f'echo "{name} $*" >>"$CALLS"\n{script}')

    def give_mosquitto(self) -> None:
        for name in ("mosquitto", "mosquitto_pub", "openssl", "setpriv", "gcc"):
            self.give(name)

    def give_python(self, *, has_venv: bool = True, pip: str = "") -> None:
        """Install a python3 whose `-m venv` makes a .venv with a Python that only knows pip."""
        self._write(self.programs / "venv-python", f'echo "venv-python $*" >>"$CALLS"\n{pip}')
        self.give(
            "python3",
            f"""
            case "$*" in
                *ensurepip*) exit {0 if has_venv else 1} ;;
                --version) echo Python 3.11.2 ;;
                "-m venv --clear .venv") mkdir -p .venv/bin && cp "{self.programs}/venv-python" .venv/bin/python ;;
            esac
            """,
        )

    def be(self, uid: int) -> None:
        self.give("id", f"echo {uid}")

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.programs / "make"), *arguments],
            cwd=self.project,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self, start: str) -> list[str]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith(start)]

    @staticmethod
    def _write(path: Path, script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def sentence(ended: subprocess.CompletedProcess[str]) -> str:
    """What it said was wrong; that it ended as a failure, and said one thing, is checked on the way."""
    assert ended.returncode != 0
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("zkbridge: ")]
    return said


@pytest.mark.parametrize("target", ["demo", "test"])
def test_without_python_it_prints_which_and_where_from(machine: Machine, target: str) -> None:
    machine.give_mosquitto()

    said = sentence(machine.make(target))

    assert "Python 3.11 or newer is missing" in said
    assert said.endswith("sudo apt install python3 python3-venv")


def test_a_python_that_is_too_old_is_none(machine: Machine) -> None:
    machine.give("python3", f'exec "{sys.executable}" -c "import sys; sys.version_info = (3, 10); $2"')

    assert "Python 3.11 or newer is missing" in sentence(machine.make("demo"))


def test_the_newest_python_need_not_be_called_python3(machine: Machine) -> None:
    machine.give("python3", "exit 1")
    machine.give("python3.12", f'exec "{sys.executable}" -c "import sys; sys.modules[\'ensurepip\'] = None; $2"')

    assert "venv module is missing" in sentence(machine.make("demo"))


@pytest.mark.parametrize("target", ["demo", "test"])
def test_without_the_venv_module_it_names_the_package(machine: Machine, target: str) -> None:
    machine.give_mosquitto()
    machine.give_python(has_venv=False)

    said = sentence(machine.make(target))

    assert said.endswith(
        "Python's venv module is missing; on Debian and Raspberry Pi OS: sudo apt install python3-venv"
    )
    assert not (machine.project / ".venv").exists()


@pytest.mark.parametrize("sudo", [None, "exit 1"], ids=["no sudo", "sudo asks for a password"])
def test_without_mosquitto_and_the_right_to_install_it_it_prints_how(machine: Machine, sudo: str | None) -> None:
    machine.be(1000)
    machine.give("apt-get")
    if sudo:
        machine.give("sudo", sudo)

    said = sentence(machine.make("test"))

    assert said.endswith("on Debian: sudo apt install mosquitto mosquitto-clients openssl util-linux gcc libc6-dev")
    assert machine.called("apt-get") == []


def test_root_gets_mosquitto_installed(machine: Machine) -> None:
    machine.be(0)
    machine.give("openssl")
    machine.give("setpriv")
    machine.give("gcc")
    machine.give(
        "apt-get", f'cd "{machine.programs}"; case $1 in install) cp openssl mosquitto; cp openssl mosquitto_pub;; esac'
    )

    ended = machine.make("test")

    assert machine.called("apt-get") == [
        "apt-get update -qq",
        "apt-get install -qq -y --no-install-recommends mosquitto mosquitto-clients",
    ]
    assert "Python 3.11 or newer is missing" in sentence(ended)


def test_a_user_with_sudo_gets_mosquitto_installed(machine: Machine) -> None:
    machine.be(1000)
    machine.give("sudo", 'shift; exec "$@"')
    machine.give("true")
    machine.give(
        "apt-get",
        f'cd "{machine.programs}"; for each in mosquitto mosquitto_pub openssl setpriv gcc; do cp id $each; done',
    )

    ended = machine.make("test")

    assert "Python 3.11 or newer is missing" in sentence(ended)
    assert len(machine.called("apt-get")) == 2


@pytest.mark.parametrize("script", ["exit 100", "exit 0"], ids=["fails", "installs nothing"])
def test_an_apt_that_does_not_help_ends_in_the_sentence(machine: Machine, script: str) -> None:
    machine.be(0)
    machine.give("apt-get", script)

    assert "sudo apt install mosquitto" in sentence(machine.make("test"))


def test_a_system_without_apt_ends_in_the_sentence(machine: Machine) -> None:
    machine.be(0)

    assert "sudo apt install mosquitto" in sentence(machine.make("test"))


def test_a_mosquitto_outside_the_path_of_people_is_found(machine: Machine, tmp_path: Path) -> None:
    machine.give_mosquitto()
    (tmp_path / "sbin").mkdir()
    (machine.programs / "mosquitto").rename(tmp_path / "sbin" / "mosquitto")

    said = sentence(machine.make("test", SYSTEM_FOLDERS=str(tmp_path / "sbin")))

    assert "Python 3.11 or newer is missing" in said


def test_the_demonstration_needs_no_mosquitto_and_no_developers_tools(machine: Machine) -> None:
    machine.give_python()

    machine.make("demo")

    (installed,) = machine.called("venv-python -m pip install")
    assert installed.endswith("--editable .[demo]")


def test_the_tests_get_the_developers_tools(machine: Machine) -> None:
    machine.give_mosquitto()
    machine.give_python()

    machine.make("check")

    (installed,) = machine.called("venv-python -m pip install")
    assert installed.endswith("--editable .[dev]")


def test_a_package_needs_no_root_no_mosquitto_and_no_developers_tools(machine: Machine) -> None:
    machine.be(1000)
    machine.give_python()
    assert sentence(machine.make("deb")) == (
        "zkbridge: make deb needs what is not installed here: apt install debhelper dpkg-dev"
    )

    machine.give("dh")
    machine.give("dpkg-buildpackage")
    machine.make("deb")

    (installed,) = machine.called("venv-python -m pip install")
    assert installed.endswith("--editable .[package]")


@pytest.mark.parametrize("target", ["systemd", "pi", "image"])
def test_a_container_needs_root(machine: Machine, target: str) -> None:
    machine.be(1000)

    assert sentence(machine.make(target)).endswith(f"in a container: sudo make {target}")


def test_installed_is_installed_until_pyproject_changes(machine: Machine) -> None:
    machine.give_mosquitto()
    machine.give_python()
    for target in ("check", "check", "demo"):
        machine.make(target)
    assert len(machine.called("venv-python -m pip install")) == 1

    (machine.project / "pyproject.toml").touch()
    machine.make("check")
    assert len(machine.called("venv-python -m pip install")) == 1

    with (machine.project / "pyproject.toml").open("a") as file:
        file.write("# one more\n")
    machine.make("check")
    assert len(machine.called("venv-python -m pip install")) == 2


def test_a_clone_that_was_moved_is_set_up_anew(machine: Machine) -> None:
    machine.give_python()
    machine.make("demo")

    machine.project = machine.project.rename(machine.project.with_name("moved"))
    machine.make("demo")

    assert len(machine.called("python3 -m venv --clear .venv")) == 2


def test_a_venv_that_broke_half_way_is_set_up_anew(machine: Machine) -> None:
    machine.give_python()
    (machine.project / ".venv" / "bin").mkdir(parents=True)
    machine.give("broken", "exit 1")
    shutil.copy2(machine.programs / "broken", machine.project / ".venv" / "bin" / "python")

    machine.make("demo")

    assert len(machine.called("python3 -m venv --clear .venv")) == 1


def test_a_pip_that_fails_is_asked_again_the_next_time(machine: Machine) -> None:
    machine.give_python(pip='case "$*" in *install*) exit 1 ;; esac')

    for _ in range(2):
        assert "pip could not install what zkbridge needs" in sentence(machine.make("demo"))

    assert len(machine.called("venv-python -m pip install")) == 2


def test_a_real_python_without_a_network_prints_a_message(machine: Machine) -> None:
    machine.give("python3", f'exec "{Path(sys.executable).resolve()}" "$@"')
    (machine.home / "nothing").mkdir()

    ended = machine.make(
        "demo", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(machine.home / "nothing"), PIP_CONFIG_FILE=os.devnull
    )

    assert "is this machine online?" in sentence(ended)


def test_make_alone_lists_the_targets(machine: Machine) -> None:
    said = machine.make().stdout

    assert "make demo: Show the main job" in said
    assert "make test: Run every check and every test" in said


@pytest.mark.parametrize("target", ["deb", "image", "systemd", "pi"])
def test_the_page_names_what_a_container_needs(target: str) -> None:
    """The packages of the Makefile's call of need.sh are those of docs/development.md."""
    call = re.search(
        rf"^\t@sh tests/systemd/need.sh {target} ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert call
    row = re.search(rf"^\| `make {target}` .*$", (ROOT / "docs" / "development.md").read_text(), re.MULTILINE)
    assert row

    needed = [pair.partition(":")[2] for pair in call[1].replace("\\\n", " ").split()]

    assert needed
    assert [each for each in needed if f"`{each}`" not in row[0]] == []
    assert ("no root" not in row[0]) == (target != "deb")
