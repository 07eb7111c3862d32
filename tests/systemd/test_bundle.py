"""What the Debian package is made of: the locked packages by their hashes, and nothing beside them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import zkbridge
from tests.project.tree import ROOT
from tests.systemd.rootfs import checked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SOURCES = ("zkbridge", "debian", "systemd", "config.yaml", "pyproject.toml", "README.md", "LICENSE")
LOCKS = ("requirements.txt", "build-requirements.txt")
LOCKED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)

#: pip-audit with a PyPI that knows one vulnerability, or that does not know one package: `none` for neither.
AUDIT = """
import json, sys
import requests
import pip_audit._service.pypi as pypi
from pip_audit._cli import audit

vulnerable, unknown = sys.argv.pop(1), sys.argv.pop(1)

class Session:
    def get(self, *, url, timeout):
        answer = requests.Response()
        answer.status_code = 404 if f"/{unknown}/" in url else 200
        found = {"id": "PYSEC-1", "fixed_in": ["999"], "summary": "x", "details": "x", "aliases": []}
        answer._content = json.dumps({"vulnerabilities": [found] if f"/{vulnerable}/" in url else []}).encode()
        return answer

pypi.caching_session = lambda *_arguments, **_more: Session()
audit()
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The files from which debian/build makes a package."""
    for name in SOURCES:
        there = tmp_path / "source" / name
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, there)
    return tmp_path / "source"


def bundle(source: Path, log: Path) -> subprocess.CompletedProcess[str]:
    """Run debian/bundle for amd64 into source/made; pip, and each pip that it starts, writes what it does to *log*."""
    return subprocess.run(
        ["debian/bundle", "made", "amd64"],
        cwd=source,
        env={**os.environ, "PYTHON": sys.executable, "PIP_LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )


def installed(folder: Path) -> dict[str, str]:
    """The packages in a folder by their normalized name, with their versions."""
    found = (path.name.removesuffix(".dist-info").rpartition("-") for path in folder.glob("*.dist-info"))
    return {name.lower().replace("_", "-"): version for name, _, version in found}


def test_a_bundle_is_what_the_locks_name_and_nothing_else_was_fetched(source: Path, tmp_path: Path) -> None:
    made = bundle(source, tmp_path / "log")

    assert made.returncode == 0, made.stderr
    locked = dict(LOCKED.findall((source / "debian" / "requirements.txt").read_text()))
    assert installed(source / "made") == {**locked, "zkbridge": zkbridge.__version__}
    codes = (source / "made").rglob("*.so")
    assert sorted(path.name.partition("-x86_64")[0] for path in codes) == [
        *(f"_pydantic_core.cpython-{version}" for version in ("311", "312", "313", "314")),
        "pyrage.abi3.so",
    ]
    # What pip prepares to install, also in an environment of its own for a build.
    prepared = set(re.findall(r"  Added (\S+) from \S", (tmp_path / "log").read_text()))
    known = {"==".join(pair) for name in LOCKS for pair in LOCKED.findall((source / "debian" / name).read_text())}
    assert prepared == known


@pytest.mark.parametrize(
    ("lock", "package"), [("requirements.txt", "tenacity"), ("build-requirements.txt", "hatchling")]
)
def test_a_file_with_another_hash_is_refused(source: Path, tmp_path: Path, lock: str, package: str) -> None:
    path = source / "debian" / lock
    before, found, after = path.read_text().partition(f"{package}==")
    assert found
    path.write_text(before + found + re.sub(r"sha256:\w{64}", "sha256:" + 64 * "0", after, count=2))

    made = bundle(source, tmp_path / "log")

    assert made.returncode != 0
    assert "DO NOT MATCH THE HASHES" in made.stderr
    assert not (source / "made").exists()


@pytest.mark.parametrize("architecture", ["amd64", "armhf"])
def test_the_list_of_contents_names_each_package_with_its_hashes(architecture: str, tmp_path: Path) -> None:
    """The rule of debian/rules that writes sbom.json, run by itself."""
    rule = re.search(r"^\tdebian/locked .*\\\n\t\t.*$", (ROOT / "debian" / "rules").read_text(), re.MULTILINE)
    assert rule
    words = rule[0].replace("\\\n", " ").replace("$(DEB_HOST_ARCH)", architecture).replace("$(PYTHON)", sys.executable)
    (tmp_path / "usr/lib/zkbridge").mkdir(parents=True)

    checked(["sh", "-euc", f"cd {ROOT}\n{words.replace('$(HERE)', str(tmp_path))}"])

    sbom = json.loads((tmp_path / "usr/lib/zkbridge/sbom.json").read_text())
    named = {each["name"]: each["version"] for each in sbom["components"]}
    printed = checked([str(ROOT / "debian" / "locked"), architecture])
    assert named == dict(LOCKED.findall(printed))
    assert sbom["metadata"]["component"]["name"] == "zkbridge"
    assert all(each["externalReferences"][0]["hashes"] for each in sbom["components"])


@pytest.mark.parametrize(
    ("vulnerable", "unknown", "said"),
    [
        ("none", "none", "No known vulnerabilities found"),
        ("paho-mqtt", "none", "PYSEC-1"),
        ("setuptools", "none", "PYSEC-1"),
        ("none", "pyzk", "pyzk: Dependency not found on PyPI and could not be audited"),
    ],
)
def test_the_audit_finds_a_vulnerability_and_a_package_that_nobody_knows(
    vulnerable: str, unknown: str, said: str
) -> None:
    """The command of `make audit`, with a PyPI that is played by the test."""
    rule = re.search(r"^\t\.venv/bin/pip-audit ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rule
    words = rule[1].replace("\\\n", " ").split()

    ended = subprocess.run(
        [sys.executable, "-c", AUDIT, vulnerable, unknown, *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert said in ended.stdout + ended.stderr
    assert (ended.returncode == 0) == (said == "No known vulnerabilities found"), ended.stderr
