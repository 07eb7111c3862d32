"""Read a configuration file, check it whole, and say what else is worth a look."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from zkbridge.config.explain import faults_of, group_faults
from zkbridge.config.faults import ConfigError, Fault
from zkbridge.config.models import Config
from zkbridge.config.overrides import apply_overrides, place_certificates, read_secrets
from zkbridge.config.rules import is_loopback
from zkbridge.config.yaml_file import Values, name_faults, parse_yaml


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in a file, overridden by `ZKBRIDGE_…` variables. Raises ConfigError with every fault."""
    environment = os.environ if environment is None else environment
    values = _read(path)
    faults = apply_overrides(values, environment)
    faults += name_faults(values)
    faults += read_secrets(values, path.parent, environment)
    place_certificates(values, path.parent, environment)
    faults += group_faults(values)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        known = {fault.path for fault in faults}
        raise ConfigError(faults + [fault for fault in faults_of(error) if fault.path not in known]) from None
    if faults:
        raise ConfigError(faults)
    return config


def remarks(config: Config) -> list[Fault]:
    """Warn of settings that are allowed and often a mistake."""
    found = []
    if config.mqtt.password is not None and config.mqtt.username is None:
        found.append(Fault("mqtt.username", "is empty, so the password is not sent"))
    first: dict[tuple[str, int], str] = {}
    for device in config.devices.values():
        other = first.setdefault((device.host, device.port), device.id)
        if other != device.id:
            found.append(Fault(f"devices.{device.id}", f"has the address of {other}: they are the same terminal"))
    host, port = config.metrics.host, config.metrics.port
    if port is not None and not is_loopback(host):
        rule = f"whoever reaches {host}:{port} may read device ids and figures, without a password"
        found.append(Fault("metrics.host", rule))
    return found


def state_dir(config: Config, environment: Mapping[str, str] | None = None) -> Path:
    """Where the ledger lives: as configured, else systemd's STATE_DIRECTORY, else the user's state folder."""
    environment = os.environ if environment is None else environment
    if config.state_dir is not None:
        return config.state_dir
    if systemd := environment.get("STATE_DIRECTORY"):
        return Path(systemd.split(":")[0])
    home = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".local/state"
    return Path(home) / "zkbridge"


def _read(path: Path) -> Values:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([Fault(str(path), f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Fault(str(path), "is not UTF-8 text")]) from None
    values = parse_yaml(text)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError([Fault(str(path), "must be a mapping with keys such as mqtt and devices")])
    return values
