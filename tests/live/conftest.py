"""A terminal and the worker that listens to it, without a broker: what is to be told stands in the ledger."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import StubPorts
from tests.support.waiting import wait_until
from zkbridge.attendance import follower
from zkbridge.attendance import listener as listening
from zkbridge.attendance.listener import Listener
from zkbridge.commands import HandOver, commands
from zkbridge.config.models import Config
from zkbridge.contract.bodies import ProgressBody
from zkbridge.contract.errors import TerminalError
from zkbridge.contract.messages import Message
from zkbridge.contract.topics import Topics
from zkbridge.intake.intake import Intake
from zkbridge.intake.keeper import Keeper
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer, Request
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.simulator.wire.codes import command_number
from zkbridge.worker.worker import Worker


class House:
    """One device `p` with `attendance: live`. Starting and stopping it is what a restart of the bridge is to it."""

    def __init__(
        self, folder: Path, terminal: SimulatedTerminal, *, ledger: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        self.terminal = terminal
        address = {"host": terminal.host, "port": terminal.port, "timeout": 2, "attendance": "live"}
        self.config = Config.model_validate(
            {
                "devices": {"p": address | settings},
                "lock_dir": folder / "locks",
                "retry": {"initial_delay": 0.01, "max_delay": 0.1, "deadline": 15},
                "ledger": ledger or {},
            }
        )
        self.ledger = Ledger(folder / "state")
        self.states: list[str | None] = []
        self.deaths: list[BaseException] = []
        self.worker: Worker
        self.listener: Listener
        self.start()

    def start(self) -> None:
        device = self.config.devices["p"]
        self.listener = Listener(
            device,
            self.config,
            self.ledger,
            self,
        )
        self.worker = Worker(
            device,
            self.config,
            self.ledger,
            commands(),
            hooks=self,
            listener=self.listener,
        )
        self.worker.probe()

    def note_answers(self, answers: list[Answer]) -> None:
        self.ledger.replies.release(answers)  # nothing sends them here

    def note_punches(self) -> None:
        pass  # nothing publishes them here

    def note_availability(self, _device: str, failure: TerminalError | None) -> None:
        self.states.append(None if failure is None else failure.sentence("es"))

    def hand_over(self, request: Request, what: HandOver) -> None:
        raise AssertionError(f"there is no other terminal: {request} {what}")

    def tell_waiting(self, *_: object) -> None:
        pass

    def note_waiting(self, _until: float) -> None:
        pass

    def note_dates(self, _device: str, _at: float | None, *, told: bool) -> None:
        assert not told, "no user has dates"

    def probe_soon(self, _device: str, _attempt: int) -> None:
        pass

    def publish_progress(self, _device: str, _command: str, _body: ProgressBody) -> None:
        pass

    def fail(self, error: BaseException) -> None:
        self.deaths.append(error)

    def stop(self) -> None:
        self.worker.stop()
        assert self.worker.join(10)

    def close(self) -> None:
        self.stop()
        self.ledger.close()
        assert self.deaths == []

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything that was ever kept to be told, oldest first: nobody confirms it here."""
        return [json.loads(punch.body) for punch in self.ledger.punches.unsent(100_000)]

    @property
    def users(self) -> list[str]:
        return [event["user_id"] for event in self.events]

    def listens(self) -> None:
        """Return once it is known how far the log was told, and punches are told from there."""
        wait_until(
            lambda: self.listener._follower.connection == self.listener.line.number > 0, what="the terminal to be heard"
        )

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.events) >= count, timeout=20, what=f"{count} punches")
        return self.events

    def ask(self, command: str, **fields: Any) -> None:
        """Have a command carried out, as a message from the broker would."""
        Intake(
            self.config,
            self.ledger,
            commands(),
            subscribed=[],
            ports=StubPorts(self.worker),
            keeper=Keeper(SetAside(self.ledger.path.parent), Topics()),
        ).receive([Message(f"zk/p/{command}", json.dumps(fields).encode())])

    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(answer.body) for answer in self.ledger.replies.unsent(1000)]

    def asked(self, command: str) -> int:
        """How often the terminal was asked."""
        return self.terminal.counts[command_number(command)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes its time, for people's sake, takes little."""
    monkeypatch.setattr(follower, "QUIET_S", 0.1)
    monkeypatch.setattr(follower, "LOOK_S", 0.05)
    monkeypatch.setattr(listening, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(listening, "LONGEST_PAUSE_S", 0.2)
    monkeypatch.setattr(listening, "DISK_PAUSE_S", 0.1)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Any number of simulated terminals."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def start(simulator: Simulator) -> Callable[..., SimulatedTerminal]:
    """A terminal of a kind, with ten users `1` to `10`."""

    def start(profile: str = "tft", **switches: Any) -> SimulatedTerminal:
        terminal = simulator.add(TerminalConfig(profile=profile, **switches))
        terminal.fill_users(10)
        return terminal

    return start


@pytest.fixture
def terminal(start: Callable[..., SimulatedTerminal]) -> SimulatedTerminal:
    """A 72-byte terminal with ten users."""
    return start()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Move in: the terminal is listened to from here on."""
    built: list[House] = []

    def build(terminal: SimulatedTerminal, **settings: Any) -> House:
        built.append(House(tmp_path, terminal, **settings))
        built[-1].listens()
        return built[-1]

    yield build
    for each in built:
        each.close()
