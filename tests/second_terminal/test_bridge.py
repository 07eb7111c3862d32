"""The bridge gives the same replies whichever of the two terminals it speaks to."""

# ruff: noqa: DTZ001  a terminal knows no time zone

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.second_terminal.memory import Memory
from tests.second_terminal.server import SecondTerminal
from tests.support.address import Address
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

WHEN = datetime(2026, 5, 10, 8, 0, 15)
#: How each second terminal delivers, beside the simulator's profile of the same records; frames as in section 7, C3.
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "frames-of-1008": ("tft", "tcp", {}),
    "size-in-the-closing-ack": ("tft", "tcp", {"size_in_closing_ack": True}),
    "frames-of-65528": ("tft", "tcp", {"frame": 65528}),
    "frames-of-65536": ("tft", "tcp", {"frame": 65536}),
    "wide-by-udp": ("tft", "udp", {}),
    "narrow-by-tcp": ("bw", "tcp", {}),
    "narrow-by-udp": ("bw", "udp", {}),
}


@dataclass(frozen=True)
class Site:
    """One daemon with each pair of terminals, `KIND-1` and `KIND-2`, and a caller."""

    caller: Caller
    pairs: dict[str, tuple[SimulatedTerminal, SecondTerminal]]

    def ask_both(self, kind: str, command: str, **body: Any) -> dict[str, Any]:
        """Ask both terminals of a kind; their one answer, without what a terminal has of its own."""
        first, second = (self.ask(f"{kind}-{number}", command, **body) for number in (1, 2))
        assert first == second
        return second

    def ask(self, to: str, command: str, **body: Any) -> dict[str, Any]:
        self.caller.publish(f"zk/{to}/{command}", json.dumps(body).encode())
        text = self.caller.wait_for(f"zk/{to}/{command}/reply", timeout=30).payload.decode()
        answer: dict[str, Any] = json.loads(text.replace(to, "the terminal"))
        return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator())
        pairs, devices = {}, {}
        for kind, (profile, transport, options) in KINDS.items():
            wide = profile == "tft"
            memory = Memory(wide=wide, punch_size=40 if wide else 16)
            second = stack.enter_context(SecondTerminal(memory, key=77, **options))
            simulated = simulator.add(TerminalConfig(profile=profile, transport=transport, comm_key=77))
            if not wide:
                memory.options["~PIN2Width"] = "5"
            pairs[kind] = simulated, second
            both: tuple[Address, Address] = pairs[kind]
            for number, terminal in enumerate(both, 1):
                unit = "tenths" if terminal is simulated else "seconds"
                door = {"enabled": True, "trust_clock": True, "unit": unit}
                more = {"transport": transport, "comm_key": 77, "door": door}
                devices[f"{kind}-{number}"] = device(terminal, **more)
        folder = tmp_path_factory.mktemp("second") / "daemon"
        stack.enter_context(Daemon(folder, shared_broker.port, devices, language="en", covered=False))
        caller = stack.enter_context(Caller(shared_broker.port))
        caller.subscribe("zk/+/#")
        yield Site(caller, pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_both_terminals_give_the_bridge_the_same_answers(site: Site, kind: str) -> None:
    ask, pair = site.ask_both, site.pairs[kind]
    assert ask(kind, "users/list")["total"] == 0
    for number in (1, 2, 3):
        created = ask(kind, "users/create", user_id=str(number), name=f"User {number}", card=number, password="12")
        assert created["code"] == "created"
    assert ask(kind, "users/create", user_id="1", name="Other")["code"] == "user_exists"
    assert ask(kind, "users/list")["total"] == 3
    assert ask(kind, "users/update", user_id="2", name="Eva", privilege=14)["code"] == "updated"
    assert ask(kind, "users/list", user_id="2")["data"][0]["name"] == "Eva"
    assert ask(kind, "users/delete", user_id="3")["code"] == "deleted"
    assert ask(kind, "users/delete", user_id="3")["code"] == "user_not_found"

    assert ask(kind, "users/enroll-finger", user_id="2", finger_index=6)["code"] == "enrolled"
    assert ask(kind, "users/fingers", user_id="2")["total_fingers"] == 1
    assert ask(kind, "users/fingers", user_id="1")["total_fingers"] == 0
    assert ask(kind, "users/delete-finger", user_id="2", finger_index=6)["code"] == "finger_deleted"
    assert ask(kind, "users/delete-finger", user_id="2", finger_index=6)["code"] == "finger_not_found"

    for terminal in pair:
        for minute in range(60):
            terminal.punch("2", verify=2, state=1, when=WHEN + timedelta(minutes=minute))
    log = ask(kind, "attendance/list", user_id="2")
    assert (log["total"], log["data"][0]["timestamp"]) == (60, "2026-05-10T08:00:15")
    assert ask(kind, "attendance/clear", total=59)["code"] == "log_changed"
    assert ask(kind, "attendance/clear", total=60)["code"] == "cleared"
    assert ask(kind, "attendance/list")["total"] == 0

    for terminal in pair:
        for uid in range(10, 150):
            terminal.add_user(str(1000 + uid), f"User {uid}", uid=uid)
    assert ask(kind, "users/list", name="user 149")["data"][0]["uid"] == 149
    assert ask(kind, "users/create", user_id="5", name="Later")["code"] == "created"
    assert [user.user_id for user in pair[0].users()] == [user.user_id for user in pair[1].users()]
    assert ask(kind, "users/delete", user_id="2")["code"] == "deleted"

    assert ask(kind, "time/sync", time="2031-05-06T07:08:09")["code"] == "synchronized"
    shown = [ask_time(site, f"{kind}-{number}") for number in (1, 2)]
    assert abs(shown[0] - shown[1]) < timedelta(seconds=30)
    assert ask(kind, "door/state")["data"]["open"] is False
    assert ask(kind, "door/unlock", seconds=30)["code"] == "unlocked"
    assert pair[1].unlocked == [30]
    assert ask(kind, "door/state")["data"]["open"] is True
    assert ask(kind, "device/restart")["code"] == "restarting"
    wait_until(lambda: all(not terminal.disabled and terminal.sessions_open == 0 for terminal in pair))


def ask_time(site: Site, name: str) -> datetime:
    return datetime.fromisoformat(site.ask(name, "time/get")["data"]["device_time"])


@pytest.mark.parametrize("kind", KINDS)
def test_both_terminals_report_what_they_are_to_the_bridge(site: Site, kind: str) -> None:
    answers = [site.ask(f"{kind}-{number}", "info")["data"] for number in (1, 2)]

    assert [sorted(answer) for answer in answers] == [sorted(answers[0])] * 2
    assert answers[1]["serialnumber"] == "A8N5184260172"
    assert all(answers[1][name] for name in ("platform", "firmware_version", "mac", "users", "records"))
    assert all(site.ask(f"{kind}-{number}", "ping")["success"] for number in (1, 2))


def test_the_bridge_follows_the_punches_of_the_second_terminal(tmp_path: Path, shared_broker: Mosquitto) -> None:
    """Live punches come with EF_FINGER and EF_VERIFY between them; those of before come from the log."""
    with SecondTerminal() as terminal:
        for number in (1, 2):
            terminal.add_user(str(number), f"User {number}")
        live = device(terminal, attendance="live")
        daemon = Daemon(
            tmp_path / "daemon", shared_broker.port, {"live": live}, mqtt={"base_topic": "second"}, covered=False
        )
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe("second/+/#")
            wait_until(lambda: "listened to for the first time" in daemon.log, timeout=30)
            terminal.punch("997")
            for second in range(3):
                terminal.punch("1" if second else "2", state=1, when=WHEN + timedelta(seconds=second))
            topic = "second/live/attendance/event"
            wait_until(lambda: len([m for m in caller.messages if m.topic == topic]) == 3, timeout=30)

        told = [(m.json["user_id"], m.json["timestamp"]) for m in caller.messages if m.topic == topic]
        assert told == [(user, f"2026-05-10T08:00:{15 + n}") for n, user in enumerate(("2", "1", "1"))]
