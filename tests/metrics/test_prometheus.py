"""A real Prometheus reads a running bridge, and answers every question of the dashboard and of the rules."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.support import processes
from tests.support.caller import Caller
from tests.support.processes import free_port
from tests.support.promql import PROMETHEUS, RULES, questions, rules
from tests.support.running import running
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE_S = 90


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: `make metrics` installs it, or: apt install prometheus")
    return found


def promtool(*arguments: Any, cwd: Path | None = None) -> CompletedProcess[str]:
    return subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60, cwd=cwd
    )


@contextmanager
def prometheus(folder: Path, bridge_port: int) -> Iterator[int]:
    """The example's Prometheus, told where this bridge is and to look every second; its port."""
    port = free_port()
    shutil.copy(RULES, folder)
    text = (PROMETHEUS / "prometheus.yml").read_text()
    for written, wanted in (("127.0.0.1:9812", f"127.0.0.1:{bridge_port}"), ("15s", "1s")):
        assert written in text
        text = text.replace(written, wanted)
    (folder / "prometheus.yml").write_text(text)
    process = processes.start(
        [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        log=folder / "prometheus.log",
    )
    try:
        wait_until(lambda: is_ready(port), timeout=PATIENCE_S, what="Prometheus to be ready")
        yield port
    finally:
        processes.stop(process, timeout=60)


def is_ready(port: int) -> bool:
    """It listens before it can answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=30) as answer:
            return answer.status == 200
    except OSError:
        return False


def ask(port: int, path: str, **query: Any) -> Any:
    url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        said = json.load(answer)
    assert said["status"] == "success", said
    return said["data"]


def value(port: int, expression: str) -> dict[str, float]:
    return {json.dumps(row["metric"], sort_keys=True): float(row["value"][1]) for row in result(port, expression)}


def result(port: int, expression: str) -> Any:
    try:
        return ask(port, "query", query=expression)["result"]
    except urllib.error.HTTPError as refusal:
        raise AssertionError(f"{expression}: {refusal.read().decode()}") from None


def alarms(port: int) -> set[Any]:
    """Those that are raised, or will be if nothing changes."""
    return {alarm["labels"]["alertname"] for alarm in ask(port, "alerts")["alerts"]}


def test_prometheus_s_own_tool_takes_configuration_and_rules(tmp_path: Path) -> None:
    for name in ("prometheus.yml", RULES.name):
        shutil.copy(PROMETHEUS / name, tmp_path)

    config = promtool("check", "config", tmp_path / "prometheus.yml")
    linted = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / RULES.name)

    assert config.returncode == 0, config.stderr
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert f"{len(rules())} rules found" in linted.stdout


def test_the_rules_raise_their_alarms_when_they_should(tmp_path: Path) -> None:
    cases = Path(__file__).parent / "alarms.yml"
    for path in (RULES, cases):
        shutil.copy(path, tmp_path)

    done = promtool("test", "rules", cases.name, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    tried = set(re.findall(r"alertname: (\w+)", cases.read_text()))
    assert tried == {rule["alert"] for rule in rules()}


def test_a_real_prometheus_answers_every_question(tmp_path: Path) -> None:
    bridge_port = free_port()
    with (
        running(tmp_path / "bridge", metrics={"port": bridge_port}) as bridge,
        prometheus(tmp_path, bridge_port) as port,
        Caller(bridge.broker.port) as caller,
    ):
        caller.subscribe("zk/#", no_local=True)
        wait_until(lambda: value(port, "up == 1"), timeout=PATIENCE_S, what="the first reading")
        for number in range(3):
            body = json.dumps({"user_id": f"10{number}", "name": "Ana", "request_id": f"r-{number}"})
            for _ in range(2):
                caller.publish("zk/principal/users/create", body)
                caller.wait_for("zk/principal/users/create/reply", timeout=20)
        caller.publish("zk/apagada/ping", b"")
        caller.wait_for("zk/apagada/ping/reply", timeout=20)
        caller.publish("zk/invented/ping", b"")
        caller.wait_for("zk/invented/ping/reply", timeout=20)

        created = 'zkbridge_requests_total{device="principal", code="created"}'
        wait_until(lambda: list(value(port, created).values()) == [3], timeout=PATIENCE_S, what="the three users")
        alerts = {rule["alert"] for rule in rules()}
        for asker, expression in questions():
            if asker in alerts:
                result(port, expression)  # nothing to be alarmed about, mostly
            else:
                wait_until(
                    lambda expression=expression: result(port, expression),
                    timeout=PATIENCE_S,
                    what=f"{asker}: {expression}",
                )
        wait_until(lambda: alarms(port), timeout=PATIENCE_S, what="the alarm of a terminal")

        assert alarms(port) == {"ZkbridgeTerminalOffline"}
        assert list(value(port, "zkbridge_terminal_up == 0")) == [
            json.dumps(
                {
                    "__name__": "zkbridge_terminal_up",
                    "device": "apagada",
                    "instance": f"127.0.0.1:{bridge_port}",
                    "job": "zkbridge",
                },
                sort_keys=True,
            )
        ]
