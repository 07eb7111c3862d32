"""The Debian package on the Raspberry Pi's systems, under emulation: installed by apt, at work, and upgraded at work.

systemd does not boot there: the daemon is started with the command of its unit, and is restarted by hand where
the package would have systemd do it. `tests/systemd/test_package.py` has all that with systemd, on amd64.
"""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyrage
import pytest

from tests.pi.running import PATIENCE_S, start
from tests.support import processes
from tests.support.caller import Caller
from tests.support.daemon import device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from tests.systemd import packages, readme
from tests.systemd.packages import HEADING, NEWER, OLDER
from tests.systemd.rootfs import RootFs, checked
from zkbridge.simulator import Simulator, TerminalConfig

#: Debian's own packages are configured by programs for ARM, which takes minutes (seconds).
INSTALL_S = 1800

pytestmark = [pytest.mark.usefixtures("emulation"), pytest.mark.slow, pytest.mark.timeout(3 * INSTALL_S)]

SYSTEMS = [(suite, architecture) for suite in ("bookworm", "trixie") for architecture in ("arm64", "armhf")]
CONFIG = "/etc/zkbridge/config.yaml"
LEDGER = "var/lib/zkbridge/ledger.db"
RECIPIENT = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    """Two versions of the package for an architecture, made when they are first asked for."""
    known: dict[str, dict[str, Path]] = {}

    def make(architecture: str) -> dict[str, Path]:
        if architecture not in known:
            known[architecture] = packages.make(tmp_path_factory.mktemp(architecture), architecture)
        return known[architecture]

    return make


class Pi(RootFs):
    """A system of the Pi's with nothing but Python, for one *architecture*."""

    def __init__(self, folder: Path, architecture: str) -> None:
        super().__init__(folder)
        self.architecture = architecture

    @property
    def encrypts(self) -> bool:
        """There is no wheel of pyrage for armhf."""
        return self.architecture != "armhf"

    def daemon(self, log: Path) -> tuple[subprocess.Popen[bytes], int]:
        """Start the daemon by the command of the installed unit."""
        unit = (self.root / "usr/lib/systemd/system/zkbridge.service").read_text()
        (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
        return start(self, log, *shlex.split(command))

    def beside(self, pid: int, command: str) -> str:
        """What a shell command says that runs in the container of the daemon of that *pid*."""
        spaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup"]
        inside = ["nsenter", f"--target={pid}", *spaces, "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        return checked([*inside, "sh", "-euc", command], timeout=INSTALL_S)


@pytest.fixture(scope="module", params=SYSTEMS, ids="-".join)
def pi(
    request: pytest.FixtureRequest,
    made: Callable[[str], dict[str, Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pi]:
    """The older package installed by the README's command."""
    suite, architecture = request.param
    with Pi(tmp_path_factory.mktemp(f"{suite}-{architecture}"), architecture) as pi:
        pi.build(
            suite,
            packages="python3,tzdata",
            variant="apt",
            architecture=architecture,
            timeout=INSTALL_S,
        )
        packages.put(made(architecture), pi.root)
        command = packages.install_command().removeprefix("sudo ")
        pi.said = pi.execute("sh", "-euc", command, timeout=INSTALL_S)
        yield pi


def configure(pi: Pi, broker: Mosquitto, devices: dict[str, dict[str, Any]], **more: Any) -> None:
    config = {
        "mqtt": {"host": "127.0.0.1", "port": broker.port},
        "devices": devices,
        "state_dir": "/var/lib/zkbridge",
        # The terminal is off while apt works, which took thirteen minutes on a busy machine.
        "retry": {"deadline": INSTALL_S, "attempts": 100, "max_delay": 20},
        **more,
    }
    pi.write(CONFIG, json.dumps(config))


def end(daemon: subprocess.Popen[bytes], pid: int, log: Path) -> None:
    """Stop it as systemd does."""
    subprocess.run(["kill", f"-{signal.SIGTERM}", str(pid)], check=True)
    assert daemon.wait(PATIENCE_S) == 0, log.read_text()


def ask(caller: Caller, topic: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request."""
    caller.publish(topic, body)
    answer: dict[str, Any] = caller.wait_for(f"{topic}/reply", timeout=PATIENCE_S).json
    return answer


def example(broker: Mosquitto) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the README's request is answered, and what it is to be answered."""
    request, reply = readme.example()
    words = shlex.split(request)
    words[1:1] = ["-p", str(broker.port), "-W", str(PATIENCE_S)]
    return json.loads(checked(words, timeout=2 * PATIENCE_S)), json.loads(reply)


def unsent_punches(pi: Pi) -> int:
    with closing(sqlite3.connect(f"file:{pi.root / LEDGER}?mode=ro", uri=True)) as ledger:
        count: int = ledger.execute("SELECT count(*) FROM punches").fetchone()[0]
    return count


def test_apt_installs_the_package_and_it_names_what_is_next(pi: Pi) -> None:
    there = json.loads((pi.root / "usr/lib/zkbridge/sbom.json").read_text())["components"]

    assert "zkbridge is installed." in pi.said
    for line in readme.commands(HEADING)[1:]:
        assert line.split("   ")[0] in pi.said
    assert f"version {OLDER}" in pi.execute("zkbridge", "--version")
    assert ("pyrage" in {each["name"] for each in there}) == pi.encrypts
    assert ("cannot encrypt backups" in pi.said) != pi.encrypts


def test_a_user_is_created_and_an_upgrade_at_work_loses_nothing(pi: Pi, tmp_path: Path, broker: Mosquitto) -> None:
    """Broker, terminals and caller are here; the daemon and apt are programs for ARM."""
    log, later = tmp_path / "log", processes.free_port()
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig())
        devices = {
            "principal": device(terminal, timeout=10, attendance="live"),
            "tarde": {"host": "127.0.0.1", "port": later, "timeout": 10},
        }
        backup = {"recipient": str(RECIPIENT.to_public())} if pi.encrypts else {}
        configure(pi, broker, devices, backup=backup)
        with Caller(broker.port) as caller:
            caller.subscribe("zk/#")
            daemon, pid = pi.daemon(log)
            caller.wait_for("zk/bridge/state", lambda m: m.json["state"] == "online", timeout=PATIENCE_S)
            answered, promised = example(broker)
            assert answered == promised
            made = ask(caller, "zk/principal/device/backup", {})
            assert made["code"] == "backed_up", made
            # A request under way (its terminal is off), and a punch that no broker takes.
            caller.publish("zk/tarde/users/create", {"user_id": "204", "name": "Eva", "request_id": "under-way"})
            wait_until(lambda: "request_id=under-way" in log.read_text(), timeout=PATIENCE_S, what="the request")
        broker.stop()
        assert terminal.punch("125")
        wait_until(lambda: unsent_punches(pi) == 1, timeout=PATIENCE_S, what="the punch in the ledger")

        pi.beside(pid, f"DEBIAN_FRONTEND=noninteractive apt-get install -y /zkbridge_{NEWER}.deb")

        end(daemon, pid, log)
        assert (pi.root / CONFIG[1:]).read_text().startswith('{"mqtt"')
        assert f"version {NEWER}" in pi.execute("zkbridge", "--version")
        broker.start()
        with Caller(broker.port) as caller:
            caller.subscribe("zk/#")
            late = simulator.add(TerminalConfig(port=later))
            daemon, pid = pi.daemon(log)
            reply = caller.wait_for("zk/tarde/users/create/reply", timeout=PATIENCE_S).json
            punch = caller.wait_for("zk/principal/attendance/event", timeout=PATIENCE_S).json
            again, _ = example(broker)
            end(daemon, pid, log)
            told = [each.topic for each in caller.messages]

    assert (reply["code"], reply["request_id"], punch["user_id"]) == ("created", "under-way", "125")
    assert told.count("zk/tarde/users/create/reply") == told.count("zk/principal/attendance/event") == 1
    assert again["code"] == "user_exists"
    assert [user.user_id for user in late.users()] == ["204"]
    assert [user.user_id for user in terminal.users()] == ["125"]
    (file,) = (pi.root / "var/lib/zkbridge/backups/principal").iterdir()
    kept = file.read_bytes()
    if pi.encrypts:
        assert b"Juan Perez" not in kept
        kept = pyrage.decrypt(kept, [RECIPIENT])
    assert b"Juan Perez" in kept


def test_encrypted_backups_are_refused_by_name_where_the_package_cannot_make_them(pi: Pi, broker: Mosquitto) -> None:
    configure(pi, broker, {"p": {"host": "127.0.0.1"}}, backup={"recipient": str(RECIPIENT.to_public())})
    check = next(line for line in readme.commands(HEADING) if line.startswith("zkbridge check"))
    words = shlex.split(check.replace(" --connect", ""))

    said = checked(["sh", "-c", f"{shlex.join([*pi.nspawn('--pipe'), *words])} 2>&1; echo $?"], timeout=PATIENCE_S)

    lacks = "backup.recipient: this is a 32-bit system, for which there is no build of pyrage"
    assert (lacks in said, said.splitlines()[-1]) == ((False, "0") if pi.encrypts else (True, "2")), said


def test_the_way_back_is_refused_a_removal_keeps_the_ledger_and_a_purge_leaves_nothing(pi: Pi) -> None:
    """After the upgrade above."""
    back = f"DEBIAN_FRONTEND=noninteractive apt-get install -y --allow-downgrades /zkbridge_{OLDER}.deb"
    said = pi.execute("sh", "-euc", f"{back} 2>&1 || echo refused", timeout=INSTALL_S)
    assert said.splitlines()[-1] == "refused", said
    assert f"zkbridge {NEWER} is installed, and {OLDER} is older" in said
    assert f"version {NEWER}" in pi.execute("zkbridge", "--version")

    pi.execute("apt-get", "remove", "-y", "zkbridge", timeout=INSTALL_S)
    assert (pi.root / LEDGER).is_file()
    assert (pi.root / CONFIG[1:]).is_file()
    assert not (pi.root / "usr/lib/zkbridge").exists()

    pi.execute("apt-get", "purge", "-y", "zkbridge", timeout=INSTALL_S)
    left = pi.execute("find", "/", "-xdev", "-name", "*zkbridge*", "-not", "-path", "/proc/*")
    allowed = ("/zkbridge_", "/var/log/", "/var/cache/", "/tmp/", "/run/")
    assert [path for path in left.splitlines() if not path.startswith(allowed)] == []
