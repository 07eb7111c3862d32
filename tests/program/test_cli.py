"""The program as a person or systemd calls it: arguments, exit codes, what is printed."""

import json
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import zkbridge
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

ROOT = Path(__file__).parents[2]


def zk(*arguments: Any, cwd: Path | None = None, **environment: Any) -> CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "zkbridge", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip - one call


def test_every_command_has_its_help() -> None:
    for command in ("run", "check", "simulate", "demo"):
        assert command in zk("--help").stdout
        assert zk(command, "--help").returncode == 0
    assert zk("--version").stdout.strip() == f"zkbridge, version {zkbridge.__version__}"


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_wrong_file_names_every_fault_and_exits_2(tmp_path: Path, command: str) -> None:
    (tmp_path / "config.yaml").write_text("devices: {entrada: {host: x, port: 70000}}\nmqtt: {hots: x}\n")

    done = zk(command, cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "mqtt.hots: no such key (did you mean host?)",
        "devices.entrada.port: 70000 is not a port (1 to 65535)",
    ]


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_name_that_leads_nowhere_stops_the_start(tmp_path: Path, command: str) -> None:
    (tmp_path / "config.yaml").write_text(
        "devices: {p: {host: x}}\nmqtt: {tls: {ca_file: gone.pem}}\npolicy: {commands: [users/creat]}\n"
    )

    done = zk(command, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "mqtt.tls.ca_file: gone.pem: No such file or directory",
        "policy.commands.0: there is no command 'users/creat' (did you mean users/create?)",
    ]


def test_check_warns_about_what_is_allowed_and_risky(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("devices: {p: {host: x}}\nmetrics: {host: 0.0.0.0, port: 9812}\n")

    done = zk("check", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [
        "look twice: metrics.host: whoever reaches 0.0.0.0:9812 may read device ids and figures, without a password"
    ]


def test_the_example_configuration_is_right() -> None:
    done = zk("check", "--config", ROOT / "config.yaml")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ROOT / 'config.yaml'}: right; 2 devices, broker localhost:1883\n"


def test_check_dials_broker_and_devices_and_prints_a_table(tmp_path: Path, broker: Mosquitto) -> None:
    closed = closed_port()
    with Simulator() as simulator:
        good = simulator.add(TerminalConfig(profile="tft"))
        good.fill_users(37)
        locked = simulator.add(TerminalConfig(profile="tft", comm_key=99))
        text = f"""
            mqtt: {{host: 127.0.0.1, port: {broker.port}}}
            language: en
            lock_dir: {tmp_path}
            devices:
              principal: {{host: 127.0.0.1, port: {good.port}}}
              llave: {{host: 127.0.0.1, port: {locked.port}}}
              apagada: {{host: 127.0.0.1, port: {closed}, timeout: 1}}
        """
        (tmp_path / "config.yaml").write_text(text)

        done = zk("check", "--connect", cwd=tmp_path)

        rows = [line.split() for line in done.stdout.splitlines()[2:]]
        assert done.returncode == 1, done.stderr
        assert [(row[0], row[1]) for row in rows] == [
            ("ok", "broker"),
            ("ok", "principal"),
            ("FAILED", "llave"),
            ("FAILED", "apagada"),
        ]  # fmt: skip - one comparison
        assert "MQTT 5" in done.stdout
        assert "37 of 5000 users" in done.stdout
        assert f"Device 127.0.0.1:{locked.port} refused the communication key." in done.stdout
        assert f"Connection refused by device 127.0.0.1:{closed}" in done.stdout
        assert good.disabled_spans() == []

        (tmp_path / "config.yaml").write_text(text.split("llave:", maxsplit=1)[0])
        assert zk("check", "--connect", cwd=tmp_path).returncode == 0
        told = json.loads(zk("check", "--connect", "--json", cwd=tmp_path).stdout)
        assert [(each["what"], each["ok"]) for each in told["findings"]] == [("broker", True), ("principal", True)]
        (tmp_path / "config.yaml").write_text("devices: {}\n")
        wrong = zk("check", "--json", cwd=tmp_path)
        assert (wrong.returncode, len(json.loads(wrong.stdout)["faults"])) == (2, 1)


def test_two_daemons_cannot_share_a_state_directory(
    tmp_path: Path,
    broker: Mosquitto,
) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        with Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}) as daemon:
            second = zk("run", "--config", daemon.folder / "config.yaml")

    assert second.returncode == 1
    assert "is in use by another zkbridge" in second.stderr


def test_a_state_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "config.yaml").write_text(f"devices: {{p: {{host: h}}}}\nstate_dir: {tmp_path}/file/state\n")

    done = zk("run", cwd=tmp_path)

    assert done.returncode == 1
    assert "the state directory cannot be used" in done.stderr


def test_a_stop_is_clean_and_quick_without_a_broker(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "d", closed_port(), {"p": {"host": "127.0.0.1", "port": closed_port()}})
    daemon.start(online=False)
    wait_until(lambda: "no connection to the broker" in daemon.log, timeout=60)

    assert daemon.stop(timeout=10) == 0


def test_json_logs_are_json(tmp_path: Path, broker: Mosquitto) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        log = {"format": "json", "level": "info"}
        with Daemon(tmp_path / "d", broker.port, {"principal": device(terminal)}, log=log) as daemon:
            pass
    entries = [json.loads(line) for line in daemon.log.splitlines()]

    assert {"time", "level", "logger", "message"} <= set(entries[0])
    assert any(entry["message"].startswith("connected to") for entry in entries)
