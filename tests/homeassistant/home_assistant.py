"""A real Home Assistant with its MQTT integration set up, in a folder of its own; asked as its own pages ask it."""

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support import processes
from tests.support.waiting import wait_until
from tests.support.web_program import WebProgram

PYTHON = Path(__file__).with_name(".venv") / "bin" / "python"
JUDGE = Path(__file__).with_name("judge.py")
NAME, PASSWORD = "tester", "a password for the test alone"
#: A machine may have much else to do; idle it takes ten.
START_S = 600
CONFIGURATION = """\
homeassistant:
  name: Home
  time_zone: UTC
  country: PE
  internal_url: http://127.0.0.1:{port}
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
auth:
config:
frontend:
logger:
  default: warning
{more}
"""
ONBOARDED = {"done": ["user", "core_config", "analytics", "integration"]}


def installed() -> Path:
    """Return the Python that has Home Assistant; its absence fails the test."""
    if not PYTHON.exists():
        pytest.fail("Home Assistant is not installed: make homeassistant does that")
    return PYTHON


def judge(*arguments: str, given: object = None) -> Any:
    """What Home Assistant's own schemas say; see judge.py."""
    command: list[str | Path] = [installed(), JUDGE, *arguments]
    said = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True, timeout=START_S)
    return json.loads(said.stdout)


class HomeAssistant(WebProgram):
    """Home Assistant at a broker; *more* is YAML for its configuration, such as automations."""

    def __init__(self, folder: Path, broker_port: int, *, more: str = "") -> None:
        super().__init__(folder)
        self._broker_port = broker_port
        self._more = more
        self._token = ""
        self.tokens: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._write()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return when it answers and is connected to the broker."""
        python = installed()
        path = f"{python.parent}:{os.environ['PATH']}"
        self.begin(
            [python, "-m", "homeassistant", "--config", self.folder, "--skip-pip"],
            ready=lambda: processes.accepts(self.port),
            timeout_s=START_S,
            env={**os.environ, "PATH": path},
        )
        self.tokens = wait_until(self._log_in, timeout=START_S, what="a login")
        self._token = self.tokens["access_token"]
        wait_until(lambda: self.get("config")["state"] == "RUNNING", timeout=START_S, what="Home Assistant to run")

    def get(self, path: str) -> Any:
        return self._ask(f"/api/{path}")

    def states(self) -> dict[str, dict[str, Any]]:
        """Every entity's state, by its id."""
        return {each["entity_id"]: each for each in self.get("states")}

    def state(self, entity: str) -> str | None:
        """The state of an entity, None if there is no such."""
        return self.states().get(entity, {}).get("state")

    def call(self, service: str, **data: Any) -> None:
        """Call a service, such as `button.press`."""
        self._ask(f"/api/services/{service.replace('.', '/')}", data)

    def render(self, template: str) -> str:
        """What Home Assistant makes of a template."""
        return self._ask("/api/template", {"template": template}, plain=True)

    def _write(self) -> None:
        storage = self.folder / ".storage"
        storage.mkdir(parents=True)
        (self.folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port, more=self._more))
        entry = {
            "entry_id": "zkbridge0mqtt",
            "version": 1,
            "minor_version": 2,
            "domain": "mqtt",
            "title": "Mosquitto",
            "data": {"broker": "127.0.0.1", "port": self._broker_port, "protocol": "5", "discovery": True},
            "source": "user",
        }
        for key, version, data in (
            ("core.config_entries", 1, {"entries": [entry]}),
            ("onboarding", 4, ONBOARDED),
        ):
            content = {"version": version, "minor_version": 1, "key": key, "data": data}
            (storage / key).write_text(json.dumps(content))
        subprocess.run(
            [installed(), "-m", "homeassistant", "--script", "auth", "-c", self.folder, "add", NAME, PASSWORD],
            check=True,
            capture_output=True,
            timeout=START_S,
        )

    def _log_in(self) -> dict[str, Any] | None:
        """As its own page does; None while it is not ready for that."""
        client = f"{self.address}/"
        try:
            handler = {"handler": ["homeassistant", None], "client_id": client, "redirect_uri": client}
            flow = self._ask("/auth/login_flow", handler)
            login = {"username": NAME, "password": PASSWORD, "client_id": client}
            code = self._ask(f"/auth/login_flow/{flow['flow_id']}", login)["result"]
        except (OSError, KeyError):
            return None
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "client_id": client})
        request = urllib.request.Request(f"{self.address}/auth/token", form.encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            tokens: dict[str, Any] = json.load(answer)
        return tokens

    def _ask(self, path: str, body: object = None, *, plain: bool = False) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.address + path, data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
        return text if plain else json.loads(text)
