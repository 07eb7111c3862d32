"""The differences between two configurations, and whether a running bridge can apply them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from zkbridge.config.faults import Fault
from zkbridge.config.models import Config
from zkbridge.config.yaml_file import Values

#: The keys that a running bridge can apply.
_TAKEN_OVER = {"devices", "groups"}


class Changes(NamedTuple):
    """Added, removed and changed devices and groups, in the order of the file; and the changes that need a restart."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    need_restart: tuple[Fault, ...]
    groups: tuple[str, ...] = ()  #: those that were added, removed or have other members

    def __str__(self) -> str:
        told = [
            f"{what}: {', '.join(devices)}"
            for what, devices in (
                ("added", self.added),
                ("removed", self.removed),
                ("changed", self.changed),
                ("groups", self.groups),
            )
            if devices
        ]
        return "; ".join(told) or "nothing changed"


def compare(old: Config, new: Config) -> Changes:
    """Sort the devices, and give one fault for every other key that differs; never a value, for it may be secret."""
    return Changes(
        added=tuple(each for each in new.devices if each not in old.devices),
        removed=tuple(each for each in old.devices if each not in new.devices),
        changed=tuple(each for each in old.devices if each in new.devices and old.devices[each] != new.devices[each]),
        need_restart=tuple(
            Fault(path, "has changed, which needs a restart")
            for path in _different(old.model_dump(exclude=_TAKEN_OVER), new.model_dump(exclude=_TAKEN_OVER))
        ),
        groups=tuple(each for each in {**old.groups, **new.groups} if old.groups.get(each) != new.groups.get(each)),
    )


def _different(old: Values, new: Values, above: str = "") -> Iterator[str]:
    for key, before in old.items():
        after = new[key]
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _different(before, after, f"{above}{key}.")
        elif before != after:
            yield f"{above}{key}"
