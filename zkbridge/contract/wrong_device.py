"""The error for a terminal that is not the one that the configuration pins by its serial number."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from zkbridge.contract.errors import TerminalError


class WrongDevice(TerminalError):
    """The terminal at the address reports another serial number than `serial`, or none. Facts: host, port, found."""

    code = "wrong_device"
    ends_session = True
    sentences: ClassVar = MappingProxyType(
        {
            "": (
                "El dispositivo {host}:{port} tiene el número de serie {found}, no {serial}; no se le pidió nada más.",
                "The device at {host}:{port} has serial number {found}, not {serial}; nothing else was asked of it.",
            ),
            "untold": (
                "El dispositivo {host}:{port} no informa su número de serie ({serial}); no se le pidió nada más.",
                "Device {host}:{port} does not report its serial number ({serial}); nothing else was asked of it.",
            ),
        }
    )
    example: ClassVar = MappingProxyType({"serial": "AEWD193160018", "found": "AEWD193160019"})
