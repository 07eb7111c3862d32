"""What differs between two configurations, and whether a running bridge can take it over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zkbridge.config import Config, Fault


@dataclass(frozen=True)
class Changes:
    """Device ids by what became of them, each in the order of its file; and what only a restart can take over."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    need_restart: tuple[Fault, ...]

    def __str__(self) -> str:
        told = [
            f"{what}: {', '.join(devices)}"
            for what, devices in (("added", self.added), ("removed", self.removed), ("changed", self.changed))
            if devices
        ]
        return "; ".join(told) or "nothing changed"


def compare(old: Config, new: Config) -> Changes:
    """What becomes of each device, and one fault for every other key that differs; never a value, it may be secret."""
    return Changes(
        added=tuple(each for each in new.devices if each not in old.devices),
        removed=tuple(each for each in old.devices if each not in new.devices),
        changed=tuple(each for each in old.devices if each in new.devices and old.devices[each] != new.devices[each]),
        need_restart=tuple(
            Fault(path, "has changed, which needs a restart")
            for path in _different(old.model_dump(exclude={"devices"}), new.model_dump(exclude={"devices"}))
        ),
    )


def _different(old: dict[str, Any], new: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, before in old.items():
        after = new[key]
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _different(before, after, f"{above}{key}.")
        elif before != after:
            yield f"{above}{key}"
