"""A whole bridge at work for many tests: broker, daemon, and terminals that are simulated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig


@dataclass(frozen=True)
class Running:
    """Two terminals are there, `principal` and `entrada`; `apagada` is switched off."""

    broker: Mosquitto
    daemon: Daemon
    principal: SimulatedTerminal
    entrada: SimulatedTerminal

    @property
    def config(self) -> Path:
        return self.daemon.folder / "config.yaml"


@contextmanager
def running(folder: Path, **more: Any) -> Iterator[Running]:
    """Start it, and stop it; *more* is configuration."""
    with Mosquitto(folder / "mosquitto") as broker, Simulator() as simulator:
        principal, entrada = (simulator.add(TerminalConfig(profile="tft")) for _ in range(2))
        devices = {
            "principal": device(principal),
            "entrada": device(entrada),
            "apagada": {"host": "127.0.0.1", "port": closed_port(), "timeout": 3},
        }
        with Daemon(folder / "daemon", broker.port, devices, **more) as daemon:
            yield Running(broker, daemon, principal, entrada)
