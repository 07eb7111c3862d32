"""Replaces or completes the file's values: `ZKBRIDGE_…` variables, secret files, paths of certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zkbridge.config.faults import ConfigError, Fault
from zkbridge.config.models import Tls
from zkbridge.config.yaml_file import Values, parse_yaml

ENVIRONMENT_PREFIX = "ZKBRIDGE_"
#: Variables under the prefix that are not configuration keys, but stand for options of the command line.
_RESERVED = {
    "ZKBRIDGE_CONFIG",
    "ZKBRIDGE_BROKER",
    "ZKBRIDGE_USERNAME",
    "ZKBRIDGE_BROKER_PASSWORD_FILE",
    "ZKBRIDGE_CA_FILE",
}
#: The key that names a secret's file, and the key of the secret itself.
SECRET_FILES = {"password_file": "password", "comm_key_file": "comm_key"}


def apply_overrides(values: Values, environment: Mapping[str, str]) -> list[Fault]:
    """Put `ZKBRIDGE_MQTT__HOST=…` and its like over the file's values; each value is read as YAML."""
    faults = []
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _RESERVED:
            continue
        *parents, key = name[len(ENVIRONMENT_PREFIX) :].split("__")
        place: Any = values
        for parent in parents:
            known = _as_written(place, parent)
            if place.get(known) is None:
                place[known] = {}
            place = place[known]
            if not isinstance(place, dict):
                break
        if not isinstance(place, dict):
            faults.append(Fault(name, "does not name a key of the configuration"))
            continue
        place[_as_written(place, key)] = _scalar(key, text)
    return faults


def _as_written(place: Values, key: str) -> str:
    """Find the file's own spelling of a key: variables are upper case by custom, device ids need not be."""
    return next((known for known in place if str(known).lower() == key.lower()), key.lower())


def _scalar(key: str, text: str) -> Any:
    """The variable's value as YAML reads it. Secrets, and what YAML cannot read, are taken as text."""
    if key.lower() in ("password", "username", "client_id"):
        return text
    try:
        return parse_yaml(text)
    except ConfigError:
        return text


def read_secrets(values: Values, folder: Path, environment: Mapping[str, str]) -> list[Fault]:
    """Replace `password_file` and `comm_key_file` by what the files hold."""
    faults = []
    for place, path in _sections(values):
        for file_key, key in SECRET_FILES.items():
            if file_key not in place:
                continue
            name = place.pop(file_key)
            if name is None:
                continue
            try:
                place[key] = _secret(key, _placed(str(name), folder, environment))
            except OSError as error:
                faults.append(Fault(f"{path}.{file_key}", f"{name}: {error.strerror}"))
            except UnicodeDecodeError:  # its words would quote the secret
                faults.append(Fault(f"{path}.{file_key}", f"{name}: is not UTF-8 text"))
            except ValueError as error:
                faults.append(Fault(f"{path}.{file_key}", f"{name}: {error}"))
    return faults


def place_certificates(values: Values, folder: Path, environment: Mapping[str, str]) -> None:
    """Resolve `mqtt.tls`, `backup.identity_file` and `desired.directory` in the same way as the paths of secrets."""
    for name, key in (("backup", "identity_file"), ("desired", "directory")):
        section = values.get(name)
        if isinstance(section, dict) and isinstance(section.get(key), str):
            section[key] = _placed(section[key], folder, environment)
    mqtt = values.get("mqtt")
    tls = mqtt.get("tls") if isinstance(mqtt, dict) else None
    if not isinstance(tls, dict):
        return
    for key in Tls.model_fields:
        if isinstance(tls.get(key), str):
            tls[key] = _placed(tls[key], folder, environment)


def _sections(values: Values) -> Iterator[tuple[Values, str]]:
    if isinstance(values.get("mqtt"), dict):
        yield values["mqtt"], "mqtt"
    devices = values.get("devices")
    for name, device in devices.items() if isinstance(devices, dict) else ():
        if isinstance(device, dict):
            yield device, f"devices.{name}"


def _placed(name: str, folder: Path, environment: Mapping[str, str]) -> Path:
    """The path of a file; a bare name is looked up among systemd's credentials, then beside the configuration."""
    expanded = re.sub(r"\$\{?(\w+)\}?", lambda match: environment.get(match[1], match[0]), name)
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / expanded).is_file():
        return Path(credentials) / expanded
    return folder / Path(expanded).expanduser()


def _secret(key: str, path: Path) -> str | int:
    text = path.read_text(encoding="utf-8-sig").rstrip("\r\n")
    if "\0" in text:
        raise ValueError("has NUL bytes, as UTF-16 does: save it as UTF-8 text")
    if key != "comm_key":
        return text
    if not text.strip().isdecimal():
        raise ValueError("must hold a decimal number")  # never quote it: it is the secret
    return int(text)
