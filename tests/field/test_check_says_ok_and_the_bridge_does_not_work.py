"""`check --connect` said ok where `run` could not work, and `run` said "Unspecified error".

Source: attack on 7bb949d, 2026-11
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.caller import Caller
from tests.support.certificates import Certificates, make_certificates
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from tests.support.strict_broker import Limits, StrictBroker
from tests.support.waiting import wait_until
from zkbridge.cli.main import main
from zkbridge.commands import commands

PLAIN = "the port speaks MQTT without TLS and mqtt.tls is set"
TLS = "the port expects TLS and mqtt.tls is not set"
QOS_0 = "it takes messages at QoS 0 only"
NO_RETAIN = "the broker keeps no retained messages"
ACL = "user bridge\ntopic readwrite ours/#\n"
DOCUMENTS = ["zk/+/users/desired", "zk/+/users/desired/#"]
NO_DOCUMENTS = "user bridge\ntopic readwrite zk/#\n" + "".join(f"topic deny {each}\n" for each in DOCUMENTS)
TRIED = sorted(f"zk/bridge/{name}" for name, command in commands().items() if command.delay_limit is None)
SOME = f"{', '.join(TRIED[:3])} and {len(TRIED) - 3} more"
REFUSED = f"it refuses what is published on {SOME}"
UNHEARD = f"what is published on {SOME} does not come back"
FORBIDDEN = "does its access list allow the base topic 'zk'?"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[dict[str, Mosquitto]]:
    """A Mosquitto for each way in which one can be set up."""
    folder = tmp_path_factory.mktemp("brokers")
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "tls": {"tls": certificates},
        "client certificates": {"tls": certificates, "client_certificates": True},
        "no retain": {"extra": ["retain_available false"]},
        "qos 0": {"extra": ["max_qos 0"]},
        "acl": {"users": {"bridge": "x"}, "acl": ACL},
        "no documents": {"users": {"bridge": "x"}, "acl": NO_DOCUMENTS},
        "anonymous": {"users": {"other": "x"}},
    }
    with ExitStack() as running:
        yield {
            kind: running.enter_context(Mosquitto(folder / kind.replace(" ", "-"), **more))
            for kind, more in kinds.items()
        }


def check(folder: Path, port: int, desired: dict[str, Any] | None = None, **mqtt: Any) -> tuple[str, str]:
    """The row of the broker: its first word, and what follows the address."""
    config = {"mqtt": {"host": "localhost", "port": port} | mqtt, "devices": {}, "lock_dir": str(folder)}
    config["desired"] = desired or {}
    config["devices"] = {"p": {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}}
    (folder / "config.yaml").write_text(json.dumps(config))
    done = CliRunner().invoke(main, ["check", "--connect", "--config", str(folder / "config.yaml")])
    (row,) = [line for line in done.output.splitlines() if " broker " in f" {line} " and f":{port} " in line]
    return row.split()[0], row.partition(f":{port}")[2].strip()


def cases(certificates: Certificates) -> dict[str, tuple[str, dict[str, Any], str, str]]:
    tls = {"ca_file": str(certificates.ca)}
    both = {"cert_file": str(certificates.client_cert), "key_file": str(certificates.client_key)}
    login = {"username": "bridge", "password": "x"}
    old = {"protocol": "3.1.1"}
    return {
        "all is well": ("plain", {}, "ok", "MQTT 5"),
        "all is well by 3.1.1": ("plain", old, "ok", "MQTT 3.1.1"),
        "all is well by TLS": ("tls", {"tls": tls}, "ok", "MQTT 5"),
        "all is well with a certificate": ("client certificates", {"tls": tls | both}, "ok", "MQTT 5"),
        "another base topic that is allowed": ("acl", login | {"base_topic": "ours"}, "ok", "MQTT 5"),
        "its own devices only": ("plain", {"unknown_devices": "ignore"}, "ok", "MQTT 5"),
        "plain TCP to a TLS port": ("tls", {}, "FAILED", TLS),
        "plain TCP to a TLS port by 3.1.1": ("tls", old, "FAILED", TLS),
        "TLS to a plain port": ("plain", {"tls": tls}, "FAILED", PLAIN),
        "no client certificate": ("client certificates", {"tls": tls}, "FAILED", "it wants a client certificate"),
        "another authority": ("tls", {"tls": {}}, "FAILED", "its certificate is not accepted: "),
        "no retained messages": ("no retain", {}, "ok", NO_RETAIN),
        "no retained messages by 3.1.1": ("no retain", old, "FAILED", "it keeps no retained messages, so it refuses"),
        "QoS 0 only": ("qos 0", {}, "FAILED", QOS_0),
        "QoS 0 only by 3.1.1": ("qos 0", old, "FAILED", QOS_0),
        "a base topic that is not allowed": ("acl", login, "FAILED", f"{REFUSED} (Not authorized); {FORBIDDEN}"),
        "a base topic that is not allowed by 3.1.1": ("acl", login | old, "FAILED", f"{UNHEARD}; {FORBIDDEN}"),
        "no login": ("anonymous", {}, "FAILED", "refused: Not authorized: it does not let this user in"),
        "no login by 3.1.1": ("anonymous", old, "FAILED", "refused: Not authorized: it does not let this user in"),
    }


CASES = [
    "all is well",
    "all is well by 3.1.1",
    "all is well by TLS",
    "all is well with a certificate",
    "another base topic that is allowed",
    "its own devices only",
    "plain TCP to a TLS port",
    "plain TCP to a TLS port by 3.1.1",
    "TLS to a plain port",
    "no client certificate",
    "another authority",
    "no retained messages",
    "no retained messages by 3.1.1",
    "QoS 0 only",
    "QoS 0 only by 3.1.1",
    "a base topic that is not allowed",
    "a base topic that is not allowed by 3.1.1",
    "no login",
    "no login by 3.1.1",
]


@pytest.mark.parametrize("case", CASES)
def test_check_has_a_sentence_for_each_case(
    brokers: dict[str, Mosquitto], certificates: Certificates, tmp_path: Path, case: str
) -> None:
    kind, mqtt, verdict, said = cases(certificates)[case]

    found, detail = check(tmp_path, brokers[kind].port, **mqtt)

    assert found == verdict, detail
    assert said in detail


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("5", "it refuses what is published on zk/bridge/users/desired, zk/bridge/users/desired/part/0"),
        ("3.1.1", "what is published on zk/bridge/users/desired, zk/bridge/users/desired/part/0 does not come back"),
    ],
)
def test_check_reports_that_the_access_list_lacks_the_topics_of_documents(
    brokers: dict[str, Mosquitto], tmp_path: Path, protocol: str, said: str
) -> None:
    mqtt: dict[str, Any] = {"username": "bridge", "password": "x", "protocol": protocol}
    port = brokers["no documents"].port

    found, detail = check(tmp_path, port, {"enabled": True}, **mqtt)

    assert (found, check(tmp_path, port, **mqtt)[0]) == ("FAILED", "ok")
    assert said in detail
    assert "plans of desired users" in detail


def test_a_check_leaves_nothing_at_the_broker_and_publishes_no_will(
    brokers: dict[str, Mosquitto], tmp_path: Path
) -> None:
    port = brokers["plain"].port
    with Caller(port) as caller:
        caller.subscribe("zk/#")
        assert check(tmp_path, port)[0] == "ok"
        caller.publish("zk/done")
        caller.wait_for("zk/done")

    assert {message.payload for message in caller.messages} == {b'{"probe":true}', b""}
    assert not [message for message in caller.messages if message.retain]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("plain TCP to a TLS port", TLS),
        ("TLS to a plain port", PLAIN),
        ("no client certificate", "it wants a client certificate"),
        ("another authority", "its certificate is not accepted: "),
        ("no login", "refused: Not authorized: it does not let this user in"),
        ("QoS 0 only", QOS_0),
        ("QoS 0 only by 3.1.1", QOS_0),
        ("no retained messages by 3.1.1", "it keeps no retained messages, so it refuses"),
    ],
)
def test_run_logs_the_same_sentence(
    brokers: dict[str, Mosquitto], certificates: Certificates, tmp_path: Path, case: str, said: str
) -> None:
    kind, mqtt, _, _ = cases(certificates)[case]
    devices = {"p": {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}}
    daemon = Daemon(tmp_path / "d", brokers[kind].port, devices, mqtt={"host": "localhost", **mqtt}, covered=False)
    daemon.start(online=False)
    wait_until(
        lambda: "no connection to the broker" in daemon.log and said in daemon.log, what=f"{said}:\n{daemon.log}"
    )
    assert daemon.stop() == 0

    assert "Unspecified error" not in daemon.log


def test_a_broker_that_just_closes_is_not_called_an_unspecified_error(tmp_path: Path) -> None:
    """A proxy that accepts, and has no broker behind it."""
    with StrictBroker(closed_port(), Limits("none")) as proxy:
        found, detail = check(tmp_path, proxy.port)
        daemon = Daemon(tmp_path / "d", proxy.port, {"p": {"host": "127.0.0.1", "port": closed_port()}}, covered=False)
        daemon.start(online=False)
        wait_until(lambda: "it closed the connection without an answer to CONNECT" in daemon.log)
        assert daemon.stop() == 0

    assert found == "FAILED"
    assert detail.startswith("it closed the connection without an answer to CONNECT")
    assert "Unspecified error" not in daemon.log
