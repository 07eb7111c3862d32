"""Programs from npm, installed once beside the package.json that names them."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PATIENCE_S = 100


def installed(folder: Path, *packages: str) -> Path:
    """Return *folder* with its packages installed; a machine without npm skips the test, a CI must not."""
    missing = next((program for program in ("node", "npm") if shutil.which(program) is None), None)
    if missing is not None:
        said = f"{missing} is not on the PATH: install Node.js for what {folder.name} needs"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    # Several test processes may come here at once.
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / "node_modules" / name).is_dir() for name in packages):
            # Nothing of what is installed may run before a test asks for it.
            command = ["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE_S)
    return folder
