"""docs/life.md: one person's life on a terminal, as a bridge, a broker and a terminal really say it."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.project.tree import ROOT
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

PAGE = ROOT / "docs" / "life.md"
#: When she comes to work.
MORNING = datetime(2026, 3, 2, 7, 58, 12)  # noqa: DTZ001 - a terminal's clock has no zone


class Step(NamedTuple):
    """A title, what there is to say, the command after the device, and the request."""

    title: str
    words: str
    command: str
    request: dict[str, Any]


STEPS = (
    Step(
        "She is created",
        "Nothing else is needed before she stands at the door.",
        "users/create",
        {"user_id": "41", "name": "Ana Torres", "password": "2468", "card": 5551234},
    ),
    Step(
        "She is on the terminal",
        "The list is what the terminal holds, and no password is ever in it.",
        "users/list",
        {"user_id": "41"},
    ),
    Step(
        "She puts her finger on it",
        "The progress comes on `users/enroll-finger/progress`, the reply at the end.",
        "users/enroll-finger",
        {"user_id": "41", "finger_index": 1},
    ),
    Step("Her fingers", "", "users/fingers", {"user_id": "41"}),
    Step(
        "She comes to work",
        "On Monday at 07:58:12 she puts that finger on the terminal.",
        "attendance/list",
        {"user_id": "41"},
    ),
    Step(
        "The door is opened for her",
        "That must be allowed for the device: `door.enabled`.",
        "door/unlock",
        {"seconds": 5},
    ),
    Step(
        "She gets a new card",
        "Whatever the request does not name stays as it is, her password and her finger too.",
        "users/update",
        {"user_id": "41", "card": 5559876},
    ),
    Step("The new card is there", "", "users/list", {"user_id": "41"}),
    Step("She leaves", "Her finger goes with her.", "users/delete", {"user_id": "41"}),
    Step("She is gone", "", "users/fingers", {"user_id": "41"}),
)
HEAD = """\
# One person's life

From the first day to the last: what is published, and what comes back.
All of it was said by a real bridge to a simulated terminal; `make test` lets it be said again and compares.
The device is `principal`, and the answer to a command comes on the same topic with `/reply` behind it.
"""


def page() -> str:
    """The page, with what is said now."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Mosquitto(Path(folder) / "mosquitto") as broker,
        Simulator() as simulator,
    ):
        terminal = simulator.add(TerminalConfig(profile="tft"))
        devices = {"principal": device(terminal, door={"enabled": True, "trust_clock": True})}
        with Daemon(Path(folder) / "daemon", broker.port, devices), Caller(broker.port) as caller:
            caller.subscribe("zk/+/#")
            text = "\n".join([HEAD, *(_said(terminal, caller, step) for step in STEPS)])
            assert not terminal.users()
            assert not terminal.templates(), "her finger is to go with her"
            return text


def _said(terminal: SimulatedTerminal, caller: Caller, step: Step) -> str:
    _live(terminal, step.command)
    mark = len(caller.messages)
    topic = f"zk/principal/{step.command}"
    caller.publish(topic, step.request)
    reply = caller.wait_for(f"{topic}/reply", timeout=30)
    progress = [message for message in caller.messages[mark:] if message.topic == f"{topic}/progress"]
    said = [f"## {step.title}", step.words, f"`{topic}`", _shown(json.dumps(step.request, ensure_ascii=False))]
    said += [_shown("\n".join(_text(message) for message in progress)) if progress else "", _shown(_text(reply))]
    return "\n\n".join(part for part in said if part) + "\n"


def _live(terminal: SimulatedTerminal, command: str) -> None:
    """What she does herself before the command is published."""
    if command == "users/enroll-finger":
        terminal.enrol("good")
    elif command == "attendance/list":
        assert terminal.punch("41", when=MORNING), terminal.display


def _text(message: Any) -> str:
    return message.payload.decode()


def _shown(text: str) -> str:
    return f"```json\n{text}\n```"
