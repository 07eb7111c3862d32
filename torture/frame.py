"""What the programs share: their arguments, the stage on which everything breaks, and how a run is told."""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import click

from tests.support.certificates import Certificates
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from torture.diary import Diary
from torture.havoc import Havoc
from torture.keeper import Keeper
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

#: Seconds of patience of the bridge with a terminal.
TIMEOUT_S = 2.0
#: Seconds between two lines about how far a run is.
TELL_EVERY_S = 15

#: A terminal: its profile, what the simulator and what the bridge is told.
Spec = tuple[str, dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What a run has to say, line by line, and whether anything was wrong."""

    lines: Sequence[str]
    failed: bool


def run_program(
    parser: argparse.ArgumentParser, arguments: Sequence[str], go: Callable[[argparse.Namespace, Path], Outcome]
) -> int:
    """Read the arguments, with a seed and a folder to keep; have `go` run, print what it says; 1 if it failed."""
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000))
    parser.add_argument("--keep", type=Path, help="leave logs, ledger and broker's files in this new folder")
    wanted = parser.parse_args(arguments)
    if wanted.keep:
        wanted.keep.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix=f"zkbridge-{parser.prog}-") as folder:
        outcome = go(wanted, wanted.keep or Path(folder))
    for line in outcome.lines:
        click.echo(line)
    return 1 if outcome.failed else 0


class Progress:
    """Tells now and then how far a run is."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._began = self._told = time.monotonic()

    def now(self, sentence: Callable[[], str]) -> None:
        """Tell it, if the last time is long ago."""
        now = time.monotonic()
        if now - self._told > TELL_EVERY_S:
            self._told = now
            self._tell(f"{now - self._began:4.0f} s: {sentence()}")


class Stage:
    """Simulated terminals, a broker that runs, and a daemon that does not yet; `keeper` starts and ends that."""

    def __init__(
        self,
        folder: Path,
        name: str,
        specs: Sequence[Spec],
        *,
        settings: Mapping[str, Any],
        broker: Sequence[str] = (),
        tls: Certificates | None = None,
        daemon: Mapping[str, Any],
    ) -> None:
        self.simulator = Simulator()
        self.terminals: dict[str, SimulatedTerminal] = {}
        devices: dict[str, Any] = {}
        for number, (profile, switches, told) in enumerate(specs):
            terminal = self._add(profile, dict(switches))
            self.terminals[f"puerta-{number}"] = terminal
            devices[f"puerta-{number}"] = device(terminal, timeout=TIMEOUT_S, **{**settings, **told})
        self.broker = Mosquitto(folder / "mosquitto", persistence=True, extra=broker, tls=tls)
        self.broker.start()
        self.daemon = self._make_daemon(folder / name, devices, daemon)
        self.diary = Diary()
        self.keeper = Keeper(self.daemon, self.diary)

    def _make_daemon(self, folder: Path, devices: dict[str, Any], settings: Mapping[str, Any]) -> Daemon:
        return Daemon(folder, self.broker.port, devices, **settings)

    def _add(self, profile: str, switches: dict[str, Any]) -> SimulatedTerminal:
        key = switches.pop("comm_key", 0)
        return self.simulator.add(TerminalConfig(profile=profile, comm_key=key, switches=switches))

    def stop_daemon(self) -> list[str]:
        """Stop the daemon as systemd does; a sentence if it did not end well."""
        code = self.daemon.stop()
        return [f"the daemon stopped with {code}"] if code else []

    def stored(self, query: str) -> list[Any]:
        """Rows of the ledger, as the disk has them."""
        with closing(sqlite3.connect(self.daemon.state / "ledger.db")) as ledger:
            return ledger.execute(query).fetchall()

    def close(self) -> None:
        """End whatever still runs."""
        if self.daemon.running:
            self.keeper.resume()
            self.daemon.kill()
        self.broker.stop()
        self.simulator.stop()


class Scene(Stage):
    """A stage, and what breaks it at random."""

    def __init__(
        self,
        folder: Path,
        name: str,
        specs: Sequence[Spec],
        *,
        random: Random,
        listen_again: Callable[[], None],
        settings: Mapping[str, Any],
        broker: Sequence[str] = (),
        tls: Certificates | None = None,
        daemon: Mapping[str, Any],
        havoc: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, name, specs, settings=settings, broker=broker, tls=tls, daemon=daemon)
        self.havoc = Havoc(
            random,
            keeper=self.keeper,
            broker=self.broker,
            terminals=self.terminals,
            listen_again=listen_again,
            **(havoc or {}),
        )

    def close(self) -> None:
        """End what breaks things, and whatever still runs."""
        self.havoc.close()
        super().close()
