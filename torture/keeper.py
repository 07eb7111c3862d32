"""Keeps the daemon running, and ends it in all ways."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from tests.support.daemon import Daemon
from torture.diary import Diary

#: Mosquitto notes what has changed once in a round of its loop; what it confirmed just before it dies may be lost.
BROKER_MEMORY_S = 3.0


class Keeper:
    """Keeps the daemon running, like systemd, and ends it in all ways. Start and reap from the main thread only."""

    def __init__(self, daemon: Daemon, diary: Diary) -> None:
        self.daemon = daemon
        self.kills = self.stops = self.pauses = 0
        #: Whether the daemon may be killed from within its own process, as a power cut at a chosen point is.
        self.may_be_cut = False
        self.collapses: list[str] = []
        #: When a life of the daemon was ended or interrupted.
        self.wounds: list[float] = []
        self._diary = diary
        self._lock = threading.Lock()
        self._doomed: int | None = None
        self._leaving = False
        self._start_at: float | None = None
        self._frames = self._frames_before = 0
        self._born = 0.0

    def heard_frame(self) -> None:
        """A terminal was asked something."""
        self._frames += 1

    @property
    def work(self) -> int:
        """How much this life of the daemon has come to, whatever the machine's speed: requests to terminals."""
        return self._frames - self._frames_before

    @property
    def age_s(self) -> float:
        """The seconds since this life of the daemon began."""
        return time.monotonic() - self._born

    @property
    def alive(self) -> bool:
        """Whether it runs and nobody has ended it yet."""
        return self.daemon.running and self._doomed is None

    def kill(self, why: str) -> bool:
        """`kill -9`, from any thread; whether there was somebody to kill."""
        with self._lock:
            if not self.alive:
                return False
            self._doomed = self.daemon.pid
            self.wounds.append(time.time())
            self._diary.note("daemon", f"kill -9 {why}")
            os.kill(self._doomed, signal.SIGKILL)
            return True

    def terminate(self) -> bool:
        """SIGTERM, if it listens to that yet; it may take its time."""
        with self._lock:
            if not self.alive or self._leaving or not _catches(self.daemon.pid, signal.SIGTERM):
                return False
            self._leaving = True
            self.wounds.append(time.time())
            self._diary.note("daemon", "SIGTERM")
            os.kill(self.daemon.pid, signal.SIGTERM)
            return True

    def pause(self) -> bool:
        """SIGSTOP."""
        return self._signal(signal.SIGSTOP)

    def resume(self) -> bool:
        """SIGCONT."""
        return self._signal(signal.SIGCONT)

    def look(self, restart_in: float) -> None:
        """Reap it if it has ended, and start it again after a while."""
        if self._start_at is not None:
            if time.time() >= self._start_at:
                self.start()
            return
        if not self.daemon.running:
            self._reap()
            self._start_at = time.time() + restart_in

    def start(self, *, online: bool = False) -> None:
        """Start it now; return at once, or when the broker knows its subscriptions."""
        self._start_at = None
        self._frames_before, self._born = self._frames, time.monotonic()
        self.daemon.start(online=online)
        self._diary.note("daemon", "started")

    def _reap(self) -> None:
        with self._lock:
            code = self.daemon.wait()
            cut = self.may_be_cut and self._doomed is None and code == -signal.SIGKILL
            killed, left = self._doomed is not None or cut, self._leaving
            self._doomed, self._leaving = None, False
        if cut:
            self.wounds.append(time.time())
        self._diary.note("daemon", f"ended with {code}")
        if killed:
            self.kills += 1
        elif left and code == 0:
            self.stops += 1
        else:
            self.collapses.append(f"the daemon ended by itself with {code}")

    def _signal(self, sign: signal.Signals) -> bool:
        with self._lock:
            if not self.alive:
                return False
            if sign == signal.SIGSTOP:
                self.pauses += 1
            self.wounds.append(time.time())
            self._diary.note("daemon", sign.name)
            os.kill(self.daemon.pid, sign)
            return True


def _catches(pid: int, sign: signal.Signals) -> bool:
    """Whether a process has a handler for a signal: Python needs a moment until the daemon can say so."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> sign - 1 & 1)
