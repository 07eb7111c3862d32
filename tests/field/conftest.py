"""A bridge that the cases of this folder share: none of them may stop it or spoil it."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

BASE = "field"


@dataclass(frozen=True)
class FieldSite:
    """The devices are `p` and `q`, the group is `both`; `ask` publishes at QoS 1 and returns the reply's body.

    `arab`, `west` and `letters` are `q` by another name: with code page 1256, with 1252, and with any user_id.
    """

    daemon: Daemon
    caller: Caller
    terminals: dict[str, SimulatedTerminal]

    def ask(
        self, topic: str, payload: bytes | dict[str, Any], *, timeout: float = 20, **properties: Any
    ) -> dict[str, Any]:
        """The Correlation Data tells the reply from one that another case has left."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        mark = properties.setdefault("correlation_data", secrets.token_bytes(8))
        self.caller.publish(f"{BASE}/{topic}", body, **properties)
        where = properties.get("response_topic") or f"{BASE}/{topic}/reply"
        return self.caller.wait_for(where, lambda m: m.correlation_data == mark, timeout=timeout).json

    @property
    def connections(self) -> int:
        """How often the bridge has connected to the broker."""
        return self.daemon.log.count(" connected to ")


@pytest.fixture(scope="session")
def field_site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[FieldSite]:
    """The daemon lives as long as the tests of one worker process."""
    with Simulator() as simulator:
        terminals = {name: simulator.add(TerminalConfig(profile="tft")) for name in ("p", "q")}
        devices = {
            **{name: device(terminal) for name, terminal in terminals.items()},
            "arab": device(terminals["q"], encoding="cp1256"),
            "west": device(terminals["q"], encoding="cp1252"),
            "letters": device(terminals["q"], user_id_charset="any"),
        }
        daemon = Daemon(
            tmp_path_factory.mktemp("field") / "d",
            shared_broker.port,
            devices,
            groups={"both": ["p", "q"]},
            mqtt={"base_topic": BASE},
            language="en",
            covered=False,
        )
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe(f"{BASE}/#", no_local=True)
            yield FieldSite(daemon, caller, terminals)


@pytest.fixture
def any_user(field_site: FieldSite) -> Iterator[SimulatedTerminal]:
    """The terminal of `p`, which takes whatever user_id another program writes."""
    terminal = field_site.terminals["p"]
    terminal.switches.user_id_rule = "accept"
    yield terminal
    terminal.switches.user_id_rule = "reject"
