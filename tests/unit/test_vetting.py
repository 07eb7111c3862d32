"""A configuration that names what is not there."""

import pytest

from zkbridge.bridge.vetting import vet
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Config


def config(**more):
    return Config.model_validate({"devices": {"p": {"host": "a"}}, **more})


def faults(checked):
    with pytest.raises(ConfigError) as caught:
        vet(checked)
    return [str(fault) for fault in caught.value.faults]


def test_every_name_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    tls = {"ca_file": tmp_path / "ca.pem", "cert_file": tmp_path / "gone.pem", "key_file": tmp_path}
    commands = ["users/create", "users/creat", "x"]

    assert faults(config(mqtt={"tls": tls}, policy={"commands": commands})) == [
        f"mqtt.tls.cert_file: {tmp_path}/gone.pem: No such file or directory",
        f"mqtt.tls.key_file: {tmp_path}: Is a directory",
        "policy.commands.1: there is no command 'users/creat' (did you mean users/create?)",
        "policy.commands.2: there is no command 'x'",
    ]


@pytest.mark.parametrize("more", [{}, {"mqtt": {"tls": {}}}, {"policy": {"commands": ["users/create", "ping"]}}])
def test_what_is_there_is_no_fault(more):
    assert vet(config(**more)) == config(**more)


def test_a_metrics_port_without_the_package_that_serves_it_is_a_fault(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert vet(config()) == config()
    assert faults(config(metrics={"port": 9100})) == [
        "metrics.port: the package prometheus-client is not installed: pip install 'zkbridge[metrics]'"
    ]
