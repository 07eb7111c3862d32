"""Make docs/home-assistant.png, a terminal's page in Home Assistant: `.venv/bin/python -m tests.homeassistant.picture`.

It needs what `make homeassistant` installs, and chromium (Debian's package) and Node.js. Look at the picture before it
is committed.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.homeassistant.test_real import running
from tests.project.tree import ROOT
from tests.support.npm import installed

PICTURE = ROOT / "docs" / "home-assistant.png"
HERE = Path(__file__).parent


def main() -> None:
    """A terminal with some users on it, and a button that was pressed while it was away."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as site:
        for number, name in enumerate(("Juan Perez", "Ana Quispe", "José Núñez"), 101):
            assert site.ask("zk/principal/users/create", {"user_id": str(number), "name": name})["success"]
        site.wait_for("sensor.principal_last_user_created", "103")
        site.terminal.power_off()
        site.home.call("button.press", entity_id="button.principal_check_connection")
        site.wait_for("sensor.principal_last_error", "device_unreachable")
        site.terminal.power_on()
        site.home.call("button.press", entity_id="button.principal_check_connection")
        site.wait_for("sensor.principal_users", "3")
        site.home.call("lock.unlock", entity_id="lock.principal_lock")
        site.wait_for("lock.principal_lock", "unlocked")
        site.wait_for("lock.principal_lock", "locked")
        device = site.home.render("{{ device_id('sensor.principal_users') }}")
        address, tokens = site.home.address, site.home.tokens
        kept = {**tokens, "hassUrl": address, "clientId": f"{address}/"}
        kept["expires"] = int((time.time() + tokens["expires_in"]) * 1000)
        command: list[str | Path] = ["node", "page.cjs", address, device, PICTURE]
        subprocess.run(
            command, cwd=installed(HERE, "playwright-core"), input=json.dumps(kept), text=True, check=True, timeout=400
        )
    sys.stdout.write(f"{PICTURE}\n")


if __name__ == "__main__":
    main()
