"""A daemon and terminals of odd kinds on a shared broker, for the field corpus."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.caller import Caller
from tests.support.daemon import Daemon, client_id, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig


@dataclass(frozen=True)
class Odd:
    """One terminal: how it is simulated, and what the configuration says of it beside its address."""

    simulated: Mapping[str, Any]
    configured: Mapping[str, Any]


@dataclass(frozen=True)
class Site:
    """What runs. `caller` receives everything below `base`."""

    base: str
    daemon: Daemon
    caller: Caller
    terminals: dict[str, SimulatedTerminal]

    def ask(self, to: str, command: str, /, **fields: Any) -> dict[str, Any]:
        """Publish a command; its answer."""
        self.caller.publish(f"{self.base}/{to}/{command}", json.dumps(fields, ensure_ascii=False))
        return self.caller.wait_for(f"{self.base}/{to}/{command}/reply", timeout=30).json

    def events(self, of: str) -> list[dict[str, Any]]:
        """The punches that were published, each once."""
        topic = f"{self.base}/{of}/attendance/event"
        told = [message.json for message in self.caller.messages if message.topic == topic]
        return list({event["id"]: event for event in told}.values())


def odd(simulated: Mapping[str, Any] | None = None, **configured: Any) -> Odd:
    """A terminal with these switches, its profile among them; the keywords go into the device's configuration."""
    return Odd(simulated or {}, configured)


@contextmanager
def running(
    folder: Path,
    broker: Mosquitto,
    kinds: Mapping[str, Odd],
    *,
    prepare: Callable[[SimulatedTerminal], object] = lambda _terminal: None,
) -> Iterator[Site]:
    """Start it, and stop it. `prepare` is called with each terminal before the daemon starts."""
    base = client_id(folder)
    with Simulator() as simulator:
        terminals = {name: simulator.add(TerminalConfig(**kind.simulated)) for name, kind in kinds.items()}
        for terminal in terminals.values():
            prepare(terminal)
        devices = {name: device(terminals[name], **kind.configured) for name, kind in kinds.items()}
        daemon = Daemon(folder / "d", broker.port, devices, mqtt={"base_topic": base}, language="en", covered=False)
        with daemon, Caller(broker.port) as caller:
            caller.subscribe(f"{base}/#")
            yield Site(base, daemon, caller, terminals)
