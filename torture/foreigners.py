"""Clients of somebody else, who know nothing of the bridge's locks.

They are no pyzk of their own: that never ends where a connection does (it would read on and on).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from zkbridge.config.models import Device
from zkbridge.contract.errors import TerminalError
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Known, open_session

TIMEOUT_S = 2
MOST_AT_ONCE = 2


class Foreigners:
    """Each reads the users of a terminal in a thread of its own; `came` counts them."""

    def __init__(self) -> None:
        self.came = 0
        self._threads: list[threading.Thread] = []

    def come(self, name: str, daemon: Daemon) -> bool:
        """One comes to a terminal of the daemon; False if too many are at work."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MOST_AT_ONCE:
            return False
        where = (daemon.config["devices"][name], daemon.folder / "locks of others")
        thread = threading.Thread(target=_look_around, args=where, name="foreigner")
        self._threads.append(thread)
        self.came += 1
        thread.start()
        return True

    def end(self) -> None:
        """Wait until all have gone."""
        for thread in self._threads:
            thread.join()


def _look_around(settings: dict[str, Any], locks: Path) -> None:
    # Whatever breaks for somebody else's program is not our concern.
    with suppress(TerminalError):
        visit = open_session(
            Device.model_validate({"id": "visit", **settings, "timeout": TIMEOUT_S}),
            deadline=Deadline.after(5 * TIMEOUT_S),
            known=Known(),
            disable_for=None,
            lock_dir=locks,
        )
        with visit:
            visit.users()
