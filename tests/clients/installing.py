"""Installs the clients that the tests' own environment lacks: each apart, for several bring a package `zk`."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.clients.catalogue import CLIENTS, Client
from tests.support import npm

HERE = Path(__file__).parent
#: Outside of `tests`, whose files are checked.
FROM_PYPI = HERE.parents[1] / "build" / "clients"
PATIENCE_S = 120


def ready(client: Client) -> None:
    """Have a client installed; a machine without npm skips its clients, a CI must not."""
    if client.home == "npm":
        npm.installed(HERE, *(one.name for one in CLIENTS if one.home == "npm"))
    if client.home == "pypi":
        with (HERE / "package.json").open() as lock:
            # Several test processes may come here at once.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder(client).is_dir():
                _install_all()


def folder(client: Client) -> Path:
    """Where a client is that Python shall find first."""
    if client.home == "folder":
        return Path(client.folder)
    return FROM_PYPI / f"{client.name}-{client.version}"


def _install_all() -> None:
    wheels = FROM_PYPI / "wheels"
    clients = [client for client in CLIENTS if client.home == "pypi"]
    wanted = [f"{client.name}=={client.version}" for client in clients]
    # None needs another package; the lower limit of Python is left aside, as the catalogue says.
    options = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--dest", str(wheels)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *options, *wanted]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    for client in clients:
        (wheel,) = wheels.glob(f"{client.name.replace('-', '_')}-{client.version}-*.whl")
        with zipfile.ZipFile(wheel) as content:
            content.extractall(folder(client))
