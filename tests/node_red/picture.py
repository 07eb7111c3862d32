"""Make docs/node-red.png, the example flow in Node-RED's editor: `.venv/bin/python -m tests.node_red.picture`.

It needs chromium (Debian's package), Node.js and Mosquitto. Look at the picture before it is committed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.node_red.node_red import FLOWS
from tests.node_red.site import running
from tests.project.tree import ROOT
from tests.support.waiting import wait_until

PICTURE = ROOT / "docs" / "node-red.png"
TAB = "zkbridge5tab"
SIZE = "1920,780"
# Time for the editor's scripts, of the browser's own clock.
EDITOR_MS = 15_000


def photograph(address: str, picture: Path, profile: Path) -> None:
    """Write what a browser shows at an address."""
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
    command += [f"--user-data-dir={profile}", f"--window-size={SIZE}", f"--virtual-time-budget={EDITOR_MS}"]
    subprocess.run([*command, f"--screenshot={picture}", address], check=True, capture_output=True, timeout=60)


def main() -> None:
    """Everything the flow needs runs, so that the picture shows it connected and the terminals' state."""
    assert set(FLOWS) == {"5", "3.1.1"}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), "5") as site:
        wait_until(lambda: "bodega: offline" in site.open().text and "principal: online" in site.open().text)
        photograph(f"{site.node_red.address}/#flow/{TAB}", PICTURE, Path(folder) / "profile")
    sys.stdout.write(f"{PICTURE}\n")


if __name__ == "__main__":
    main()
