"""docs/life.md: one person's life on two terminals, as a bridge, a broker and the terminals really say it."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.project.tree import ROOT
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

PAGE = ROOT / "docs" / "life.md"
#: When she comes to work.
MORNING = datetime(2026, 3, 2, 7, 58, 12)  # noqa: DTZ001 - a terminal's clock has no zone


#: The name of a backup is the moment; the page shows always the same.
SHOWN_BACKUP = "2026-03-06T18-00-00Z"


class Step(NamedTuple):
    """A title, what there is to say, the command after the device, the request, and the device or group."""

    title: str
    words: str
    command: str
    request: dict[str, Any]
    to: str = "principal"


STEPS = (
    Step(
        "She is created",
        "Nothing else is needed before she stands at the door.",
        "users/create",
        {"user_id": "41", "name": "Ana Torres", "password": "2468", "card": 5551234},
    ),
    Step(
        "She is on the terminal",
        "The list shows what the terminal holds. It never has a password.",
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
    Step(
        "She stands at every door",
        "Her record and her finger are read at `principal` and written to the others. Each target has its own result.",
        "users/copy",
        {"user_id": "41", "to": ["planta"]},
    ),
    Step(
        "She is on leave",
        "No terminal of the group lets her in. Nothing of her is deleted. The answer has a result for each terminal of "
        "the group.",
        "users/block",
        {"user_id": "41"},
        "planta",
    ),
    Step("She is back", "", "users/unblock", {"user_id": "41"}, "planta"),
    Step("The users of a terminal are backed up", "Her finger is in it.", "device/backup", {}),
    Step(
        "The terminal is replaced",
        "A new, empty terminal has the same address. The first request shows the difference and writes nothing.",
        "device/restore",
        {},
    ),
    Step("She stands there again", "", "device/restore", {"apply": True}),
    Step("Her finger is there again", "", "users/fingers", {"user_id": "41"}),
    Step("She leaves", "Her finger goes with her, at every door.", "users/delete", {"user_id": "41"}, "planta"),
    Step("She is gone", "", "users/fingers", {"user_id": "41"}),
)
HEAD = """\
# One person's life

This page has each request and each answer, from a person's first day to the last.
The answers come from a real bridge with two simulated terminals; `make test` replays the requests and compares.
The devices are `principal` and `entrada`; together they are the group `planta`.
The answer to a command is published on the same topic with `/reply` appended.

More on some of the steps:

- [Users who are let in for a time](blocked.md).
- The contract has [groups](contract.md#11-to-several-terminals-at-once), [copies](contract.md#15-users-copied-to-other-terminals), [backups](contract.md#16-backup-and-restore), and [documents](contract.md#13-desired-state) that say who is to be where.
"""  # noqa: E501 - a list item is one line


def page() -> str:
    """The page, with what is said now."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Mosquitto(Path(folder) / "mosquitto") as broker,
        Simulator() as simulator,
    ):
        terminal, other = (simulator.add(TerminalConfig(profile="tft")) for _ in range(2))
        devices = {
            "principal": device(terminal, door={"enabled": True, "trust_clock": True}),
            "entrada": device(other),
        }
        groups = {"planta": ["principal", "entrada"]}
        with Daemon(Path(folder) / "daemon", broker.port, devices, groups=groups), Caller(broker.port) as caller:
            caller.subscribe("zk/+/#")
            text = "\n".join([HEAD, *(_said(terminal, caller, step) for step in STEPS)])
            for each in (terminal, other):
                assert not each.users()
                assert not each.templates(), "her finger is to go with her"
            return re.sub(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", SHOWN_BACKUP, text)


def _said(terminal: SimulatedTerminal, caller: Caller, step: Step) -> str:
    _live(terminal, step)
    mark = len(caller.messages)
    topic = f"zk/{step.to}/{step.command}"
    caller.publish(topic, step.request)
    reply = caller.wait_for(f"{topic}/reply", timeout=30)
    progress = [message for message in caller.messages[mark:] if message.topic == f"{topic}/progress"]
    said = [f"## {step.title}", step.words, f"`{topic}`", _shown(json.dumps(step.request, ensure_ascii=False))]
    said += [_shown("\n".join(_text(message) for message in progress)) if progress else "", _shown(_text(reply))]
    return "\n\n".join(part for part in said if part) + "\n"


def _live(terminal: SimulatedTerminal, step: Step) -> None:
    """What happens at the terminal itself before the command is published."""
    if step.command == "users/enroll-finger":
        terminal.enrol("good")
    elif step.command == "attendance/list":
        assert terminal.punch("41", when=MORNING), terminal.display
    elif step.title == "The terminal is replaced":
        wait_for_session_end(terminal)
        terminal.power_off()
        terminal.machine.terminal.memory.load(())
        terminal.set_option("~SerialNumber", "A8N5184260999")
        terminal.power_on()


def _text(message: Any) -> str:
    return message.payload.decode()


def _shown(text: str) -> str:
    return f"```json\n{text}\n```"
