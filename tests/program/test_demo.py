"""`zkbridge demo`, as somebody new would try it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.support import processes
from tests.support.mosquitto import Mosquitto, program
from tests.support.waiting import wait_until

CREATED = '"message": "Usuario registrado."'


def run(*arguments: Any, log: Path) -> Popen[bytes]:
    return processes.start([sys.executable, "-u", "-m", "zkbridge", "demo", *arguments], log=log)


def check(text: str) -> None:
    replies = [json.loads(line) for line in text.splitlines() if line.strip().startswith('{"success"')]
    assert [reply["status"] for reply in replies] == [200, 409, 404]
    assert replies[0]["data"] == {"user_id": "123", "name": "Juan Perez", "device_id": "principal"}
    assert "1    123      Juan Perez  1234      0          12345  1" in text


def test_once_shows_the_main_job_and_ends_by_itself(tmp_path: Path) -> None:
    log = tmp_path / "log"

    assert run("--once", "--port", "0", log=log).wait(60) == 0

    check(log.read_text())
    assert "WARNING" not in log.read_text()


def test_a_program_reads_addresses_requests_and_replies_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "log"

    assert run("--once", "--port", "0", "--json", log=log).wait(60) == 0

    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event"] for event in events] == ["broker", "terminal", *["request", "reply"] * 3, "users"]
    broker, terminal, request, reply, *_, users = events
    assert (broker["kind"], broker["host"], terminal["device"]) == ("mosquitto", "127.0.0.1", "principal")
    assert len({broker["port"], terminal["port"]} - {0}) == 2
    assert (request["topic"], reply["topic"]) == ("zk/principal/users/create", "zk/principal/users/create/reply")
    assert reply["reply"]["data"]["user_id"] == request["request"]["user_id"] == "123"
    assert [event["reply"]["status"] for event in events if event["event"] == "reply"] == [200, 409, 404]
    assert users["users"] == [{"uid": 1, **request["request"], "group": 1}]


def test_it_runs_until_ctrl_c(tmp_path: Path) -> None:
    log = tmp_path / "log"
    demo = run("--port", "0", log=log)
    wait_until(lambda: "Ctrl-C ends the demo" in log.read_text() and "mosquitto_rr" in log.read_text(), timeout=30)
    lines = log.read_text().split("another window", 1)[1]
    command = " ".join(lines[lines.index("mosquitto_rr") :].replace("\\\n", " ").split())

    arguments = command.replace("mosquitto_rr", program("mosquitto_rr"), 1)
    said = subprocess.run(["sh", "-c", f"{arguments} -W 20"], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(said.stdout)["data"] == {"user_id": "125", "name": "Ana Ruiz", "device_id": "principal"}
    assert processes.stop(demo, sign=signal.SIGINT) == 0


def test_it_works_on_a_broker_that_runs_already(tmp_path: Path, broker: Mosquitto) -> None:
    log = tmp_path / "log"

    assert run("--once", "--broker", f"127.0.0.1:{broker.port}", log=log).wait(60) == 0

    check(log.read_text())


@pytest.mark.parametrize("kind", ["iotcore", "mosquitto"])
def test_either_broker_carries_it(tmp_path: Path, kind: str) -> None:
    log = tmp_path / "log"

    assert run("--once", "--port", "0", "--broker-kind", kind, log=log).wait(60) == 0

    check(log.read_text())


def test_an_unreachable_broker_is_reported(tmp_path: Path) -> None:
    log = tmp_path / "log"

    assert run("--once", "--broker", f"127.0.0.1:{processes.closed_port()}", log=log).wait(60) == 1

    assert "The demo cannot go on: the broker 127.0.0.1" in log.read_text()
