"""A bridge with a terminal to copy from and others to copy to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

PATIENCE_S = 40
#: What a simulated terminal appends to nothing: a template as terminals make them.
THUMB, INDEX = bytes(range(256)) * 4 + b"\x4d", b"\x4d\xfdSS21" + bytes(range(200, 100, -1)) * 9


class House:
    """The terminals by name, each of a profile and a transport, the daemon (not started yet), and a caller."""

    def __init__(self, folder: Path, broker: Mosquitto, kinds: dict[str, tuple[str, str]], **more: Any) -> None:
        self._open = ExitStack()
        self.terminals = {
            name: self._open.enter_context(Simulator()).add(TerminalConfig(profile=profile, transport=transport))
            for name, (profile, transport) in kinds.items()
        }
        settings = more.pop("settings", {})
        devices = {
            name: device(terminal, transport=kinds[name][1], **settings.get(name, {}))
            for name, terminal in self.terminals.items()
        }
        self.daemon = Daemon(folder / "d", broker.port, devices, **more, covered=False)
        self.caller = self._open.enter_context(Caller(broker.port))
        self.caller.subscribe("zk/#", no_local=True)

    def close(self) -> None:
        """End what the daemon talked to."""
        self._open.close()

    def __getitem__(self, name: str) -> SimulatedTerminal:
        return self.terminals[name]

    def publish(self, to: str, command: str, body: dict[str, Any], **options: Any) -> None:
        """Ask, and wait for nothing."""
        self.caller.publish(f"zk/{to}/{command}", body, **options)

    def reply(self, to: str, command: str) -> dict[str, Any]:
        """The next answer."""
        return self.caller.wait_for(f"zk/{to}/{command}/reply", timeout=PATIENCE_S).json

    def ask(self, to: str, command: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        self.publish(to, command, body, **options)
        return self.reply(to, command)


@pytest.fixture
def make(tmp_path: Path, broker: Mosquitto) -> Iterator[Callable[..., House]]:
    """Makes a house, with *more* in its configuration."""
    made: list[House] = []

    def make(kinds: dict[str, tuple[str, str]] | None = None, **more: Any) -> House:
        kinds = kinds or {"here": ("tft", "tcp"), "there": ("tft", "tcp")}
        made.append(House(tmp_path / str(len(made)), broker, kinds, **more))
        return made[-1]

    yield make
    for house in made:
        house.close()


def enrol_ana(terminal: SimulatedTerminal, user_id: str = "7") -> None:
    """A person whom the tests copy: every field is set, one of two fingers is for use under duress."""
    terminal.add_user(user_id, "Ana", password="1234", privilege=0, card=77, group=2)
    terminal.add_template(user_id, 0, THUMB)
    terminal.add_template(user_id, 6, INDEX, flag=3)


def people_of(terminal: SimulatedTerminal) -> list[tuple[Any, ...]]:
    """Everything that a terminal holds of its users but their uids, templates with their flags among it."""
    templates = terminal.templates()
    return sorted(
        (
            user.user_id,
            user.name,
            user.password,
            user.privilege,
            user.card,
            user.group,
            sorted((index, each.flag, each.data) for (uid, index), each in templates.items() if uid == user.uid),
        )
        for user in terminal.users()
    )
