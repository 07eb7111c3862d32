"""The example for Mosquitto: its README's commands are run, and a broker is started from what they put in place."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.project.tree import ROOT
from tests.support import processes
from tests.support.caller import Caller, Refused
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import SYSTEM_FOLDERS, Mosquitto, program
from tests.support.waiting import wait_until
from zkbridge.bridge.subscriptions import echoes
from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.config.yaml_file import parse_yaml
from zkbridge.contract.plans import DESIRED, DOCUMENTS
from zkbridge.contract.topics import Topics
from zkbridge.mqtt.subscription_check import PROBE
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal

EXAMPLE = ROOT / "examples" / "mosquitto"
README = (EXAMPLE / "README.md").read_text()
NOT_AUTHORIZED = 0x87
USER = {"user_id": "1", "name": "Ana", "password": "1234"}
CREATE = "zk/principal/users/create"


class ExampleBroker(Mosquitto):
    """Mosquitto with the example's configuration: only its paths and ports are others, and its log goes to a file."""

    def __init__(self, folder: Path, etc: Path) -> None:
        super().__init__(folder)
        self.etc = etc
        self.password_port = self.certificate_port = 0

    def _configuration(self) -> list[str]:
        self.password_port, self.certificate_port = self.port, processes.free_port()
        text = (self.etc / "mosquitto.conf").read_text()
        for wanted, here in {
            "/etc/mosquitto": str(self.etc),
            "/var/lib/mosquitto": str(self.folder),
            "listener 8883": f"listener {self.password_port} {self.host}",
            "listener 8884": f"listener {self.certificate_port} {self.host}",
            "log_dest syslog": "log_dest stderr",
        }.items():
            assert wanted in text
            text = text.replace(wanted, here)
        return [text, *(["user root"] if os.geteuid() == 0 else [])]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the README's reader stands after its commands: keys and passwords here, what the broker needs in etc."""
    place = tmp_path_factory.mktemp("example") / "here"
    shutil.copytree(EXAMPLE, place)
    script = "set -e\n" + "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    here = {"sudo ": "", " -o root -g mosquitto": "", "broker.example": "localhost", "/etc/": f"{place}/etc/"}
    for wanted, instead in here.items():
        assert wanted in script
        script = script.replace(wanted, instead)
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:{SYSTEM_FOLDERS}"}
    assert program("mosquitto_passwd")
    subprocess.run(["sh", "-c", script], cwd=place, env=environment, check=True, capture_output=True)
    return place


@pytest.fixture
def locked(place: Path, tmp_path: Path) -> Iterator[ExampleBroker]:
    with ExampleBroker(tmp_path / "broker", place / "etc" / "mosquitto") as broker:
        yield broker


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def terminals(simulator: Simulator) -> dict[str, SimulatedTerminal]:
    return {name: simulator.add(TerminalConfig(profile="tft")) for name in ("principal", "entrada")}


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


def bridge(
    folder: Path,
    place: Path,
    broker: ExampleBroker,
    terminals: dict[str, SimulatedTerminal],
    *,
    discovery: bool = False,
    live: bool = False,
    **mqtt: Any,
) -> Daemon:
    login: dict[str, Any] = {"username": "bridge", "password_file": str(place / "bridge.password")}
    login |= {"host": "localhost", "tls": {"ca_file": str(place / "ca.crt")}}
    attendance = "live" if live else "off"
    devices = {name: device(terminal, attendance=attendance) for name, terminal in terminals.items()}
    more: dict[str, Any] = {"probe_interval": 300, "log": {"level": "debug"}, "homeassistant": {"discovery": discovery}}
    return Daemon(folder, broker.password_port, devices, mqtt=login | mqtt, **more, covered=False)


def person(place: Path, broker: ExampleBroker, name: str, protocol: str = "5", **more: Any) -> Caller:
    password = (place / f"{name}.password").read_text().strip()
    login: dict[str, Any] = {"username": name, "password": password} | more
    return Caller(broker.password_port, protocol, host="localhost", ca_file=place / "ca.crt", **login)


def test_the_allowed_caller_creates_a_user_and_only_the_caller_sees_it(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal], protocol: str
) -> None:
    with (
        person(place, locked, "panel", protocol) as panel,
        person(place, locked, "reception", protocol) as caller,
    ):
        for each in (panel, caller):
            each.subscribe("#")
        with bridge(tmp_path / "d", place, locked, terminals, protocol=protocol) as daemon:
            caller.wait_for("zk/principal/availability", timeout=20)
            caller.publish(CREATE, USER)
            assert caller.wait_for(f"{CREATE}/reply", timeout=20).json["code"] == "created"
            if protocol == "5":
                caller.publish(CREATE, USER, response_topic="zk/replies/reception/1")
                assert caller.wait_for("zk/replies/reception/1").json["code"] == "user_exists"
            panel.wait_for("zk/entrada/availability", timeout=20)
            wait_until(lambda: "everything subscribed to is heard" in daemon.log)

    assert [user.user_id for user in terminals["principal"].users()] == ["1"]
    assert {m.topic for m in panel.messages} - {"zk/bridge/health"} == {
        "zk/bridge/state",
        "zk/bridge/info",
        "zk/principal/availability",
        "zk/entrada/availability",
        *(["zk/bridge/availability"] if protocol == "3.1.1" else []),  # the bridge tries whether it is taken
    }
    assert {m.topic for m in caller.messages} <= {
        "zk/bridge/state",
        "zk/principal/availability",
        f"{CREATE}/reply",
        "zk/replies/reception/1",
    }
    assert "refuse" not in daemon.log
    assert "deaf" not in daemon.log


def test_a_device_of_others_cannot_be_asked(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal], protocol: str
) -> None:
    with (
        bridge(tmp_path / "d", place, locked, terminals) as daemon,
        person(place, locked, "reception", protocol) as caller,
    ):
        caller.subscribe("#")
        if protocol == "5":
            with pytest.raises(Refused) as refused:
                caller.publish("zk/entrada/users/create", USER)
            assert refused.value.reason == NOT_AUTHORIZED
        else:
            caller.publish("zk/entrada/users/create", USER)  # MQTT 3.1.1 has no word for it
        caller.publish(CREATE, USER)
        caller.wait_for(f"{CREATE}/reply", timeout=20)

    assert "device=entrada command" not in daemon.log
    assert terminals["entrada"].users() == []


@pytest.mark.parametrize("flow", ["flow-mqtt5.json", "flow-mqtt3.json"])
def test_node_red_has_the_rights_that_its_flows_need(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal], flow: str
) -> None:
    filters = [
        node["topic"]
        for node in json.loads((ROOT / "examples" / "node-red" / flow).read_text())
        if node["type"] == "mqtt in"
    ]
    five = "zk/replies/node-red" in filters
    with (
        bridge(tmp_path / "d", place, locked, terminals),
        person(place, locked, "node-red", "5" if five else "3.1.1") as caller,
    ):
        for each in filters:
            caller.subscribe(each)
        caller.publish(CREATE, USER, response_topic="zk/replies/node-red" if five else None)
        caller.wait_for("zk/replies/node-red" if five else f"{CREATE}/reply", timeout=20)
        for topic in ("zk/principal/availability", "zk/entrada/availability", "zk/bridge/state"):
            caller.wait_for(topic, timeout=20)


def test_home_assistant_sees_the_terminals_and_has_the_rights_for_their_buttons(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal], protocol: str
) -> None:
    announced = [f"homeassistant/device/zkbridge_zk/{each}/config" for each in ("bridge", "principal", "entrada")]
    with (
        bridge(tmp_path / "d", place, locked, terminals, discovery=True) as daemon,
        person(place, locked, "home-assistant", protocol) as caller,
    ):
        for each in ("homeassistant/device/+/+/config", "zk/bridge/state", "zk/+/availability", "zk/+/status"):
            caller.subscribe(each)
        shown = [caller.wait_for(topic, timeout=20).json for topic in announced]
        caller.wait_for("zk/principal/status", lambda message: message.json["users"] == 0, timeout=20)
        pressed = shown[1]["components"]["check"]
        caller.publish(pressed["command_topic"], pressed["payload_press"])
        wait_until(lambda: "answered request=1 device=principal command=info" in daemon.log, timeout=20)
        caller.publish("homeassistant/status", b"online")
        again = [caller.wait_for(topic, timeout=20) for topic in announced]
        wait_until(lambda: "everything subscribed to is heard" in daemon.log, timeout=20)

    assert not any(message.retain for message in again)
    assert "refuse" not in daemon.log
    assert "deaf" not in daemon.log


@pytest.fixture
def operator(tmp_path: Path, place: Path, locked: ExampleBroker) -> Callable[..., list[str]]:
    """Runs the program as the README's operator would; a function of its words."""
    login: dict[str, Any] = {"username": "operator", "password_file": str(place / "operator.password")}
    mqtt = {"host": "localhost", "port": locked.password_port, "tls": {"ca_file": str(place / "ca.crt")}, **login}
    path = tmp_path / "operator.yaml"
    path.write_text(json.dumps({"mqtt": mqtt, "devices": {"principal": {"host": "192.0.2.1"}}}))
    return lambda *words: [sys.executable, "-u", "-m", "zkbridge", *map(str, words), "--config", str(path)]


def said(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_operator_has_the_command_line_and_sees_answers_and_punches(
    tmp_path: Path,
    place: Path,
    locked: ExampleBroker,
    terminals: dict[str, SimulatedTerminal],
    operator: Callable[..., list[str]],
) -> None:
    log = tmp_path / "watch"
    create = ("users", "create", "principal", "--user-id", "1", "--name", "Ana")
    enroll = ("users", "enroll-finger", "principal", "--user-id", "1", "--finger-index", "6")
    with bridge(tmp_path / "d", place, locked, terminals, live=True) as daemon:
        wait_until(lambda: daemon.log.count("listened to for the first time") == 2, timeout=20)
        watch = processes.start(operator("watch"), log=log)
        wait_until(lambda: "bridge online" in log.read_text(), timeout=20)
        assert "Usuario registrado." in said(operator(*create))
        terminals["principal"].enrol([100, 100, 100])
        enrolled = subprocess.run(operator(*enroll), check=True, capture_output=True, text=True, timeout=60)
        terminals["principal"].punch("1")
        wait_until(lambda: "• principal: user 1 at" in log.read_text(), timeout=20, what=log.read_text())
        wait_until(lambda: "Huella registrada." in log.read_text(), timeout=20)
        assert processes.stop(watch) == 0

    assert enrolled.stderr.splitlines()[-1] == "Muestra 3 de 3 tomada."
    assert "… principal users/enroll-finger 1: Muestra 3 de 3 tomada." in log.read_text()
    assert re.search(r"← principal users/create.*: 200 Usuario registrado\.", log.read_text())
    assert "→" not in log.read_text(), "what is asked holds passwords"
    assert "refuse" not in daemon.log
    assert "deaf" not in daemon.log


def test_a_door_opens_after_a_restart_once_the_bridge_knows_that_no_message_waits(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal]
) -> None:
    daemon = bridge(tmp_path / "d", place, locked, terminals)
    for each in daemon.config["devices"].values():
        each["door"] = {"enabled": True, "trust_clock": True}
    with daemon:
        pass
    with daemon, person(place, locked, "operator") as operator:
        operator.subscribe("zk/principal/door/unlock/reply")
        wait_until(lambda: "everything subscribed to is heard" in daemon.log.partition("resumed session")[2])
        operator.publish("zk/principal/door/unlock", {})
        assert operator.wait_for("zk/principal/door/unlock/reply", timeout=20).json["code"] == "unlocked"


def test_the_operator_may_ask_every_command_and_read_every_answer() -> None:
    topics, may = Topics(), rights("operator")

    for name, command in commands().items():
        assert topics.command("+", name) in may["write"]
        assert topics.reply("+", name) in may["read"]
        assert not command.attended or topics.progress("+", name) in may["read"]
        assert topics.command("+", name) not in may["read"], "what is asked holds passwords"


def test_punches_reach_a_client_that_may_read_them(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal], protocol: str
) -> None:
    with (
        bridge(tmp_path / "d", place, locked, terminals, live=True, protocol=protocol) as daemon,
        person(place, locked, "home-assistant") as home,
        person(place, locked, "panel") as panel,
    ):
        for each in (home, panel):
            each.subscribe("zk/+/attendance/event")
        wait_until(lambda: daemon.log.count("listened to for the first time") == 2, timeout=20)
        terminals["entrada"].fill_users(1)
        terminals["entrada"].punch("1")
        assert home.wait_for("zk/entrada/attendance/event", timeout=20).json["user_id"] == "1"

    assert panel.messages == []
    assert "refuse" not in daemon.log


def test_a_reply_goes_to_the_callers_own_topic_or_to_the_default(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal]
) -> None:
    """Whatever Response Topic somebody thinks of, the broker's rights and the bridge's rules both hold."""
    with (
        bridge(tmp_path / "d", place, locked, terminals),
        person(place, locked, "reception") as caller,
    ):
        caller.subscribe("#")
        caller.publish(CREATE, USER, response_topic="zk/principal/elsewhere")

        assert caller.wait_for(f"{CREATE}/reply", timeout=20).json["success"]


def test_strangers_do_not_get_in(place: Path, locked: ExampleBroker, protocol: str) -> None:
    for login in ({"username": None}, {"password": "wrong"}, {"username": "nobody"}):
        with pytest.raises(Refused) as refused, person(place, locked, "panel", protocol, **login):
            pass
        assert refused.value.reason == NOT_AUTHORIZED


def test_the_brokers_certificate_is_good_for_its_name_and_our_authority_alone(
    place: Path, locked: ExampleBroker
) -> None:
    ours = ssl.create_default_context(cafile=place / "ca.crt")
    for context, name in ((ours, "another.example"), (ssl.create_default_context(), "localhost")):
        with (
            socket.create_connection((locked.host, locked.password_port)) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(plain, server_hostname=name)
    with (
        socket.create_connection((locked.host, locked.password_port)) as plain,
        ours.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_thief_of_the_bridges_login_sends_no_command_and_reads_no_reply(place: Path, locked: ExampleBroker) -> None:
    own = {topic for topic in rights("bridge")["write"] if "+" not in topic and "#" not in topic}
    with (
        person(place, locked, "bridge") as thief,
        person(place, locked, "reception") as caller,
    ):
        thief.subscribe("#")
        others = ("other/topic", "homeassistant/status", "homeassistant/device/zkbridge_other/principal/config")
        for topic in (CREATE, "zk/entrada/users/create", "zk/principal/users", "zk/principal", "zk", *others):
            with pytest.raises(Refused) as refused:
                thief.publish(topic, PROBE)
            assert refused.value.reason == NOT_AUTHORIZED
        thief.publish("zk/replies/reception/1", b"{}")
        thief.publish(f"{CREATE}/reply", b"{}")
        for topic in sorted(own):
            thief.publish(topic, PROBE)
        caller.publish(CREATE, USER)
        thief.wait_for(CREATE)

    read = {m.topic for m in thief.messages}
    assert read <= own | {CREATE}
    assert not read & {"zk/replies/reception/1", f"{CREATE}/reply"}


def test_a_certificate_is_a_login(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal]
) -> None:
    certificate = {"cert_file": str(place / "bridge.crt"), "key_file": str(place / "bridge.key")}
    tls = {"ca_file": str(place / "ca.crt")} | certificate
    without_password: dict[str, Any] = {
        "username": None,
        "password_file": None,
        "port": locked.certificate_port,
        "tls": tls,
    }
    with (
        bridge(tmp_path / "d", place, locked, terminals, **without_password) as daemon,
        person(place, locked, "reception") as caller,
    ):
        caller.subscribe("#")
        caller.publish(CREATE, USER)
        assert caller.wait_for(f"{CREATE}/reply", timeout=20).json["success"]
        wait_until(lambda: "everything subscribed to is heard" in daemon.log)

    assert "refuse" not in daemon.log


def test_its_port_accepts_no_client_without_a_certificate(
    tmp_path: Path, place: Path, locked: ExampleBroker, terminals: dict[str, SimulatedTerminal]
) -> None:
    daemon = bridge(tmp_path / "d", place, locked, terminals, port=locked.certificate_port)
    daemon.start(online=False)
    wait_until(lambda: "no connection to the broker" in daemon.log)
    assert daemon.stop() == 0
    assert "connected to" not in daemon.log


@pytest.mark.parametrize(("lost", "said"), [("topic read", "deaf to zk/+/users/create"), ("reply", "answer=")])
def test_a_missing_right_is_named(
    tmp_path: Path, place: Path, terminals: dict[str, SimulatedTerminal], lost: str, said: str
) -> None:
    etc = tmp_path / "etc"
    shutil.copytree(place / "etc" / "mosquitto", etc)
    acl = etc / "zkbridge" / "acl"
    head, mine, others = re.split(r"(?=^user bridge$)|(?=^user reception$)", acl.read_text(), flags=re.MULTILINE)
    kept = [line for line in mine.splitlines(keepends=True) if not ("users/create" in line and lost in line)]
    acl.write_text(head + "".join(kept) + others)
    with (
        ExampleBroker(tmp_path / "broker", etc) as broker,
        bridge(tmp_path / "d", place, broker, terminals) as daemon,
        person(place, broker, "reception") as caller,
    ):
        caller.publish(CREATE, USER)
        wait_until(
            lambda: any(said in line and "ERROR" in line for line in daemon.log.splitlines()),
            timeout=20,
            what=f"{said}:\n{daemon.log}",
        )


def rights(user: str) -> dict[str, list[str]]:
    """What the list says of a user."""
    found: dict[str, list[str]] = {"read": [], "write": []}
    speaks_of = None
    for line in (EXAMPLE / "acl").read_text().splitlines():
        words = line.split()
        if words[:1] == ["user"]:
            speaks_of = words[1]
        elif words[:1] == ["topic"] and speaks_of == user:
            for access in ("read", "write"):
                found[access] += [words[2]] * (access in words[1])
    return found


#: Of a bridge that hears documents of desired users.
HEARS_DOCUMENTS = Config.model_validate({"devices": {"principal": {"host": "127.0.0.1"}}, "desired": {"enabled": True}})


def test_the_list_knows_every_command_and_gives_all_rights_for_each() -> None:
    topics, bridge_may = Topics(), rights("bridge")
    # By 3.1.1 it reads what it tries of its own replies and states, too.
    tried = {topics.reply("bridge", name) for name in commands()} | {topics.availability("bridge")}
    tried |= {topics.plan("bridge", DESIRED)}
    assert tried <= set(bridge_may["read"])
    heard = {topic.removeprefix("zk/+/") for topic in set(bridge_may["read"]) - tried} - {
        topics.state,
        topics.health,
        topics.punches("+").removeprefix("zk/+/"),
        "homeassistant/status",
    }
    documents = {topics.command("+", end) for end in DOCUMENTS}
    assert documents <= set(bridge_may["read"])
    assert {topics.plan("+", DESIRED), *echoes(HEARS_DOCUMENTS, []).values()} <= set(bridge_may["write"])
    heard -= set(DOCUMENTS)
    assert heard >= set(commands())

    for name in heard:
        assert topics.reply("+", name) in bridge_may["write"]
        assert topics.command("bridge", name) in bridge_may["write"]


@pytest.mark.parametrize(
    "block", re.findall(r"```yaml\n(.*?)```", README, re.DOTALL), ids=["password", "certificate", "operator"]
)
def test_the_readmes_configurations_are_valid(block: str) -> None:
    values = parse_yaml(block)
    values["mqtt"].pop("password_file", None)  # of another machine
    mqtt = Config.model_validate({"devices": {"principal": {"host": "192.168.1.201"}}} | values).mqtt

    assert mqtt.port == (8884 if mqtt.tls and mqtt.tls.cert_file else 8883)
