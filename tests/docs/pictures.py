"""Take pictures of the built site on a phone: `make pictures`.

Every page, 390 pixels wide, goes to build/pictures. A page that is wider, something that must be scrolled sideways, and
a word of code that is broken each fail with the page's name. It needs chromium (Debian's package) and Node.js.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.project.tree import ROOT
from tests.support.npm import installed

SITE = ROOT / "build" / "site"
PICTURES = ROOT / "build" / "pictures"
HERE = Path(__file__).parent
#: Where a browser's remote control is named and installed.
BROWSER = ROOT / "tests" / "homeassistant"


def main() -> int:
    """Return what the browser's program has returned: 0 where every page fits."""
    if not (SITE / "index.html").is_file():
        sys.stderr.write(f"There is no {SITE}: run make docs ARGS=--once first.\n")
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.png"):
        old.unlink()
    command: list[str | Path] = ["node", HERE / "phone.cjs", SITE, PICTURES]
    environment = {**os.environ, "NODE_PATH": str(installed(BROWSER, "playwright-core") / "node_modules")}
    ended = subprocess.run(command, check=False, timeout=900, env=environment)
    sys.stdout.write(f"{len(list(PICTURES.glob('*.png')))} pictures in {PICTURES}\n")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
