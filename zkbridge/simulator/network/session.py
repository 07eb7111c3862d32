"""A client's session with a terminal: its id, its rights, its buffers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Session:
    """Begun by CONNECT, ended by EXIT or with its connection.

    `prepared` is the data set that 1503 made ready, `upload` what 1501 brought; `mask` the events wanted.
    """

    number: int
    authorised: bool
    mask: int = 0
    prepared: bytes | None = None
    upload: bytearray = field(default_factory=bytearray)
    disabled_by_me: bool = False
    bulk_sent: int = 0
