"""The commands of docs/systemd.md on a fresh Debian with a real systemd, and what the service then withstands."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.waiting import wait_until
from tests.systemd import readme
from tests.systemd.machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HEADING, PAGE = "With pip", "docs/systemd.md"
CONFIG = "/etc/zkbridge/config.yaml"
DROP_IN = "/etc/systemd/system/zkbridge.service.d/test.conf"
DEVICES = "devices:\n  principal: {host: 127.0.0.1, port: 4370, timeout: 3}\n"
SECOND = "  entrada: {host: 127.0.0.1, port: 4371, timeout: 3}\n"
PATIENCE_S = 60


def split(lines: list[str]) -> tuple[list[str], list[str]]:
    """What needs the world outside, and what does not: the first line that puts a file in place parts them."""
    parting = next(number for number, line in enumerate(lines) if line.startswith("sudo install"))
    return lines[:parting], lines[parting:]


def start_terminals(machine: Machine) -> None:
    """Two simulated terminals, on ports 4370 and 4371."""
    machine.sh("systemd-run --quiet --unit=terminals /opt/zkbridge/bin/zkbridge simulate --lines --count 2")
    journal = ["journalctl", "--unit=terminals", "--output=cat"]
    wait_until(lambda: "127.0.0.1:4371" in machine.run(*journal), timeout=PATIENCE_S, what="the terminals")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which the page was followed; with two simulated terminals."""
    before, after = split(readme.commands(HEADING, PAGE))
    with Machine(tmp_path_factory.mktemp("systemd")) as machine:
        machine.install(request.param)
        # The page begins in a checkout.
        checkout = ["sudo apt update", "sudo apt install -y git", "git clone /src zkbridge", "cd zkbridge"]
        machine.prepare("\n".join([*checkout, *before]))
        # Who edits the file, without a screen.
        machine.write("/usr/local/bin/editor", f"#!/bin/sh\nprintf '%s' '{DEVICES}' >\"$1\"\n", mode=0o755)
        machine.boot()
        start_terminals(machine)
        machine.said = machine.person("\n".join(["cd zkbridge", *after]))
        yield machine


class Service:
    """zkbridge.service, as systemctl and its journal tell of it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def get(self, name: str) -> str:
        return self.machine.run("systemctl", "show", "zkbridge", "--property", name, "--value").strip()

    def wait_for(self, name: str, pattern: str, *, timeout: int = PATIENCE_S) -> None:
        wait_until(
            lambda: re.search(pattern, self.get(name)),
            timeout=timeout,
            what=f"{name} to be {pattern}, it is {self.get(name)}:\n{self.journal()}",
        )

    def online(self, devices: int = 1) -> None:
        self.wait_for("StatusText", rf"^connected by MQTT 5; {devices} devices, 0 requests waiting$")

    def journal(self) -> str:
        return self.machine.run("journalctl", "--unit=zkbridge", "--output=cat", "--no-pager", "--boot")

    def configure(self, config: str = DEVICES, *, drop_in: str = "") -> None:
        self.machine.write(CONFIG, config)
        self.machine.write(DROP_IN, drop_in)
        self.machine.run("systemctl", "daemon-reload")

    def restart(self) -> subprocess.CompletedProcess[str]:
        return self.machine.try_("systemctl", "restart", "zkbridge")

    def pid(self) -> int:
        return int(self.get("MainPID"))

    def create(self, user_id: str, device: str = "principal") -> dict[str, Any]:
        """What the README's request for another user is answered."""
        request, _ = readme.example()
        return json.loads(self.machine.person(request.replace("125", user_id).replace("principal", device)))


@pytest.fixture
def service(machine: Machine) -> Service:
    service = Service(machine)
    service.configure()
    machine.run("systemctl", "reset-failed", "zkbridge")
    assert service.restart().returncode == 0, service.journal()
    service.online()
    return service


def test_the_page_leads_to_a_running_service_that_creates_a_user(machine: Machine) -> None:
    service = Service(machine)
    request, reply = readme.example()

    service.online()
    assert re.search(r"^ok +broker +localhost:1883 +MQTT 5", machine.said, re.MULTILINE)
    assert re.search(r"^ok +principal +127.0.0.1:4370/tcp ", machine.said, re.MULTILINE)
    assert machine.run("systemctl", "is-enabled", "zkbridge").strip() == "enabled"
    assert machine.person(request).strip() == reply
    checked = machine.person(next(line for line in readme.commands(HEADING, PAGE) if "zkbridge check" in line))
    assert re.search(r"^ok +principal .*, 1 of \d+ users", checked, re.MULTILINE)


def test_systemd_has_no_warning_about_the_installed_unit(machine: Machine) -> None:
    verified = machine.try_("systemd-analyze", "verify", "zkbridge.service")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    assert machine.try_("systemd-analyze", "security", "--threshold=14", "zkbridge.service").returncode == 0


def test_the_daemon_may_keep_to_one_cpu(service: Service) -> None:
    status = service.machine.run("cat", f"/proc/{service.pid()}/status")

    assert re.search(r"^Cpus_allowed_list:\s*\d+$", status, re.MULTILINE)


def test_a_reload_takes_a_device_over_and_keeps_the_process(service: Service) -> None:
    pid = service.pid()
    service.configure(DEVICES + SECOND)

    service.machine.run("systemctl", "reload", "zkbridge")

    service.online(devices=2)
    assert service.pid() == pid
    assert service.create("201", "entrada")["code"] == "created"


def test_a_reload_of_a_wrong_file_is_refused_in_the_journal_and_the_service_goes_on(service: Service) -> None:
    pid = service.pid()
    service.configure("language: en\ndevices: {principal: {host: x, port: 0}, q: {hots: y}}\n")

    service.machine.run("systemctl", "reload", "zkbridge")

    service.wait_for("StatusText", "1 devices, 0 requests waiting; the configuration file was refused, see the log$")
    assert (service.get("ActiveState"), service.pid()) == ("active", pid)
    for fault in ("devices.principal.port: 0 is not a port", "devices.q.hots: no such key"):
        assert fault in service.journal()
    assert service.create("202")["code"] == "created"


def test_a_daemon_that_hangs_is_killed_by_the_watchdog_and_started_again(service: Service) -> None:
    service.configure(drop_in="[Service]\nWatchdogSec=4\n")
    service.restart()
    service.online()
    pid = service.pid()

    service.machine.sh(f"kill -STOP {pid}")

    service.wait_for("NRestarts", "^1$")
    service.online()
    assert service.pid() != pid
    assert "Watchdog timeout (limit 4s)!" in service.journal()
    assert service.create("203")["code"] == "created"


def test_a_killed_daemon_is_started_again_and_answers_what_was_asked(service: Service) -> None:
    machine = service.machine
    machine.run("systemctl", "stop", "terminals")
    machine.person(
        "mosquitto_pub -V mqttv5 -q 1 -t zk/principal/users/create -m "
        """'{"user_id":"204","name":"Ana Ruiz","request_id":"killed"}'"""
    )
    wait_until(lambda: "request_id=killed" in service.journal(), timeout=PATIENCE_S, what="the request")

    machine.sh(f"kill -KILL {service.pid()}")

    start_terminals(machine)
    service.wait_for("NRestarts", "^1$")
    service.online()
    wait_until(
        lambda: re.search("answered .*request_id=killed status=200 code=created", service.journal()),
        timeout=PATIENCE_S,
        what="the answer",
    )
    assert service.create("204")["code"] == "user_exists"


def test_a_stop_is_clean_and_within_its_time(service: Service) -> None:
    began = time.monotonic()

    service.machine.run("systemctl", "stop", "zkbridge")

    assert time.monotonic() - began < 10
    assert (service.get("Result"), service.get("ExecMainStatus"), service.get("ActiveState")) == (
        "success",
        "0",
        "inactive",
    )
    state = service.machine.person("mosquitto_sub -t zk/bridge/state -C 1 -W 10")
    assert json.loads(state)["state"] == "offline"


def test_a_secret_comes_as_a_credential_that_no_other_user_can_read(service: Service) -> None:
    machine = service.machine
    machine.write(
        "/etc/mosquitto/conf.d/locked.conf",
        "per_listener_settings true\nlistener 1883 127.0.0.1\nallow_anonymous true\n"
        "listener 1884 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/passwords\n",
    )
    machine.sh("""
        mosquitto_passwd -b -c /etc/mosquitto/passwords bridge s3cret
        chown mosquitto /etc/mosquitto/passwords
        install -d -m 700 /etc/zkbridge/secrets
        printf s3cret >/etc/zkbridge/secrets/mqtt-password
        chmod 600 /etc/zkbridge/secrets/mqtt-password
        systemctl restart mosquitto
    """)
    # The unit's own line, without its comment sign.
    line = next(line for line in readme.unit().splitlines() if line.startswith("#LoadCredential=mqtt-password"))
    service.configure(
        f"mqtt: {{port: 1884, username: bridge, password_file: mqtt-password}}\n{DEVICES}",
        drop_in=f"[Service]\n{line[1:]}\n",
    )

    assert service.restart().returncode == 0, service.journal()

    service.online()
    assert "s3cret" not in service.journal()


def test_the_service_writes_its_state_and_its_locks_and_nowhere_else(service: Service) -> None:
    tried = (
        "/ /etc /etc/zkbridge /opt/zkbridge /usr /usr/lib /var /var/lib /var/log /var/spool /srv /home /root /boot /run"
        " /var/lib/zkbridge /run/lock"
    )
    script = f"for d in {tried}; do touch $d/zk-was-here 2>/dev/null && echo wrote:$d; done; true"
    service.configure(drop_in=f"[Service]\nExecStartPre=/bin/sh -c '{script}'\n")
    service.restart()
    service.online()
    service.create("205")

    assert re.findall("wrote:(.*)", service.journal()) == ["/var/lib/zkbridge", "/run/lock"]
    uid = service.machine.run("stat", "--format=%u", f"/proc/{service.pid()}").strip()
    assert uid != "0"
    # On the disk a newer systemd lets the state belong to nobody (65534), and shows it to the service as its own.
    whose = f"'(' -uid {uid} -o -uid 65534 ')'"
    owned = service.machine.sh(f"find / -xdev {whose} -not -path '/proc/*'; find /run /tmp {whose}").split()
    allowed = ("/var/lib/private/zkbridge", "/run/lock/", "/run/credentials/")
    assert [path for path in owned if not path.startswith(allowed)] == []
    assert "/var/lib/private/zkbridge/zk-was-here" in owned


def test_a_wrong_configuration_is_not_tried_again(service: Service) -> None:
    service.configure("devices: {principal: {host: x, port: 70000}}\n")

    assert service.restart().returncode != 0

    service.wait_for("ActiveState", "^failed$")  # between two tries it would be "activating"
    assert (service.get("ExecMainStatus"), service.get("NRestarts")) == ("2", "0")
    assert "devices.principal.port: 70000 is not a port (1 to 65535)" in service.journal()
