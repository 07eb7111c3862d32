"""Where something listens, whoever made it."""

from __future__ import annotations

from typing import Protocol


class Address(Protocol):
    """A host and a port to connect to."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
