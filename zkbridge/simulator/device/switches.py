"""Behaviours of real terminals that can be turned on, each by name, also while the terminal runs."""

from __future__ import annotations

import json
from dataclasses import Field, dataclass, fields
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.device.behaviours.answers import Answers
from zkbridge.simulator.device.behaviours.connections import Connections
from zkbridge.simulator.device.behaviours.people import People
from zkbridge.simulator.device.behaviours.power import Power
from zkbridge.simulator.device.behaviours.tables import Tables
from zkbridge.simulator.device.behaviours.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS = {"bool": bool, "int": int, "float": float, "str": str, "dict": dict}
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


@dataclass
class Switches(People, Tables, Users, Power, Connections, Answers):
    """How one terminal behaves. Setting a name that does not exist or a value that does not fit raises ValueError.

    Times are seconds. The bases stand in reverse because a dataclass takes the fields of its last base first.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Set one switch; a text is read as the switch's own type."""
        spec = _specs().get(name)
        if spec is None:
            raise ValueError(f"{name!r} is not a switch")
        object.__setattr__(self, name, _fitting(spec, value))
        watcher = self.__dict__.get("_watcher")
        if watcher is not None:
            watcher(name)

    def watch(self, function: Callable[[str], None]) -> None:
        """Call a function with the name of every switch that is set from now on."""
        object.__setattr__(self, "_watcher", function)

    def update(self, values: dict[str, Any]) -> None:
        """Set several by name; ValueError names the first that does not fit, and nothing is changed then."""
        trial = Switches(**self.as_dict())
        for name, value in values.items():
            setattr(trial, name, value)
        for name in values:
            setattr(self, name, getattr(trial, name))

    def as_dict(self) -> dict[str, Any]:
        """All values by name."""
        return {spec.name: getattr(self, spec.name) for spec in fields(self)}


def names() -> tuple[str, ...]:
    """The names of all switches, in the order of the table."""
    return tuple(_specs())


def rows() -> list[tuple[str, str, str, str]]:
    """Name, default, meaning and source of every switch."""
    return [
        (name, json.dumps(_default(spec)), spec.metadata["meaning"], spec.metadata["source"])
        for name, spec in _specs().items()
    ]


def markdown() -> str:
    """The table of switches for docs/simulator.md."""
    lines = ["| switch | default | meaning | source |", "|---|---|---|---|"]
    lines += [f"| `{name}` | `{default}` | {meaning} | {source} |" for name, default, meaning, source in rows()]
    return "\n".join(lines)


def _specs() -> dict[str, Field[Any]]:
    return Switches.__dataclass_fields__


def _default(spec: Field[Any]) -> Any:
    return {} if spec.type.startswith("dict") else spec.default


def _fitting(spec: Field[Any], value: Any) -> Any:
    kind = _KINDS[str(spec.type).partition("[")[0]]
    try:
        value = _from_text(kind, value) if isinstance(value, str) else _from_value(kind, value)
    except (TypeError, ValueError):
        raise ValueError(f"{spec.name}: {value!r} is not of type {kind.__name__}") from None
    choices = spec.metadata["choices"]
    if choices and not _chosen(value, choices):
        raise ValueError(f"{spec.name}: {value!r} is not one of {', '.join(choices)}")
    above = spec.metadata["above"]
    if above is not None and kind in (int, float) and value < above:
        raise ValueError(f"{spec.name}: {value!r} is below {above}")
    return value


def _chosen(value: str, choices: tuple[str, ...]) -> bool:
    if value in choices and not value.endswith("-"):
        return True
    stem, _, number = value.rpartition("-")
    return f"{stem}-" in choices and number.isdigit() and int(number) > 0


def _from_value(kind: type, value: Any) -> Any:
    if kind is dict:
        if not isinstance(value, dict):
            raise TypeError
        return {str(key): float(number) for key, number in value.items()}
    if kind in (int, float) and not isinstance(value, bool):
        return kind(value)
    if not isinstance(value, kind):
        raise TypeError
    return value


def _from_text(kind: type, value: str) -> Any:
    if kind is bool:
        if value.lower() not in _TRUE | _FALSE:
            raise ValueError
        return value.lower() in _TRUE
    if kind is dict:
        return _from_value(dict, json.loads(value))
    return int(value, 0) if kind is int else kind(value)
