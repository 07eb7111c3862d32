"""A Pi that starts in 1970 set its terminals to 2070, and opened a door for a request that had expired.

Source: attack on 7bb949d, 2026-11
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import device
from tests.support.in_process import FalseClock, bridge_here
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import Command, SimulatedTerminal, Simulator, TerminalConfig


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto
) -> Iterator[tuple[Caller, list[SimulatedTerminal]]]:
    """A bridge whose clock says two in the morning of the first of January 1970, and that knows of no time server."""
    folder = tmp_path_factory.mktemp("clock")
    clock = FalseClock(wall=7200 - time.time(), synchronised=False).clock()
    with Simulator() as simulator:
        terminals = [simulator.add(TerminalConfig(profile="tft")) for _ in range(2)]
        doors = ({"enabled": True}, {"enabled": True, "trust_clock": True})
        settings = {
            "mqtt": {"host": "127.0.0.1", "port": shared_broker.port, "client_id": "zkb-clock", "base_topic": "clock"},
            "devices": {
                name: device(terminal, door=door)
                for name, terminal, door in zip(("p", "trusting"), terminals, doors, strict=True)
            },
            "state_dir": folder / "state",
            "lock_dir": folder / "locks",
            "probe_interval": 0,
            "language": "en",
        }
        with bridge_here(settings, clock), Caller(shared_broker.port) as caller:
            caller.subscribe("clock/+/+/+/reply")
            yield caller, terminals


def ask(caller: Caller, topic: str, body: dict[str, str]) -> dict[str, Any]:
    caller.publish(f"clock/{topic}", body)
    return caller.wait_for(f"clock/{topic}/reply", timeout=30).json


def test_no_terminal_is_set_to_an_impossible_date(site: tuple[Caller, list[SimulatedTerminal]]) -> None:
    caller, (terminal, _) = site
    before = terminal.counts[Command.SET_TIME]

    answer = ask(caller, "p/time/sync", {})

    assert (answer["status"], answer["code"], answer["effect"]) == (503, "clock_untrusted", "none")
    assert terminal.counts[Command.SET_TIME] == before


def test_a_time_that_the_caller_names_is_set_all_the_same(site: tuple[Caller, list[SimulatedTerminal]]) -> None:
    assert ask(site[0], "p/time/sync", {"time": "2030-01-31T08:00:00"})["code"] == "synchronized"


def test_no_door_is_opened_by_a_clock_that_is_not_synchronised(site: tuple[Caller, list[SimulatedTerminal]]) -> None:
    caller, (terminal, _) = site

    answer = ask(caller, "p/door/unlock", {"expires_at": "2000-01-01T00:00:00Z"})

    assert (answer["status"], answer["code"], answer["retryable"]) == (503, "clock_untrusted", True)
    assert terminal.counts[Command.UNLOCK] == 0


def test_a_door_that_is_to_trust_the_clock_is_opened(site: tuple[Caller, list[SimulatedTerminal]]) -> None:
    caller, (_, trusting) = site

    answer = ask(caller, "trusting/door/unlock", {"expires_at": "2100-01-01T00:00:00Z"})

    assert answer["code"] == "unlocked", answer
    assert trusting.counts[Command.UNLOCK] == 1
