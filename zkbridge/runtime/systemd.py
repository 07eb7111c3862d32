"""Notifies systemd (sd_notify(3)); does nothing where there is no systemd."""

from __future__ import annotations

import contextlib
import os
import socket
import time

#: How long a message waits for a service manager that does not read (seconds).
SEND_S = 1.0


class Notifier:
    """Sends to the socket that systemd named in NOTIFY_SOCKET when it started us."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @property
    def is_heard(self) -> bool:
        """Whether systemd listens."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` says when that is over."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=reading the configuration again")

    def status(self, status: str) -> None:
        """Set the status line that `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def alive(self, status: str) -> None:
        """Tell the watchdog that the daemon is well."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The stop has begun."""
        self._send("STOPPING=1\nSTATUS=finishing what is in hand")

    def interval(self) -> float | None:
        """Seconds between signs of life: half of what the watchdog waits, None without a watchdog."""
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        meant_for = os.environ.get("WATCHDOG_PID", "")
        if not microseconds.isdecimal() or (meant_for and meant_for != str(os.getpid())):
            return None
        return int(microseconds) / 2e6

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(SEND_S)
            line.sendto(text.encode(), self._address)
