"""The README cannot rot: its example, its commands and its tables are checked."""

import json
import re
import subprocess
from pathlib import Path

from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto, program
from zkbridge.simulator import Simulator, TerminalConfig

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_example_is_what_the_bridge_answers(tmp_path: Path, broker: Mosquitto) -> None:
    command = re.search(r"```sh\n(mosquitto_rr .*?)```", README, re.DOTALL)[1].replace("\\\n", " ").strip()
    created, exists = (line for line in README.splitlines() if line.startswith('{"success"'))
    words = command.replace("mosquitto_rr", f"{program('mosquitto_rr')} -p {broker.port} -W 20", 1)
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        with Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}):
            said = [
                subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True, timeout=60).stdout
                for _ in range(2)
            ]

    assert [line.rstrip("\n") for line in said] == [created, exists]
    assert json.loads(created)["success"]
