"""A bridge in this process whose clock the test moves, two terminals, and a caller."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.caller import Caller
from tests.support.daemon import client_id, device
from tests.support.frames import wait_for_session_end
from tests.support.in_process import FalseClock
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.bridge import dates as schedule
from zkbridge.bridge.bridge import Bridge
from zkbridge.config.models import Config
from zkbridge.machine import pause
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.worker import dates

ZONE = "America/Lima"
HOUR_S = 3600.0
EVENTS = "zk/+/users/event"


@dataclass
class Site:
    """`p` and `q` are the terminals; both stand in the group `both`."""

    folder: Path
    broker: Mosquitto
    p: SimulatedTerminal
    q: SimulatedTerminal
    caller: Caller
    settings: dict[str, Any]
    machine: FalseClock = field(default_factory=FalseClock)
    bridge: Bridge | None = None

    def start(self) -> None:
        clock = self.machine.clock()
        self.bridge = Bridge(Config.model_validate(self.settings), clock=clock)
        self.bridge.start()
        assert self.bridge.online.wait(30)

    def stop(self) -> None:
        if self.bridge is not None:
            self.bridge.stop()
            assert self.bridge.failure is None
        self.bridge = None

    def reload(self, **devices: dict[str, Any]) -> None:
        self.settings["devices"] = devices
        assert self.bridge is not None
        self.bridge.reload(Config.model_validate(self.settings))

    def at(self, seconds: float, zone: str = ZONE) -> str:
        """The wall clock at the terminals in so many seconds."""
        moment = datetime.fromtimestamp(time.time() + self.machine.passed + seconds, ZoneInfo(zone))
        return moment.replace(tzinfo=None).isoformat(timespec="seconds")

    def ask(self, topic: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Publish a command, and return its answer."""
        self.caller.publish(f"zk/{topic}", json.dumps(body or {}))
        return self.caller.wait_for(f"zk/{topic}/reply", timeout=30).json

    def events(self) -> list[dict[str, Any]]:
        """What was published of dates so far."""
        return [each.json for each in self.caller.messages if each.topic.endswith("/users/event")]

    def wait_for_events(self, count: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.events()) >= count, timeout=30, what=f"{count} events, not {self.events()}")
        wait_for_session_end(self.p, self.q)
        return self.events()

    def is_blocked(self, user_id: str = "7", terminal: SimulatedTerminal | None = None) -> bool:
        (user,) = [each for each in (terminal or self.p).users() if each.user_id == user_id]
        return bool(user.privilege & 1)


@pytest.fixture
def site(tmp_path: Path, shared_broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for module, name in ((schedule, "LOOK_S"), (schedule, "OVERDUE_S"), (pause, "FIRST_S"), (dates, "CLOCK_AGAIN_S")):
        monkeypatch.setattr(module, name, 0.05)
    with Simulator() as simulator, Caller(shared_broker.port) as caller:
        p, q = (simulator.add(TerminalConfig(profile=profile)) for profile in ("tft", "bw"))
        caller.subscribe("zk/+/#")
        settings = {
            "mqtt": {"host": "127.0.0.1", "port": shared_broker.port, "client_id": client_id(tmp_path)},
            "devices": {"p": device(p, timezone=ZONE), "q": device(q, transport="udp", timezone=ZONE)},
            "groups": {"both": ["p", "q"]},
            "retry": {"attempts": 1, "initial_delay": 0.05, "max_delay": 0.2, "deadline": 15},
            "state_dir": tmp_path / "state",
            "lock_dir": tmp_path / "locks",
            "probe_interval": 0,
        }
        site = Site(tmp_path, shared_broker, p, q, caller, settings)
        site.start()
        try:
            yield site
        finally:
            site.stop()


Make = Callable[..., dict[str, Any]]


@pytest.fixture
def create(site: Site) -> Make:
    """Creates user 7 on `p`, with *more* fields."""

    def create(**more: Any) -> dict[str, Any]:
        answer = site.ask("p/users/create", {"user_id": "7", "name": "Ana", **more})
        assert answer["code"] == "created", answer
        return answer

    return create
