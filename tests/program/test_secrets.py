"""A day full of secrets, in order and out of it: no log of any kind holds one of them, nor any payload."""

import json
import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller, Message
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port, free_port
from tests.support.scrape import scrape
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

MQTT_PASSWORD, COMM_KEY = "Broker-Hunter2", 31_337_007
PASSWORD, CARD, NAME, USER = "73915826", 2_718_281_828, "Zacarias Q", "8081579"
MARK = "mark-of-a-payload"
#: Nothing of this may be in a log.
SECRETS = [MQTT_PASSWORD, str(COMM_KEY), PASSWORD, str(CARD), NAME, USER, MARK]
#: A fault of the bridge's own whose words quote a payload, as Python's own errors like to do.
FAULT = """
from zkbridge.commands.api.registry import Command

parse = Command.parse

def quoting(self, body, *, strict):
    if "fault" in str(body):
        raise ValueError(f"cannot take {body}") from KeyError(repr(body))
    return parse(self, body, strict=strict)

Command.parse = quoting
"""
PERSON = {"user_id": USER, "name": NAME, "password": PASSWORD, "card": CARD}
WRONG = [
    {**PERSON, "password": PASSWORD * 3},
    {**PERSON, "password": {"is": PASSWORD}},
    {**PERSON, "password": f"{PASSWORD}\n"},
    {**PERSON, "card": f"{CARD}x"},
    {**PERSON, "card": -CARD},
    {**PERSON, "privilege": MARK},
    {**PERSON, "contraseña": PASSWORD},
    {**PERSON, PASSWORD: CARD},
    {**PERSON, "name": NAME + "李" * 30},
    {**PERSON, "expires_at": MARK},
    {**PERSON, "expires_at": "2020-01-01T00:00:00Z"},
    {**PERSON, "request_id": PASSWORD * 40},
    {"password": PASSWORD, "card": CARD},
    {**PERSON, "fault": MARK},
    [PASSWORD],
    PASSWORD,
]
BROKEN = [
    f'{{"password": "{PASSWORD}", "password": "{PASSWORD}"}}'.encode(),
    f'{{"password": "{PASSWORD}", "card": {CARD}'.encode(),
    MARK.encode() + b"\xff\xfe",
    MARK.encode() * 8000,
]
FILES: list[dict[str, Any]] = [
    {"mqtt": {"password": [MQTT_PASSWORD]}},
    {"mqtt": {"tls": MQTT_PASSWORD}},
    {"devices": {"p": {"host": "127.0.0.1", "comm_key": f"{COMM_KEY}x"}}},
    {"devices": {"p": {"host": "127.0.0.1", "comm_key": -COMM_KEY}}},
]


@contextmanager
def site(folder: Path, log_format: str) -> Iterator[Any]:
    """A broker with a login, a terminal with a key, and a daemon that logs all it can."""
    (folder / "fault").mkdir()
    (folder / "fault" / "sitecustomize.py").write_text(FAULT)
    with Mosquitto(folder / "mosquitto", users={"bridge": MQTT_PASSWORD}) as broker, Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft", comm_key=COMM_KEY))
        devices = {
            "p": device(terminal, comm_key=COMM_KEY),
            "locked": device(terminal, comm_key=COMM_KEY + 1),
            "away": {"host": "127.0.0.1", "port": closed_port(), "timeout": 1, "comm_key": COMM_KEY},
        }
        daemon = Daemon(
            folder / "d",
            broker.port,
            devices,
            mqtt={"username": "bridge", "password": MQTT_PASSWORD},
            log={"level": "debug", "format": log_format},
            metrics={"port": free_port()},
            environment={"PYTHONPATH": os.pathsep.join([str(folder / "fault"), os.environ.get("PYTHONPATH", "")])},
        )
        with daemon, Caller(broker.port, username="bridge", password=MQTT_PASSWORD) as caller:
            caller.subscribe("zk/#", no_local=True)
            yield daemon, broker, caller


def ask(caller: Caller, command: str, body: Collection[object] | dict[str, Any], **more: Any) -> Message:
    topic = f"zk/{command}"
    caller.publish(topic, body if isinstance(body, bytes) else json.dumps(body), **more)
    return caller.wait_for(f"{topic}/reply", timeout=30)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_log_holds_a_secret_or_a_payload(tmp_path: Path, log_format: str) -> None:
    with site(tmp_path, log_format) as (daemon, broker, caller):
        codes = {ask(caller, "p/users/create", PERSON).json["code"] for _ in range(2)}
        codes |= {ask(caller, "p/users/create", body).json["code"] for body in [*WRONG, *BROKEN]}
        codes.add(
            ask(caller, "p/users/update", {"user_id": USER, "password": PASSWORD[::2], "card": CARD}).json["code"]
        )
        codes.add(ask(caller, "p/users/list", {"name": NAME}).json["code"])
        codes.add(ask(caller, "p/users/create", PERSON, retain=True).json["code"])
        for elsewhere in ("locked", "away", "invented"):
            codes.add(ask(caller, f"{elsewhere}/users/create", PERSON).json["code"])
        codes.add(ask(caller, "p/users/create", PERSON, response_topic=f"elsewhere/{MARK}").json["code"])
        codes.add(ask(caller, "p/users/delete", {"user_id": USER}).json["code"])
        caller.publish("zk/p/users/create/reply/x", json.dumps(PERSON))
        figures = scrape(daemon.config["metrics"]["port"]).text
        for wrong in FILES:
            reload(daemon, json.dumps(merged(daemon.config, wrong)))
        reload(daemon, f"mqtt: {{password: {MQTT_PASSWORD}, password: {MQTT_PASSWORD}}}")
        broker.restart()
        wait_until(lambda: daemon.log.count("connected to") == 2, timeout=60, what="a new connection")
    log = daemon.log

    assert codes >= {
        "created",
        "user_exists",
        "invalid_field",
        "missing_fields",
        "body_required",
        "payload_too_large",
        "retained_refused",
        "device_auth_failed",
        "device_unreachable",
        "device_not_found",
        "expired",
        "internal",
        "updated",
        "deleted",
    }
    assert "ValueError" in log
    for text in (log, figures):
        assert [secret for secret in SECRETS if secret in text] == []
    if log_format == "json":
        lines = [json.loads(line) for line in log.splitlines()]
        assert all(list(line)[:4] == ["time", "level", "logger", "message"] for line in lines)
        [fault] = [line for line in lines if "error" in line]
        assert [error["type"] for error in fault["error"]] == ["ValueError", "KeyError"]
        answered = [line for line in lines if line.get("code") == "created"]
        assert answered[0].items() >= {"device": "p", "command": "users/create", "status": 200}.items()


def merged(config: dict[str, Any], changes: dict[str, Any]) -> dict[Any, Any]:
    return {**config, **{key: {**config[key], **value} for key, value in changes.items()}}


def reload(daemon: Daemon, text: str) -> None:
    mark = len(daemon.log)
    (daemon.folder / "config.yaml").write_text(text)
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: "going on with the configuration as it was" in daemon.log[mark:], timeout=30)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_refused_login_does_not_show_the_password(tmp_path: Path, log_format: str) -> None:
    with Mosquitto(tmp_path / "mosquitto", users={"bridge": "another"}) as broker:
        daemon = Daemon(
            tmp_path / "d",
            broker.port,
            {"p": {"host": "127.0.0.1", "port": closed_port(), "timeout": 1, "comm_key": COMM_KEY}},
            mqtt={"username": "bridge", "password": MQTT_PASSWORD},
            log={"level": "debug", "format": log_format},
        )
        daemon.start(online=False)
        wait_until(lambda: "no connection to the broker" in daemon.log, timeout=30)
        assert daemon.stop() == 0

    assert MQTT_PASSWORD not in daemon.log
    assert str(COMM_KEY) not in daemon.log
