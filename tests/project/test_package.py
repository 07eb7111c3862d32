"""What is built and shipped."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import zkbridge
from tests.project.tree import ROOT, tracked_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        ROOT,
    ]
    ended = subprocess.run(build, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_the_wheel_holds_the_program_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    program = {str(path.relative_to(ROOT)) for path in tracked_files("zkbridge")}

    assert shipped >= program
    assert {name.split("/")[0] for name in shipped} == {"zkbridge"}


def test_the_wheel_holds_the_configuration_and_the_unit(wheel: zipfile.ZipFile) -> None:
    for name, path in (("config.yaml", "config.yaml"), ("zkbridge.service", "systemd/zkbridge.service")):
        assert wheel.read(f"zkbridge/shipped/{name}") == (ROOT / path).read_bytes()


def test_an_index_would_take_the_wheel(wheel: zipfile.ZipFile) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(wheel.filename)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_wheel_holds_the_simulators_profiles(wheel: zipfile.ZipFile) -> None:
    profiles = [name for name in wheel.namelist() if re.fullmatch(r"zkbridge/simulator/profiles/[^/]+\.toml", name)]

    assert profiles
    for profile in profiles:
        assert tomllib.loads(wheel.read(profile).decode())


def test_the_wheel_has_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]

    assert "zkbridge = zkbridge.cli.main:main" in wheel.read(entry_points).decode()
    assert any(name.endswith("/LICENSE") for name in wheel.namelist())


def test_the_wheel_has_the_version_of_the_package(wheel: zipfile.ZipFile) -> None:
    assert Path(wheel.filename).name.startswith(f"zkbridge-{zkbridge.__version__}-")


def bundled(architecture: str) -> set[str]:
    """The names of the Python packages that the Debian package for *architecture* is made of."""
    printed = subprocess.run([ROOT / "debian" / "locked", architecture], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return set(re.findall(r"^([\w-]+)==", printed.stdout.decode(), re.MULTILINE))


def test_the_debian_package_holds_what_every_setting_needs_and_armhf_lacks_what_has_no_wheel() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    needed = {re.split("[<>=]", need)[0] for extra in ("age", "metrics", "screen") for need in extras[extra]}

    assert needed >= {"pyrage", "prometheus-client", "rich"}
    assert bundled("amd64") == bundled("arm64") >= needed
    assert bundled("arm64") - bundled("armhf") == {"pyrage"}


def test_the_version_is_written_in_one_place() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in pyproject["project"]
    assert pyproject["tool"]["hatch"]["version"] == {"path": "zkbridge/__init__.py"}

    number = re.compile(rf"(?<![\d.]){re.escape(zkbridge.__version__)}(?![\d.])")
    modules = [path for path in tracked_files("zkbridge") if path.suffix == ".py"]
    assert [path for path in modules if number.search(path.read_text())] == [ROOT / "zkbridge" / "__init__.py"]


def test_what_is_installed_has_the_same_version() -> None:
    said = subprocess.run([sys.executable, "-m", "zkbridge", "--version"], capture_output=True, text=True, check=True)

    assert zkbridge.__version__ in said.stdout
    assert importlib.metadata.version("zkbridge") == zkbridge.__version__


def test_the_changelog_has_the_next_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()

    assert re.search(rf"^## \[(Unreleased|{re.escape(zkbridge.__version__)})\]", changelog, re.MULTILINE)
