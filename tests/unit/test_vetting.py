"""A configuration that names what is not there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage
import pytest

from zkbridge.bridge import vetting
from zkbridge.bridge.vetting import vet
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Config


def config(**more: Any) -> Config:
    return Config.model_validate({"devices": {"p": {"host": "a"}}, **more})


def faults(checked: Config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        vet(checked)
    return [str(fault) for fault in caught.value.faults]


def test_every_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
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
def test_what_is_there_is_no_fault(more: dict[str, Any]) -> None:
    assert vet(config(**more)) == config(**more)


def test_a_metrics_port_without_the_package_that_serves_it_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert vet(config()) == config()
    assert faults(config(metrics={"port": 9100})) == [
        "metrics.port: the package prometheus-client is not installed: pip install 'zkbridge[metrics]'"
    ]


def test_a_recipient_without_the_package_that_encrypts_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert faults(config(backup={"recipient": "x"})) == [
        "backup.recipient: the package pyrage is not installed: pip install 'zkbridge[age]'"
    ]
    assert faults(config(backup={"identity_file": "x"})) == [
        "backup.identity_file: the package pyrage is not installed: pip install 'zkbridge[age]'"
    ]


@pytest.mark.parametrize("key", ["recipient", "identity_file"])
def test_a_32_bit_system_is_refused_encryption(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """For armhf there is no build of the package, so no advice to install it; tests/pi sees it on such a system."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("zkbridge.commands.api.age.sys", SimpleNamespace(maxsize=2**31 - 1))

    why = "this is a 32-bit system, for which there is no build of pyrage, the package that encrypts: leave it empty"
    assert faults(config(backup={key: "x"})) == [f"backup.{key}: {why}"]
    assert vet(config()) == config()


def test_an_unusable_key_is_named_by_its_place_and_never_quoted() -> None:
    identity = pyrage.x25519.Identity.generate()
    public, secret = str(identity.to_public()), str(identity)

    assert vet(config(backup={"recipient": public})).backup.recipient == (public,)
    assert faults(config(backup={"recipient": secret})) == [
        "backup.recipient: is a secret key; give the public key, which begins with age1, and keep the secret one"
    ]
    (first, second) = faults(config(backup={"recipient": [public, public[:-1], public[:-1] + "b" * 2]}))
    assert first.startswith("backup.recipient.1: is not a recipient of age")
    assert second.startswith("backup.recipient.2: is not a recipient of age")


def test_an_identity_that_every_user_can_read_is_a_fault_and_an_absent_one_a_remark(tmp_path: Path) -> None:
    path = tmp_path / "backup.key"
    absent = config(backup={"identity_file": path})

    assert vet(absent) == absent
    (remark,) = vetting.remarks(absent, clock=FakeClock(True))
    assert remark.startswith(f"backup.identity_file: {path} is not there")
    path.write_text("")
    path.chmod(0o644)
    assert faults(absent) == [f"backup.identity_file: {path}: everybody on this machine can read it: chmod 600 {path}"]


class FakeClock:
    def __init__(self, synchronised: bool) -> None:
        self.is_synchronised = lambda: synchronised


@pytest.mark.parametrize(
    ("door", "synchronised", "remarks"),
    [
        ({}, False, 0),
        ({"enabled": True}, True, 0),
        ({"enabled": True}, False, 1),
        ({"enabled": True, "trust_clock": True}, False, 0),
    ],
)
def test_a_door_without_a_synchronised_clock_is_worth_a_remark(
    door: dict[str, Any], synchronised: bool, remarks: int
) -> None:
    checked = config(devices={"p": {"host": "a", "door": door}})

    found = vetting.remarks(checked, clock=FakeClock(synchronised), hard_limit=1024)

    assert len(found) == remarks
    assert all("devices.p.door: this machine's clock is not synchronised" in each for each in found)


@pytest.mark.parametrize(("devices", "remarks"), [(240, 0), (260, 1)])
def test_more_devices_than_descriptors_are_worth_a_remark(devices: int, remarks: int) -> None:
    checked = config(devices={f"d{n}": {"host": f"h{n}"} for n in range(devices)})

    found = vetting.remarks(checked, hard_limit=1024)

    assert len(found) == remarks
    assert all("260 devices may need 1104 file descriptors, and the limit is 1024" in each for each in found)
