"""Where the soak takes place: a broker that speaks TLS, terminals of several kinds, the daemon by the week's clock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.daemon import Daemon
from torture.frame import Scene, Spec

_ROOM: dict[str, Any] = {"user_capacity": 12_000, "finger_capacity": 12_000}
#: Kinds of terminals, which repeat: profile, what the simulator and what the bridge is told.
KINDS: tuple[Spec, ...] = (
    ("tft", _ROOM, {}),
    ("ma300", {**_ROOM, "idle_timeout": 20.0}, {"transport": "udp"}),
    ("face", {**_ROOM, "silent_restart": True}, {}),
    ("tft", {**_ROOM, "idle_timeout": 20.0, "udp_duplicate": 0.02, "udp_reorder": 0.02}, {"transport": "udp"}),
    ("tft", {**_ROOM, "second_connection": "refuse", "comm_key": 1234}, {"comm_key": 1234}),
)

#: What systemd/zkbridge.service sets and what shows in the memory: without it the C library keeps what each thread has
#: freed for that thread alone, with 20 terminals 25 MB.
AS_A_SERVICE = {"MALLOC_ARENA_MAX": "2"}


class SoakDaemon(Daemon):
    """The daemon as a module runs it."""

    def __init__(self, *arguments: Any, program: str, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._program = program

    def _begin(self, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", self._program, *arguments]
        return processes.start(command, log=self.log_path, env={**environment, **AS_A_SERVICE})


class SoakScene(Scene):
    """A scene whose daemon lives by the clock of the week; `program` is the module that runs it."""

    program = "torture.soak_bridge"

    def _make_daemon(self, folder: Path, devices: dict[str, Any], settings: Mapping[str, Any]) -> Daemon:
        return SoakDaemon(folder, self.broker.port, devices, program=self.program, **settings)
