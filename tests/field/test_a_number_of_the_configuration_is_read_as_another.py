"""`comm_key: true` is key 1, a port in quotes is no port, a byte order mark becomes part of a password.

Source: attack on 7bb949d, 2026-11
"""

import codecs
from pathlib import Path

import pytest

from tests.unit.test_config import MINIMAL, faults, write
from zkbridge.config.loader import load


@pytest.mark.parametrize("word", ["true", "false", "True"])
@pytest.mark.parametrize("key", ["comm_key", "group", "user_id_width"])
def test_true_is_no_number_of_a_device(tmp_path: Path, key: str, word: str) -> None:
    told = faults(tmp_path, f"devices: {{a: {{host: h, {key}: {word}}}}}")

    assert f"devices.a.{key}: must be a whole number, not true or false" in told


def test_true_is_no_number_elsewhere(tmp_path: Path) -> None:
    text = "queue_limit: true\nretry: {attempts: true}\nmqtt: {keepalive: true}\nledger: {max_punches: true}\n"

    told = faults(tmp_path, text + MINIMAL)

    assert len(told) == 4
    assert all(fault.endswith("must be a whole number, not true or false") for fault in told)


def test_numbers_in_quotes_are_numbers(tmp_path: Path) -> None:
    text = (
        'mqtt: {port: "1884"}\nmetrics: {port: "9000"}\n'
        'devices: {a: {host: h, port: "4371", comm_key: "0012", timeout: "2.5"}}\n'
    )

    config = load(write(tmp_path, text), {})

    device = config.devices["a"]
    assert (config.mqtt.port, config.metrics.port) == (1884, 9000)
    assert (device.port, device.comm_key, device.timeout) == (4371, 12, 2.5)


@pytest.mark.parametrize("port", ['"1883 "', '"x"', '"70000"', '"-1"', '"18.83"', "''", "'\u0661'"])
def test_what_is_no_port_in_quotes_is_refused(tmp_path: Path, port: str) -> None:
    assert faults(tmp_path, f"mqtt: {{port: {port}}}\n{MINIMAL}")


def test_a_wrong_key_is_not_quoted(tmp_path: Path) -> None:
    assert "geheim" not in "".join(faults(tmp_path, 'devices: {a: {host: h, comm_key: "geheim"}}'))


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(codecs.BOM_UTF8 + b"hola\r\n")
    (tmp_path / "key").write_bytes(codecs.BOM_UTF8 + b"1234\r\n")
    text = "mqtt: {username: u, password_file: password}\ndevices: {a: {host: h, comm_key_file: key}}\n"

    config = load(write(tmp_path, text), {})

    assert (config.mqtt.password, config.devices["a"].comm_key) == ("hola", 1234)


def test_a_byte_order_mark_is_no_part_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(codecs.BOM_UTF8 + MINIMAL.encode())

    assert list(load(tmp_path / "config.yaml", {}).devices) == ["principal"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_secret_in_utf_16_is_refused_and_not_quoted(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "password").write_bytes("hola\r\n".encode(encoding))

    [told] = faults(tmp_path, f"mqtt: {{username: u, password_file: password}}\n{MINIMAL}")

    assert told.startswith("mqtt.password_file: password: ")
    assert "UTF-8" in told
    assert "hola" not in told
