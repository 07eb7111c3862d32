"""A request that waits for a terminal is dropped, or kept for too long, when the clock of the machine jumps.

Source: attack on 7bb949d, 2026-11
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.caller import Caller, Message
from tests.support.daemon import device
from tests.support.in_process import FalseClock, bridge_here
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.bridge import expiry
from zkbridge.bridge.bridge import Bridge
from zkbridge.machine.clock import Clock
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

BASE = "jump"
DAY_S, EXPIRES_IN_S = 86_400.0, 600.0


@dataclass
class Site:
    machine: FalseClock
    clock: Clock
    bridge: Bridge
    caller: Caller
    away: SimulatedTerminal

    def ask(self, topic: str, body: dict[str, str | int], code: str) -> Message:
        self.caller.publish(f"{BASE}/{topic}", body)
        return self.caller.wait_for(f"{BASE}/{topic}/reply", lambda m: m.json["code"] == code, timeout=30)

    def wait(self, user_id: str | int) -> None:
        """Have a request wait for the terminal that is away, for ten minutes."""
        until = datetime.fromtimestamp(self.clock.now() + EXPIRES_IN_S, UTC).isoformat()
        body = {"user_id": user_id, "name": "Ana", "catch_up": True, "expires_at": until, "request_id": user_id}
        self.ask("both/users/create", body, "partial")
        # Only after the answer is its end scheduled.
        wait_until(lambda: any("expiry" in str(key) for key in list(self.bridge.parts.upkeep._jobs)), what="its end")

    def late(self, user_id: str) -> dict[str, Any]:
        """The answer of the terminal that was away."""
        topic = f"{BASE}/q/users/create/reply"
        return self.caller.wait_for(topic, lambda m: m.json.get("request_id") == user_id, timeout=30).json

    def comes_back(self) -> None:
        self.away.power_on()
        self.ask("q/ping", {}, "ok")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    folder, machine = tmp_path_factory.mktemp("jump"), FalseClock(synchronised=False)
    clock = machine.clock()
    with Simulator() as simulator, pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiry, "LOOK_S", 0.05)
        here, away = (simulator.add(TerminalConfig(profile="tft")) for _ in range(2))
        settings = {
            "mqtt": {"host": "127.0.0.1", "port": shared_broker.port, "client_id": "zkb-jump", "base_topic": BASE},
            "devices": {"p": device(here), "q": device(away)},
            "groups": {"both": ["p", "q"]},
            "retry": {"initial_delay": 0.05, "max_delay": 0.2, "deadline": 15},
            "state_dir": folder / "state",
            "lock_dir": folder / "locks",
            "probe_interval": 0,
            "language": "en",
        }
        with bridge_here(settings, clock) as bridge, Caller(shared_broker.port) as caller:
            caller.subscribe(f"{BASE}/+/+/+/reply")
            caller.subscribe(f"{BASE}/+/ping/reply")
            yield Site(machine, clock, bridge, caller, away)


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    running.away.power_off()
    running.machine.synchronised = False
    yield running
    running.away.power_on()


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S])
def test_a_jump_without_a_time_server_neither_drops_nor_prolongs_a_request(site: Site, jump: float) -> None:
    early, late = ("1", "2") if jump > 0 else ("3", "4")
    site.wait(early)
    site.machine.wall += jump
    site.machine.passed += EXPIRES_IN_S / 2
    site.comes_back()
    assert site.late(early)["code"] == "created"

    site.away.power_off()
    site.wait(late)
    site.machine.passed += EXPIRES_IN_S + 1
    assert site.late(late)["code"] == "expired"
    site.comes_back()
    assert late not in {user.user_id for user in site.away.users()}


def test_a_request_that_has_expired_by_a_clock_that_was_set_is_answered_soon(site: Site) -> None:
    site.wait("5")
    site.machine.synchronised = True
    site.machine.wall += DAY_S
    site.machine.passed += 2

    assert site.late("5")["code"] == "expired"


def test_a_request_waits_on_when_a_time_server_sets_the_clock_back(site: Site) -> None:
    site.wait("6")
    site.machine.synchronised = True
    site.machine.wall -= DAY_S
    site.machine.passed += 2
    site.comes_back()

    assert site.late("6")["code"] == "created"
