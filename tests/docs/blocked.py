"""docs/blocked.md: a person who is let in for a time, as a bridge, a broker and a terminal really say it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from zoneinfo import ZoneInfo

from tests.project.tree import ROOT
from tests.support.caller import Caller, Message
from tests.support.daemon import device
from tests.support.frames import wait_for_session_end
from tests.support.in_process import FalseClock, bridge_here
from tests.support.mosquitto import Mosquitto
from zkbridge.bridge import dates
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

PAGE = ROOT / "docs" / "blocked.md"
ZONE = "America/Lima"
EVENT = "users/event"
#: The day before she comes, and the moments of the page.
BEGIN, FIRST, END = "2026-03-01T12:00:00", "2026-03-02T08:00:00", "2026-03-31T22:00:00"
LATER, RETURN = "2026-04-30T22:00:00", "2026-05-02T09:00:00"


class Step(NamedTuple):
    """A title, what there is to say, the command after the device, and the request; without one, an event."""

    title: str
    words: str
    command: str = EVENT
    request: dict[str, Any] | None = None
    #: What the clock shows then; the terminal is switched off from the step before until then, if it `was_off`.
    at: str | None = None
    was_off: bool = False
    #: Whether the terminal lets her in after the step.
    let_in: bool = True


STEPS = (
    Step(
        "She signs up for March",
        "It is Sunday, and she may come from Monday on. Until then she is on the terminal, and is not let in.",
        "users/create",
        {"user_id": "41", "name": "Ana Torres", "valid_from": FIRST, "valid_until": END},
        let_in=False,
    ),
    Step("On Sunday she is blocked", "", "users/list", {"user_id": "41"}, let_in=False),
    Step(
        "On Monday at eight she is let in",
        "No request is needed: the bridge unblocks her at that moment, and publishes an event.",
        at=FIRST,
    ),
    Step(
        "The fee is late",
        "Her finger, her card and her PIN stay on the terminal.",
        "users/block",
        {"user_id": "41"},
        let_in=False,
    ),
    Step("The fee is paid", "The end of March still ends it.", "users/unblock", {"user_id": "41"}),
    Step("She stays in April too", "", "users/update", {"user_id": "41", "valid_until": LATER}),
    Step(
        "April ends, and the terminal is away",
        "It has no power from the 30th until the morning of 2 May, and an offline terminal is late. She is blocked at "
        "the first contact, before anything else is done there.",
        at=RETURN,
        was_off=True,
        let_in=False,
    ),
    Step("She does not come back", "", "users/delete", {"user_id": "41"}, let_in=False),
)
HEAD = """\
# A person who is let in for a time

This page has each request and each answer, from a user's first day until she has left.
The answers come from a real bridge with a simulated terminal and a clock that the test moves.
`make test` replays the requests and compares.
The device is `principal`, with `timezone: America/Lima`.
The answer to a command is published on the same topic with `/reply` appended.
Section 12 of [the contract](contract.md) has the rules.
"""


class _Time:
    """A clock that begins at a moment and is moved on."""

    def __init__(self) -> None:
        self._time = FalseClock(wall=_seconds(BEGIN) - time.time())
        self.clock = self._time.clock()

    def move_to(self, moment: str) -> None:
        self._time.passed += _seconds(moment) - self.clock.now()


def page() -> str:
    """The page, with what is said now."""
    now = _Time()
    with _site(now) as (terminal, caller):
        text = "\n".join([HEAD, *(_said(terminal, caller, now, step) for step in STEPS)])
        assert not terminal.users()
        return text


@contextmanager
def _site(now: _Time) -> Iterator[tuple[SimulatedTerminal, Caller]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Mosquitto(Path(folder) / "mosquitto") as broker,
        Simulator() as simulator,
        patch.object(dates, "LOOK_S", 0.05),
    ):
        terminal = simulator.add(TerminalConfig(profile="tft"))
        settings = {
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
            "devices": {"principal": device(terminal, timezone=ZONE)},
            "retry": {"attempts": 1, "deadline": 15},
            "probe_interval": 1,
            "state_dir": folder,
            "lock_dir": folder,
        }
        with bridge_here(settings, now.clock), Caller(broker.port) as caller:
            caller.subscribe("zk/principal/users/#")
            caller.subscribe("zk/principal/availability")
            yield terminal, caller


def _said(terminal: SimulatedTerminal, caller: Caller, now: _Time, step: Step) -> str:
    topic = f"zk/principal/{step.command}"
    said = [f"## {step.title}", step.words, f"`{topic}`"]
    if step.request is None:
        said.append(_shown(_text(_event(terminal, caller, now, step))))
    else:
        caller.publish(topic, step.request)
        reply = caller.wait_for(f"{topic}/reply", timeout=30)
        said += [_shown(json.dumps(step.request, ensure_ascii=False)), _shown(_text(reply))]
    wait_for_session_end(terminal)
    assert terminal.punch("41") is step.let_in, step.title
    return "\n\n".join(part for part in said if part) + "\n"


def _event(terminal: SimulatedTerminal, caller: Caller, now: _Time, step: Step) -> Message:
    assert step.at is not None
    if step.was_off:
        terminal.power_off()
        caller.wait_for("zk/principal/availability", lambda message: message.json["state"] == "offline", timeout=30)
    now.move_to(step.at)
    if step.was_off:
        terminal.power_on()
    return caller.wait_for(f"zk/principal/{EVENT}", timeout=90)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(ZONE)).timestamp()


def _text(message: Message) -> str:
    return message.payload.decode()


def _shown(text: str) -> str:
    return f"```json\n{text}\n```"
