"""The Debian package on fresh Debians that boot: installed by apt, upgraded at work, refused a way back, removed."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.old_ledger import REPLY, OldLedger
from tests.support.waiting import wait_until
from tests.systemd import packages, readme
from tests.systemd.machine import Machine
from tests.systemd.packages import HEADING, NEWER, OLDER
from tests.systemd.rootfs import checked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PATIENCE_S = 60
CONFIG = "/etc/zkbridge/config.yaml"
#: Two terminals: one that is there, with punches followed live, and one that is switched on later.
DEVICES = """# mine
devices:
  principal: {host: 127.0.0.1, port: 4370, timeout: 3, attendance: live}
  tarde: {host: 127.0.0.1, port: 4371, timeout: 3}
retry: {deadline: 600, attempts: 100}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two versions of the package for this machine, by version."""
    return packages.make(tmp_path_factory.mktemp("packages"), checked(["dpkg", "--print-architecture"]).strip())


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(
    request: pytest.FixtureRequest, made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A machine with a broker, on which the older package was installed by apt before it booted."""
    with Machine(tmp_path_factory.mktemp("package")) as machine:
        machine.install(request.param)
        packages.put(made, machine.root)
        machine.prepare("sudo apt-get update -qq && sudo apt-get install -qq -y mosquitto mosquitto-clients python3")
        machine.said = machine.prepare(packages.install_command())
        machine.boot()
        yield machine


def start_terminal(machine: Machine, port: int, *options: str) -> None:
    """A simulated terminal that keeps its tables in a file; systemd's name for it is terminal-PORT."""
    words = f"zkbridge simulate --lines --port {port} --state /var/tmp/terminal-{port} {' '.join(options)}"
    machine.sh(f"systemd-run --quiet --unit=terminal-{port} {words}")
    journal = ["journalctl", f"--unit=terminal-{port}", "--output=cat"]
    wait_until(lambda: f"127.0.0.1:{port}" in machine.run(*journal), timeout=PATIENCE_S, what="the terminal")


def stop_terminal(machine: Machine, port: int) -> None:
    machine.run("systemctl", "stop", f"terminal-{port}")


def control(machine: Machine, port: int, word: dict[str, object]) -> None:
    """Have the terminal do something, through its control port."""
    machine.sh(
        f"python3 - <<'END'\nimport socket\n"
        f"s = socket.create_connection(('127.0.0.1', {port}))\n"
        f"s.sendall(b'''{json.dumps(word)}\\n''')\nprint(s.makefile().readline())\nEND"
    )


def ask(machine: Machine, device: str, user_id: str) -> dict[str, object]:
    """The bridge's answer to one creation."""
    words = f"mosquitto_rr -V mqttv5 -W 60 -t zk/{device}/users/create -e zk/replies/test"
    answer: dict[str, object] = json.loads(
        machine.person(f"""{words} -m '{{"user_id":"{user_id}","name":"Ana Ruiz"}}'""")
    )
    return answer


def online(machine: Machine) -> None:
    def status() -> str:
        return machine.run("systemctl", "show", "zkbridge", "--property", "StatusText", "--value")

    wait_until(lambda: "connected by MQTT 5" in status(), timeout=PATIENCE_S, what="the bridge")


def journal(machine: Machine) -> str:
    return machine.run("journalctl", "--unit=zkbridge", "--output=cat", "--no-pager")


def install(machine: Machine, version: str) -> subprocess.CompletedProcess[str]:
    command = f"DEBIAN_FRONTEND=noninteractive apt-get install -y --allow-downgrades /zkbridge_{version}.deb"
    return machine.try_("sh", "-c", command)


def test_the_package_leads_to_a_user_on_the_terminal_and_through_an_upgrade(machine: Machine) -> None:
    # Installed, and not started: its configuration still has the examples' addresses.
    assert "zkbridge is installed." in machine.said
    assert machine.try_("systemctl", "is-active", "zkbridge").stdout.strip() == "inactive"
    assert f"version {OLDER}" in machine.person("zkbridge --version")
    assert machine.run("systemd-analyze", "verify", "zkbridge.service") == ""
    assert machine.try_("systemd-analyze", "security", "--threshold=14", "zkbridge.service").returncode == 0
    assert machine.run("test", "-s", "/usr/share/man/man1/zkbridge-users-create.1.gz") == ""
    sbom = json.loads(machine.run("cat", "/usr/lib/zkbridge/sbom.json"))
    assert {"pydantic-core", "pyzk", "paho-mqtt", "pyrage"} <= {each["name"] for each in sbom["components"]}
    assert "complete" in machine.run("cat", "/usr/share/bash-completion/completions/zkbridge")

    # The commands that it printed.
    edit, check, start = readme.commands(HEADING)[1:]
    assert edit.startswith(f"sudo editor {CONFIG}")
    machine.write(CONFIG, DEVICES)
    start_terminal(machine, 4370, "--control", "4369")
    checked_table = machine.try_("su", "--login", "pi", "--command", check).stdout
    assert re.search(r"^ok +principal +127.0.0.1:4370/tcp ", checked_table, re.MULTILINE)
    machine.person(start)
    online(machine)
    assert ask(machine, "principal", "101")["code"] == "created"
    page = (readme.ROOT / "docs" / "install.md").read_text().splitlines()
    first_user = next(line for line in page if line.startswith("zkbridge users create principal"))
    assert machine.person(first_user).startswith("Usuario registrado.\n")

    # A request under way (its terminal is off), a punch that no broker takes, and then the upgrade.
    machine.person(
        "mosquitto_pub -V mqttv5 -q 1 -t zk/tarde/users/create -m "
        """'{"user_id":"204","name":"Eva","request_id":"under-way"}'"""
    )
    wait_until(lambda: "request_id=under-way" in journal(machine), timeout=PATIENCE_S, what="the request")
    machine.run("systemctl", "stop", "mosquitto")
    control(machine, 4369, {"do": "punch", "user_id": "101"})
    machine.write("/etc/mosquitto/conf.d/kept.conf", "persistence true\n")
    upgrade = install(machine, NEWER)
    assert upgrade.returncode == 0, upgrade.stdout + upgrade.stderr
    assert machine.run("cat", CONFIG) == DEVICES
    assert f"version {NEWER}" in machine.person("zkbridge --version")
    machine.sh(
        "systemd-run --quiet --unit=reader sh -c "
        "'until mosquitto_sub -V mqttv5 -q 1 -c -i reader -t zk/+/attendance/event -t zk/+/users/create/reply "
        ">>/var/tmp/heard; do sleep 0.2; done'"
    )
    machine.run("systemctl", "start", "mosquitto")
    online(machine)
    start_terminal(machine, 4371)

    def heard() -> str:
        return machine.sh("cat /var/tmp/heard 2>/dev/null || true")

    wait_until(
        lambda: '"under-way"' in heard() and '"punch"' in heard(), timeout=180, what=f"both:\n{journal(machine)}"
    )
    answers = [json.loads(line) for line in heard().splitlines()]
    assert [each["code"] for each in answers if each.get("request_id") == "under-way"] == ["created"]
    assert len({each["id"] for each in answers if "punch" in each}) == 1
    assert ask(machine, "tarde", "204")["code"] == "user_exists"
    assert ask(machine, "principal", "101")["code"] == "user_exists"

    # The way back is refused, in words, and the service goes on.
    pid = machine.run("systemctl", "show", "zkbridge", "--property", "MainPID", "--value")
    back = install(machine, OLDER)
    assert back.returncode != 0
    assert f"zkbridge {NEWER} is installed, and {OLDER} is older" in back.stdout + back.stderr
    assert f"version {NEWER}" in machine.person("zkbridge --version")
    assert machine.run("systemctl", "show", "zkbridge", "--property", "MainPID", "--value") == pid
    assert ask(machine, "principal", "102")["code"] == "created"

    # Removed, the configuration and the ledger stay; purged, nothing does.
    machine.run("apt-get", "remove", "-y", "-qq", "zkbridge")
    assert machine.run("cat", CONFIG) == DEVICES
    assert machine.run("ls", "/var/lib/private/zkbridge/ledger.db")
    assert machine.try_("test", "-e", "/usr/lib/zkbridge").returncode != 0
    machine.run("apt-get", "purge", "-y", "-qq", "zkbridge")
    left = machine.sh(
        "find / -xdev -name '*zkbridge*' -not -path '/proc/*' -not -name 'zkbridge_*.deb' -not -path '/src/*'"
    )
    allowed = ("/var/log/", "/var/cache/", "/tmp/", "/var/tmp/", "/run/", "/etc/systemd/system/")
    assert [path for path in left.splitlines() if not path.startswith(allowed)] == []


def test_the_ledger_of_the_first_version_goes_on_after_an_upgrade(machine: Machine, tmp_path: Path) -> None:
    """What every other earlier version leaves is in tests/faults/test_upgrade.py."""
    assert install(machine, OLDER).returncode == 0
    machine.try_("systemctl", "stop", "zkbridge")
    old = OldLedger(tmp_path / "old", 1)
    old.request(1, "accepted")
    old.request(3, "done")
    old.close()
    machine.write(CONFIG, "devices:\n  p: {host: 127.0.0.1, port: 4372, timeout: 3}\n")
    machine.run("rm", "-rf", "/var/lib/private/zkbridge", "/var/lib/zkbridge")
    shutil.copytree(tmp_path / "old", machine.root / "var/lib/zkbridge")

    upgrade = install(machine, NEWER)

    assert upgrade.returncode == 0, upgrade.stdout + upgrade.stderr
    machine.run("systemctl", "start", "mosquitto")
    start_terminal(machine, 4372)
    # The broker keeps for the reader what comes from now on.
    reader = f"mosquitto_sub -V 311 -c -i old-reader -q 1 -t {REPLY}"
    machine.sh(f"{reader} -E; systemd-run --quiet --unit=old-reader sh -c '{reader} >>/var/tmp/replies'")
    machine.run("systemctl", "start", "zkbridge")
    online(machine)

    def replies() -> list[str]:
        said = machine.sh("cat /var/tmp/replies 2>/dev/null || true").splitlines()
        return sorted(json.loads(line)["request_id"] for line in said)

    wait_until(lambda: len(replies()) >= 2, timeout=PATIENCE_S, what=f"both replies:\n{journal(machine)}")
    assert ask(machine, "p", "1")["code"] == "user_exists"
    assert replies() == ["r-1", "r-3"]


def test_the_page_saves_the_ledger_and_leads_back_to_an_older_version(machine: Machine) -> None:
    """The commands of docs/upgrade.md, after the upgrade above."""
    save, back, restore = (
        readme.commands(heading, "docs/upgrade.md") for heading in ("Save the ledger", "Go back", "Restore the ledger")
    )

    state = "/var/lib/private/zkbridge"
    machine.run("touch", f"{state}/as-saved")
    machine.person("\n".join(save))
    online(machine)
    assert "zkbridge/ledger.db" in machine.person("sudo tar -tzf zkbridge-state.tar.gz").splitlines()
    assert f"version {NEWER}" in machine.person("zkbridge --version")

    machine.person("\n".join(map(packages.unattended, back)))
    assert f"version {OLDER}" in machine.person("zkbridge --version")
    online(machine)
    assert ask(machine, "p", "2")["code"] == "created"
    assert machine.run("ls", f"{state}.newer/ledger.db")
    assert machine.try_("test", "-e", f"{state}/as-saved").returncode != 0

    # The newer program goes on with the ledger that was saved.
    assert install(machine, NEWER).returncode == 0
    machine.person("\n".join(restore))
    online(machine)
    assert machine.run("ls", f"{state}/as-saved")
    assert ask(machine, "p", "2")["code"] == "user_exists"
