"""Faults of a configuration in plain sentences, each with its path in the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from zkbridge.config.faults import Fault
from zkbridge.config.models import (
    Config,
    Device,
    Door,
    HomeAssistant,
    LedgerSettings,
    Log,
    Metrics,
    Model,
    Mqtt,
    Policy,
    Retry,
    Tls,
)
from zkbridge.config.overrides import SECRET_FILES
from zkbridge.config.rules import as_names
from zkbridge.config.yaml_file import Values


def group_faults(values: Values) -> Iterator[Fault]:
    """Check groups against devices; the models check each of them alone."""
    devices, groups = values.get("devices"), values.get("groups")
    known = list(map(str, devices)) if isinstance(devices, dict) else []
    if not isinstance(groups, dict):
        return
    for group, members in groups.items():
        if str(group) in known:
            yield Fault(f"groups.{group}", "is the id of a device already")
        named = as_names(members)
        for place, member in enumerate(named if isinstance(named, list) else ()):
            path = f"groups.{group}.{place}"
            if member in named[:place]:
                yield Fault(path, f"{member!r} is there twice")
            elif isinstance(member, str) and member not in known:
                yield Fault(path, _no_member(member, known, set(map(str, groups))))


def _no_member(member: str, devices: list[str], groups: set[str]) -> str:
    if member in groups:
        return f"{member!r} is a group; a group has devices only"
    near = difflib.get_close_matches(member, devices, n=1)
    return f"{member!r} is no device{f' (did you mean {near[0]}?)' if near else ''}"


def faults_of(error: ValidationError) -> list[Fault]:
    """Turn pydantic's errors into faults that use the configuration's own words."""
    return [Fault(_path(detail["loc"]), _sentence(detail)) for detail in error.errors(include_url=False)]


def _path(location: tuple[int | str, ...]) -> str:
    """`devices.entrada.port`; pydantic adds marks of its own (`[key]`, a union's branch), which no file has."""
    return ".".join(str(part) for part in location if not re.search(r"[\[(]|^literal|^constrained", str(part)))


_MAPPING = "must be a mapping of keys and values"
_SENTENCES = {
    "missing": "is required",
    "path_type": "must be a path",
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "model_attributes_type": _MAPPING,
}


def _sentence(detail: ErrorDetails) -> str:
    kind, facts = detail["type"], detail.get("ctx", {})
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in ("extra_forbidden", "invalid_key"):
        return f"no such key{_guess(detail['loc'])}"
    if kind == "literal_error":
        return f"must be {facts['expected']}"
    if kind == "too_short" and detail["loc"] == ("devices",):
        return "must name at least one device"
    return detail["msg"].removeprefix("Value error, ").replace("Input should", "must")


def _guess(location: tuple[int | str, ...]) -> str:
    models: dict[str, type[Model]] = {
        "mqtt": Mqtt,
        "mqtt.tls": Tls,
        "devices": Device,
        "door": Door,
        "retry": Retry,
        "policy": Policy,
        "ledger": LedgerSettings,
        "log": Log,
        "metrics": Metrics,
        "homeassistant": HomeAssistant,
    }
    *parents, key = [str(part) for part in location]
    if parents[:1] == ["devices"] and parents[2:] == ["door"]:
        parents = ["door"]
    model = Device if parents[:1] == ["devices"] else models.get(".".join(parents), Config)
    near = difflib.get_close_matches(key, [*model.model_fields, *SECRET_FILES], n=1)
    return f" (did you mean {near[0]}?)" if near else ""
