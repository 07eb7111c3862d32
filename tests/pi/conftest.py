"""Programs for ARM, run here."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REGISTER = Path("/proc/sys/fs/binfmt_misc")
EMULATORS = {"arm64": "qemu-aarch64", "armhf": "qemu-arm"}


@pytest.fixture(autouse=True)
def leftovers() -> None:
    """What runs in a container ends with it."""


@pytest.fixture(scope="session")
def emulation() -> Iterator[None]:
    """The kernel runs programs for ARM by QEMU; it forgets that again unless it knew it before."""
    mounted = not (REGISTER / "register").exists()
    if mounted:
        _try("mount", "-t", "binfmt_misc", "binfmt_misc", REGISTER)
    enabled = [name for name in EMULATORS.values() if not (REGISTER / name).exists()]
    for name in enabled:
        _try("update-binfmts", "--enable", name)
    missing = [name for name in EMULATORS.values() if not (REGISTER / name).exists()]
    if missing:
        pytest.fail(f"binfmt_misc is not to be had here, so nothing for ARM can run: no {', '.join(missing)}")
    yield
    for name in enabled:
        _try("update-binfmts", "--disable", name)
    if mounted:
        _try("umount", REGISTER)


def _try(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), check=False, capture_output=True)
