"""What the daemon loads before it is online, and what it must not."""

import os
import subprocess
import sys

DAEMON = (
    "import zkbridge.cli.main, zkbridge.config.loader, zkbridge.runtime.logs, "
    "zkbridge.bridge.bridge, zkbridge.runtime.systemd, zkbridge.ledger.ledger"
)


def loaded(statement: str) -> set[str]:
    """The modules that a statement leaves loaded in an interpreter of its own."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    # Coverage of the child would load modules of its own, sqlite3 among them.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=60, env=plain
    )
    return set(said.stdout.split())


def test_help_and_version_wait_for_nothing_but_click() -> None:
    modules = loaded("import zkbridge.cli.main")

    heavy = {"pydantic", "paho", "zk", "tenacity", "ruamel", "sqlite3", "asyncio", "rich", "zkbridge.bridge.bridge"}
    assert not heavy & modules


def test_the_daemon_loads_no_simulator_no_demonstration_and_no_screen() -> None:
    modules = loaded(DAEMON)

    assert "zkbridge.bridge.bridge" in modules
    unwanted = {
        "zkbridge.simulator",
        "zkbridge.demo.command",
        "zkbridge.cli.check",
        "zkbridge.client.caller",
        "iotcore",
        "rich",
    }
    unwanted |= {"prometheus_client", "wsgiref", "http.server"}
    assert not unwanted & modules
