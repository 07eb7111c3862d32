"""The add-on for Home Assistant: its options become a configuration, with a supervisor that is played by the test."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import zkbridge
from tests.homeassistant.addon_rules import option_faults
from tests.project.tree import ROOT
from tests.support import processes
from tests.support.caller import Caller
from tests.support.mosquitto import Mosquitto
from zkbridge.config import loader
from zkbridge.simulator import Simulator, TerminalConfig

ADDON = ROOT / "addon"
CONFIG = YAML(typ="safe").load(ADDON / "config.yaml")
TOKEN = "of-the-supervisor"
TERMINAL = {"id": "entrada", "host": "192.0.2.1"}


class Supervisor(ThreadingHTTPServer):
    """Answers what an add-on asks: `mqtt` is the service, None where there is none."""

    def __init__(self, mqtt: dict[str, Any] | None) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.mqtt = mqtt


class Answers(BaseHTTPRequestHandler):
    """The supervisor's answers, as its API's page has them."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Supervisor)
        known = self.headers["Authorization"] == f"Bearer {TOKEN}" and self.path == "/services/mqtt"
        found = known and self.server.mqtt is not None
        self.send_response(200 if found else 400 if known else 401)
        self.end_headers()
        told = {"result": "ok", "data": self.server.mqtt} if found else {"result": "error", "message": "no service"}
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor(None) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def environment(supervisor: Supervisor, data: Path, program: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "SUPERVISOR_URL": f"http://127.0.0.1:{supervisor.server_port}",
        "SUPERVISOR_TOKEN": TOKEN,
        "ADDON_DATA": str(data),
        "ADDON_PROGRAM": str(program),
    }


def options(data: Path, **more: Any) -> None:
    """Write what the supervisor writes: the defaults, and what a person has entered, which fits the schema."""
    entered = {**CONFIG["options"], **more}
    assert option_faults(entered, CONFIG["schema"]) == []
    (data / "options.json").write_text(json.dumps(entered))


def configured(supervisor: Supervisor, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the add-on's program with something in the daemon's place that prints which configuration it gets."""
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\ncat "$3"\n')
    program.chmod(0o755)
    return subprocess.run(
        [sys.executable, str(ADDON / "run.py")],
        env=environment(supervisor, tmp_path, program),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_supervisors_broker_and_every_option_become_a_configuration(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.mqtt = {"host": "core-mosquitto", "port": 1884, "ssl": True, "username": "addons", "password": "p4ss"}
    terminal = {
        **TERMINAL, "port": 4371, "comm_key": "1234", "transport": "udp", "encoding": "cp1252",
        "timezone": "America/Lima", "attendance": True, "door": True,
    }  # fmt: skip
    options(tmp_path, devices=[terminal], language="es", discovery=False, log_level="debug", base_topic="casa/zk")

    made = configured(supervisor, tmp_path)

    assert made.returncode == 0, made.stderr
    file = tmp_path / "config.json"
    assert file.stat().st_mode & 0o777 == 0o600
    config = loader.load(file, environment={})
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.username) == ("core-mosquitto", 1884, "addons")
    assert (config.mqtt.base_topic, config.language, config.homeassistant.discovery) == ("casa/zk", "es", False)
    assert config.mqtt.tls is not None
    device = config.devices["entrada"]
    assert (device.port, device.transport, device.encoding, device.attendance) == (4371, "udp", "cp1252", "live")
    assert device.door.enabled
    # Each option of the schema is one of these: none is forgotten.
    assert set(CONFIG["schema"]["devices"][0]) == set(terminal)


def test_another_broker_is_the_options(supervisor: Supervisor, tmp_path: Path) -> None:
    more = {
        "mqtt_host": "broker.local",
        "mqtt_port": 8883,
        "mqtt_username": "me",
        "mqtt_password": "x",
        "mqtt_tls": True,
    }
    options(tmp_path, devices=[TERMINAL], **more)

    assert configured(supervisor, tmp_path).returncode == 0

    mqtt = loader.load(tmp_path / "config.json", environment={}).mqtt
    assert (mqtt.host, mqtt.port, mqtt.username, mqtt.tls is not None) == ("broker.local", 8883, "me", True)
    assert set(CONFIG["schema"]) - set(CONFIG["options"]) == {"base_topic", *more}


@pytest.mark.parametrize(
    ("devices", "said"),
    [([], "no terminal is named yet"), ([TERMINAL], "the supervisor names no MQTT broker (HTTP 400)")],
)
def test_what_is_missing_is_one_sentence_in_the_log(
    supervisor: Supervisor, tmp_path: Path, devices: list[dict[str, Any]], said: str
) -> None:
    options(tmp_path, devices=devices)

    made = configured(supervisor, tmp_path)

    assert made.returncode == 1
    assert made.stderr.startswith(f"zkbridge: {said}")
    assert len(made.stderr.splitlines()) == 1


def test_the_addon_creates_a_user_and_ends_on_sigterm(
    supervisor: Supervisor, tmp_path: Path, broker: Mosquitto
) -> None:
    supervisor.mqtt = {"host": "127.0.0.1", "port": broker.port, "ssl": False, "username": None, "password": None}
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m zkbridge "$@"\n')
    program.chmod(0o755)
    with Simulator() as simulator, Caller(broker.port) as caller:
        terminal = simulator.add(TerminalConfig())
        options(tmp_path, devices=[{"id": "entrada", "host": "127.0.0.1", "port": terminal.port}])
        caller.subscribe("zk/#")
        addon = processes.start(
            [sys.executable, str(ADDON / "run.py")],
            log=tmp_path / "log",
            env=environment(supervisor, tmp_path, program),
        )
        caller.wait_for("zk/bridge/state", lambda m: m.json["state"] == "online", timeout=30)
        caller.publish("zk/entrada/users/create", {"user_id": "7", "name": "Ana Ruiz"})
        assert caller.wait_for("zk/entrada/users/create/reply", timeout=30).json["code"] == "created"
        assert processes.stop(addon) == 0, (tmp_path / "log").read_text()


def test_translations_name_every_option_and_the_version_is_the_programs() -> None:
    assert CONFIG["version"] == zkbridge.__version__
    for language in ("en", "es"):
        told = YAML(typ="safe").load(ADDON / "translations" / f"{language}.yaml")["configuration"]
        assert set(told) == set(CONFIG["schema"])
        assert all(set(each) - {"fields"} == {"name", "description"} for each in told.values())
