"""What a start of the daemon costs: `python -m benchmarks.start` prints it; needs valgrind.

From the first import until all parts are made and the ledger is open, with compiled bytecode. The interpreter's own
start is not counted. CPU seconds are the least of five starts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_CONFIG = """
mqtt: {{host: 127.0.0.1}}
devices: {{principal: {{host: 192.0.2.1}}, entrada: {{host: 192.0.2.2}}}}
state_dir: {folder}/state
lock_dir: {folder}/locks
"""
#: As `zkbridge run` begins (`cli/main.py`), up to where it would connect to the broker.
_START = """
import gc, os, resource, time
gc.disable()
from pathlib import Path
import zkbridge.cli.main
from zkbridge.runtime.lazy_imports import defer
{defer}
from zkbridge.bridge.vetting import vet
from zkbridge.config import loader
config = vet(loader.load(Path({path!r})))
from zkbridge.bridge.bridge import Bridge
import zkbridge.runtime.systemd
bridge = Bridge(config)
print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
os._exit(0)
"""
_PACKAGES = "import paho.mqtt.client, pydantic, zk, tenacity, click, ruamel.yaml, sqlite3"
_STARTS = 5


def _run(program: str, *before: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a state folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(_CONFIG.format(folder=folder))
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.run(
            [*before, sys.executable, "-c", program.replace("PATH", str(path))],
            capture_output=True,
            check=True,
            text=True,
            env={**plain, "PYDANTIC_DISABLE_PLUGINS": "1"},
        )


def _instructions(program: str) -> int:
    counted = _run(program, "valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    found = re.search(r"I\s+refs:\s+([\d,]+)", counted.stderr)
    if found is None:
        raise RuntimeError(f"valgrind counted nothing: {counted.stderr}")
    return int(found[1].replace(",", ""))


def main() -> None:
    """Print a row for each way to start."""
    own = _instructions("")
    sys.stdout.write("| | instructions, millions | CPU, s | memory, MB |\n|---|---|---|---|\n")
    sys.stdout.write(f"| the packages alone | {(_instructions(_PACKAGES) - own) / 1e6:,.0f} | | |\n")
    for name, defer in (("zkbridge", "defer()"), ("without `runtime/lazy_imports.py`", "")):
        program = _START.format(defer=defer, path="PATH")
        _run(program)  # compiles what is not
        told = [tuple(map(float, _run(program).stdout.split())) for _ in range(_STARTS)]
        cpu, memory = min(each[0] for each in told), min(each[1] for each in told)
        sys.stdout.write(f"| {name} | {(_instructions(program) - own) / 1e6:,.0f} | {cpu:.3f} | {memory:.1f} |\n")


if __name__ == "__main__":
    main()
