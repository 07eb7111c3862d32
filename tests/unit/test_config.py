"""The configuration: every fault named by its path, defaults as config.yaml shows them, secrets from files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from zkbridge.config.faults import ConfigError
from zkbridge.config.loader import load, remarks, state_dir
from zkbridge.config.models import Config
from zkbridge.config.yaml_file import parse_yaml

ROOT = Path(__file__).parents[2]
MINIMAL = "devices: {principal: {host: 192.168.1.201}}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def faults(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), environment or {})
    return [str(fault) for fault in caught.value.faults]


def test_the_example_shows_every_key_with_its_default() -> None:
    shown = parse_yaml((ROOT / "config.yaml").read_text())
    loaded = load(ROOT / "config.yaml", {})
    default = Config.model_validate({"devices": {"x": {"host": "h"}}})

    def keys(model: BaseModel, mapping: dict[str, Any], secrets: Sequence[str] = ()) -> None:
        wanted = {name for name in type(model).model_fields if name not in ("id", "password")} | set(secrets)
        assert set(mapping) == wanted, type(model).__name__

    keys(default, shown)
    keys(default.mqtt, shown["mqtt"], ["password_file"])
    keys(default.retry, shown["retry"])
    keys(default.policy, shown["policy"])
    keys(default.ledger, shown["ledger"])
    keys(default.log, shown["log"])
    keys(default.metrics, shown["metrics"])
    keys(default.homeassistant, shown["homeassistant"])
    keys(default.desired, shown["desired"])
    keys(default.backup, shown["backup"])
    keys(default.devices["x"], shown["devices"]["entrada"])
    assert loaded.model_copy(update={"devices": default.devices}) == default
    entrada = loaded.devices["entrada"].model_copy(update={"id": "x", "host": "h"})
    assert entrada == default.devices["x"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("devices: {entrada: {host: x, port: 70000}}", "devices.entrada.port: 70000 is not a port (1 to 65535)"),
        ("devices: {entrada: {host: x, port: true}}", "devices.entrada.port: True is not a port (1 to 65535)"),
        ("devices: {entrada: {}}", "devices.entrada.host: is required"),
        ("devices: {entrada: {host: 'a b'}}", "devices.entrada.host: 'a b' is not a host name or address"),
        (
            "devices: {entrada: {host: 'x;touch y/'}}",
            "devices.entrada.host: 'x;touch y/' is not a host name or address",
        ),
        ("devices: {entrada: }", "devices.entrada: must be a mapping of keys and values"),
        ("devices: {}", "devices: must name at least one device"),
        ("", "devices: is required"),
        ("devices: {bridge: {host: x}}", "devices.bridge: 'bridge' is not a device id"),
        ("devices: {a.b: {host: x}}", "devices.a.b: 'a.b' is not a device id"),
        (MINIMAL + "mqtt: {hots: x}", "mqtt.hots: no such key (did you mean host?)"),
        (MINIMAL + "mqtt: {protocol: 4}", "mqtt.protocol: must be 'auto', '5' or '3.1.1'"),
        (MINIMAL + "mqtt: {base_topic: a.b}", "mqtt.base_topic: 'a.b' is not a base topic"),
        (MINIMAL + "mqtt: {base_topic: 'zk/#'}", "mqtt.base_topic: 'zk/#' is not a base topic"),
        (MINIMAL + "mqtt: {response_topics: ['a/#/b']}", "mqtt.response_topics.0: 'a/#/b' is not a topic filter"),
        (MINIMAL + "homeassistant: {prefix: 'ha/+'}", "homeassistant.prefix: 'ha/+' is not a base topic"),
        (MINIMAL + "homeassistant: {discover: true}", "homeassistant.discover: no such key (did you mean discovery?)"),
        (MINIMAL + "retry: {attempts: 0}", "retry.attempts: must be greater than or equal to 1"),
        (MINIMAL + "session_budget: 0", "session_budget: must be greater than 0"),
        (MINIMAL + "session_budget: 2s", "session_budget: '2s' is not a number of seconds"),
        (MINIMAL + "backup: {recipient: [7]}", "backup.recipient: must be a text, or a list of texts"),
        (MINIMAL + "backup: {nightly: '24:00'}", "backup.nightly: '24:00' is not a time of day (00:00 to 23:59)"),
        (MINIMAL + "backup: {nightly: 0330}", "backup.nightly: 330 is not a time of day (00:00 to 23:59)"),
        (MINIMAL + "language: fr", "language: must be 'es' or 'en'"),
        (MINIMAL + "state_dir: 5", "state_dir: must be a path"),
        (MINIMAL + "5: x", "5: no such key"),
        (MINIMAL + "mqtt: {host: '10.0.0.1:1883'}", "'10.0.0.1:1883' is not a host name or address; a port is a key"),
        (MINIMAL + "mqtt:\n\thost: x", "that cannot start any token (indent with spaces, not with tabs)"),
        (MINIMAL + "metrics: {port: 0}", "metrics.port: 0 is not a port (1 to 65535)"),
        (MINIMAL + "metrics: {port: '98120'}", "metrics.port: 98120 is not a port (1 to 65535)"),
        (MINIMAL + "metrics: {host: 'a b'}", "metrics.host: 'a b' is not a host name or address"),
        (MINIMAL + "metrics: {prot: 9812}", "metrics.prot: no such key (did you mean port?)"),
        (MINIMAL + "metrics: 9812", "metrics: must be a mapping of keys and values"),
        (MINIMAL + "log: {level: loud}", "log.level: must be 'debug', 'info', 'warning' or 'error'"),
        ("devices: {x: {host: h, encoding: klingon}}", "devices.x.encoding: 'klingon' is not a known encoding"),
        ("devices: {x: {host: h, encoding: utf-16}}", "devices.x.encoding: 'utf-16' is not a known encoding of text"),
        ("devices: {x: {host: h, encoding: hex}}", "devices.x.encoding: 'hex' is not a known encoding of text"),
        ("devices: {x: {host: h, record: 5}}", "devices.x.record: must be 'auto', 72 or 28"),
        ("devices: {x: {host: h, comm_key_file: gone}}", "devices.x.comm_key_file: gone: No such file"),
        ("- a\n- b\n", "must be a mapping with keys such as mqtt and devices"),
        ("devices: {x: {host: h}, x: {host: i}}", 'found duplicate key "x"'),
        ("devices: [\n", "line 2, column 1:"),
    ],
)
def test_every_fault_is_named_by_its_path(tmp_path: Path, text: str, fault: str) -> None:
    assert any(fault in said for said in faults(tmp_path, text)), faults(tmp_path, text)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    said = faults(tmp_path, "mqtt: {port: 0}\ndevices: {x: {host: h, timeout: -1}}\nqueue_limit: 0\n")

    assert [line.split(":")[0] for line in said] == ["mqtt.port", "devices.x.timeout", "queue_limit"]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "gone.yaml", {})

    (tmp_path / "latin.yaml").write_bytes(b"devices: {x: {host: \xff}}")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "latin.yaml", {})


def test_variables_override_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "devices: {Puerta: {host: 192.168.1.201}}\nmqtt: {host: a}\n")
    config = load(
        path,
        {
            "ZKBRIDGE_MQTT__HOST": "broker.local",
            "ZKBRIDGE_MQTT__PASSWORD": "12345",
            "ZKBRIDGE_DEVICES__PUERTA__PORT": "4371",
            "ZKBRIDGE_RETRY__ATTEMPTS": "5",
            "ZKBRIDGE_CONFIG": "ignored",
            "OTHER": "ignored",
        },
    )

    assert config.mqtt.host == "broker.local"
    assert config.mqtt.password == "12345"
    assert config.devices["Puerta"].port == 4371
    assert config.retry.attempts == 5


def test_a_variable_that_names_no_key_is_a_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, MINIMAL, {"ZKBRIDGE_MQTT__HOTS": "x"}) == ["mqtt.hots: no such key (did you mean host?)"]
    said = faults(tmp_path, MINIMAL, {"ZKBRIDGE_LANGUAGE__X__Y": "x", "ZKBRIDGE_LANGUAGE": "es"})
    assert said == ["ZKBRIDGE_LANGUAGE__X__Y: does not name a key of the configuration"]


def test_certificates_stand_where_secrets_do(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "bridge.key").write_text("a key")
    tls = "{ca_file: ca.crt, cert_file: $WHERE/bridge.crt, key_file: bridge.key}"
    path = write(tmp_path, f"mqtt: {{tls: {tls}}}\n" + MINIMAL)

    config = load(path, {"WHERE": "/elsewhere", "CREDENTIALS_DIRECTORY": str(credentials)})

    assert config.mqtt.tls is not None
    assert [str(file) for _, file in config.mqtt.tls] == [
        str(tmp_path / "ca.crt"),
        "/elsewhere/bridge.crt",
        str(credentials / "bridge.key"),
    ]


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret\n")
    (tmp_path / "key").write_text("778899\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "broker").write_text("from systemd")
    path = write(
        tmp_path,
        "mqtt: {username: u, password_file: pw}\n"
        "devices: {a: {host: h, comm_key_file: key}, b: {host: h, comm_key_file: '$WHERE/key'}}\n",
    )

    config = load(path, {"WHERE": str(tmp_path)})

    assert config.mqtt.password == "s3cret"
    assert config.devices["a"].comm_key == config.devices["b"].comm_key == 778899
    assert "s3cret" not in repr(config)
    assert "778899" not in repr(config)
    path.write_text("mqtt: {password_file: broker}\n" + MINIMAL)
    assert load(path, {"CREDENTIALS_DIRECTORY": str(credentials)}).mqtt.password == "from systemd"


def test_a_secret_that_is_no_number_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")

    said = faults(tmp_path, "devices: {a: {host: h, comm_key_file: key}}\n")

    assert said == ["devices.a.comm_key_file: key: must hold a decimal number"]


def test_the_port_follows_tls(tmp_path: Path) -> None:
    assert load(write(tmp_path, MINIMAL + "mqtt: {tls: {}}"), {}).mqtt.port == 8883
    assert load(write(tmp_path, MINIMAL + "mqtt: {tls: {}, port: 1884}"), {}).mqtt.port == 1884
    assert load(write(tmp_path, MINIMAL + "mqtt: {tls: }"), {}).mqtt.port == 1883


def test_a_protocol_may_be_written_as_a_number(tmp_path: Path) -> None:
    assert load(write(tmp_path, MINIMAL + "mqtt: {protocol: 5}"), {}).mqtt.protocol == "5"


def test_the_state_directory_is_systemds_or_the_users(tmp_path: Path) -> None:
    config = load(write(tmp_path, MINIMAL), {})

    assert state_dir(config, {"STATE_DIRECTORY": "/var/lib/zkbridge:/other"}) == Path("/var/lib/zkbridge")
    assert state_dir(config, {"XDG_STATE_HOME": "/x"}) == Path("/x/zkbridge")
    assert state_dir(config, {"HOME": "/home/pi"}) == Path("/home/pi/.local/state/zkbridge")
    configured = load(write(tmp_path, MINIMAL + "state_dir: /data/zk"), {})
    assert state_dir(configured, {"STATE_DIRECTORY": "/var/lib/zkbridge"}) == Path("/data/zk")


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("{port: 9812}", False),
        ("{port: 9812, host: '::1'}", False),
        ("{port: 9812, host: 127.9.9.9}", False),
        ("{port: 9812, host: localhost}", False),
        ("{host: 0.0.0.0}", False),  # off
        ("{port: 9812, host: 0.0.0.0}", True),
        ("{port: 9812, host: '::'}", True),
        ("{port: 9812, host: bridge.local}", True),
    ],
)
def test_figures_for_the_whole_network_are_remarked_upon(tmp_path: Path, metrics: str, said: bool) -> None:
    found = remarks(load(write(tmp_path, f"{MINIMAL}metrics: {metrics}\n"), {}))

    assert [fault.path for fault in found] == (["metrics.host"] if said else [])


def test_a_secret_that_stands_twice_is_not_quoted(tmp_path: Path) -> None:
    said = faults(tmp_path, "mqtt: {password: hunter2, password: hunter3}\n" + MINIMAL)

    assert len(said) == 1
    assert 'found duplicate key "password"' in said[0]
    assert "hunter" not in said[0]


def test_a_secret_that_is_no_text_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "pw").write_bytes(b"\xff\xfe")

    assert faults(tmp_path, "mqtt: {username: u, password_file: pw}\n" + MINIMAL) == [
        "mqtt.password_file: pw: is not UTF-8 text"
    ]


def test_what_is_allowed_and_odd_is_remarked_upon(tmp_path: Path) -> None:
    text = "mqtt: {password: x}\ndevices: {p: {host: a}, q: {host: a}, r: {host: a, port: 4371}}\n"

    assert [str(fault) for fault in remarks(load(write(tmp_path, text), {}))] == [
        "mqtt.username: is empty, so the password is not sent",
        "devices.q: has the address of p: they are the same terminal",
    ]


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0", "192.168.1.201", "broker.local", "mosquitto"])
def test_names_and_addresses_of_both_kinds_are_hosts(tmp_path: Path, host: str) -> None:
    assert load(write(tmp_path, f"devices: {{p: {{host: '{host}'}}}}"), {}).devices["p"].host == host


TWO = "devices: {principal: {host: a}, entrada: {host: b}, 7: {host: c}}\n"


def test_a_group_has_devices_in_its_own_order(tmp_path: Path) -> None:
    config = load(write(tmp_path, TWO + "groups: {planta: [entrada, principal], 12: [7]}\n"), {})

    assert config.groups == {"planta": ("entrada", "principal"), "12": ("7",)}


def test_a_variable_may_name_a_groups_devices(tmp_path: Path) -> None:
    environment = {"ZKBRIDGE_GROUPS__PLANTA": "[principal, entrada]"}

    assert load(write(tmp_path, TWO), environment).groups == {"planta": ("principal", "entrada")}


@pytest.mark.parametrize(
    ("groups", "fault"),
    [
        (
            "[principal]",
            "groups: must be a mapping of ids, not a list: `planta: [principal, entrada]`, without a dash before it",
        ),
        ("{planta: }", "groups.planta: must be a list of device ids, at least one"),
        ("{planta: []}", "groups.planta: must be a list of device ids, at least one"),
        ("{planta: principal}", "groups.planta: must be a list of device ids, at least one"),
        ("{planta: {principal: 1}}", "groups.planta: must be a list of device ids, at least one"),
        ("{planta: [[principal]]}", "groups.planta.0: must be a valid string"),
        (
            "{planta: [true]}",
            'groups.planta.0: YAML reads this id as true, which is no text: put it in quotes, such as "true"',
        ),
        ("{planta: [entrda]}", "groups.planta.0: 'entrda' is no device (did you mean entrada?)"),
        ("{planta: [zzz]}", "groups.planta.0: 'zzz' is no device"),
        ("{planta: [principal, principal]}", "groups.planta.1: 'principal' is there twice"),
        ("{a: [principal], b: [entrada, a]}", "groups.b.1: 'a' is a group; a group has devices only"),
        ("{a: [a]}", "groups.a.0: 'a' is a group; a group has devices only"),
        ("{principal: [entrada]}", "groups.principal: is the id of a device already"),
        (
            "{bridge: [entrada]}",
            "groups.bridge: 'bridge' is not a device id (letters, digits, _ and -, at most 64, never 'bridge')",
        ),
        (
            "{a.b: [entrada]}",
            "groups.a.b: 'a.b' is not a device id (letters, digits, _ and -, at most 64, never 'bridge')",
        ),
    ],
)
def test_what_is_wrong_with_a_group_is_named_by_its_path(tmp_path: Path, groups: str, fault: str) -> None:
    assert faults(tmp_path, f"{TWO}groups: {groups}\n") == [fault]


def test_all_faults_of_groups_are_named_at_once(tmp_path: Path) -> None:
    text = "devices: {p: {host: 'a b'}}\ngroups: {p: [q], bridge: [p, p]}\n"

    assert [fault.split(":")[0] for fault in faults(tmp_path, text)] == [
        "groups.p",
        "groups.p.0",
        "groups.bridge.1",
        "devices.p.host",
        "groups.bridge",
    ]
