"""Make docs/node-red.png and docs/node-red-phone.png: `.venv/bin/python -m tests.node_red.picture`.

The first is the example flow in Node-RED's editor, the second is four of the pages on a phone, 390 pixels wide: the
form after an error, the list of users, the question before a door is opened, punches. No page may be wider.
It needs chromium (Debian's package), Node.js and Mosquitto. Look at the pictures before they are committed.
"""

import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from tests.node_red.node_red import FLOWS
from tests.node_red.site import running
from tests.project.tree import ROOT
from tests.support.npm import installed
from tests.support.waiting import wait_until

PICTURE = ROOT / "docs" / "node-red.png"
PHONE = ROOT / "docs" / "node-red-phone.png"
HERE = Path(__file__).parent
#: Where a browser's remote control is named and installed.
BROWSER = ROOT / "tests" / "homeassistant"
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
        for number, name in enumerate(("Juan Perez", "Ana Quispe", "José Núñez", "Inés Flores"), 101):
            assert "created" in site.send(site.fill(user_id=str(number), name=name)).ids
        wait_until(lambda: "listened to for the first time" in site.daemon.log)
        for minute, (user_id, kind) in enumerate((("101", 0), ("103", 0), ("101", 1))):
            site.terminal.punch(user_id, verify=1, state=kind, when=datetime(2030, 1, 31, 8, minute))  # noqa: DTZ001 - its clock
        command: list[str | Path] = ["node", HERE / "phone.cjs", site.node_red.address, PHONE]
        environment = {**os.environ, "NODE_PATH": str(installed(BROWSER, "playwright-core") / "node_modules")}
        subprocess.run(command, check=True, timeout=300, env=environment)
    sys.stdout.write(f"{PICTURE}\n{PHONE}\n")


if __name__ == "__main__":
    main()
