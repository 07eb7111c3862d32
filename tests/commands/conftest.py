"""A daemon with one terminal of each kind, spoken to as callers do."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

KINDS = {
    "big-tcp": ("tft", "tcp"),
    "big-udp": ("tft", "udp"),
    "small-tcp": ("bw", "tcp"),
    "small-udp": ("bw", "udp"),
}


@dataclass
class Site:
    """One daemon in its own process, its terminals, and a caller."""

    caller: Caller
    daemon: Daemon
    terminals: dict[str, SimulatedTerminal]
    language: str
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def ask(self, to: str, command: str, body: Any = b"", /, **options: Any) -> dict[str, Any]:
        """Publish a command, and return the answer of its default reply topic."""
        payload = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self.caller.publish(f"zk/{to}/{command}", payload, **options)
        return self.caller.wait_for(f"zk/{to}/{command}/reply", timeout=20).json


@pytest.fixture(scope="module", params=["es", "en"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto
) -> Iterator[Site]:
    with Simulator() as simulator:
        terminals = {
            name: simulator.add(TerminalConfig(profile=profile, transport=transport))
            for name, (profile, transport) in KINDS.items()
        }
        devices = {
            name: device(
                terminal, transport=KINDS[name][1], timezone="America/Lima", door={"enabled": True, "trust_clock": True}
            )
            for name, terminal in terminals.items()
        }
        devices["shut"] = device(terminals["big-tcp"])
        folder = tmp_path_factory.mktemp("commands") / request.param
        daemon = Daemon(folder, shared_broker.port, devices, language=request.param, mqtt={"max_reply": 4096})
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe("zk/+/#")
            yield Site(caller, daemon, terminals, request.param)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of terminal, one after the other."""
    return request.param


@pytest.fixture
def terminal(site: Site, kind: str) -> SimulatedTerminal:
    """Emptied, and with one user; whoever is asked for a finger gives a good one."""
    terminal = site.terminals[kind]
    terminal.switches.enrolment = "good"
    for user in terminal.users():
        terminal.delete_user(user.user_id)
    terminal.add_user("700", "Ana", password="1234", card=77, group=3)
    return terminal


def said(site: Site, spanish: str, english: str) -> str:
    """The sentence in the language of the site."""
    return spanish if site.language == "es" else english
