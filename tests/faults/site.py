"""A daemon, its terminal and a caller, for tests that break one of them; what must hold afterwards."""

import json
import os
import signal
import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.faults.frames import FrameOf
from tests.support.caller import Caller, Message, Protocol
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

KEY = 4321
#: Long enough for a machine under load, short enough to wait for.
TIMEOUT_S = 2
PASSWORD, CARD = "70361425", 3987654321
INJECT = Path(__file__).parent / "inject"


@dataclass(frozen=True)
class Break:
    """What a daemon's code does wrong, at `module:Class.method`: from the nth call on, so many times.

    `set` replaces a constant by `value`, `set back` a clock by one an hour late while the file `value` is there.
    """

    at: str
    do: Literal["kill", "raise", "hang", "set", "set back"]
    when: Literal["before", "after"] = "before"
    nth: int = 1
    times: int = 1
    value: object = None


def broken(*breaks: Break) -> dict[str, str]:
    """The environment of a daemon with these faults in its code."""
    return {"PYTHONPATH": str(INJECT), "FAULTS_AT": json.dumps([asdict(spec) for spec in breaks])}


def stopped(pid: int) -> bool:
    """Whether a process stands still; a signal is not obeyed at once everywhere."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"


def freeze(process: Mosquitto | Daemon) -> None:
    """SIGSTOP; return when it stands still."""
    process.pause()
    wait_until(lambda: stopped(process.pid))


def thaw(process: Mosquitto | Daemon) -> None:
    """SIGCONT; return when it goes on."""
    process.resume()
    wait_until(lambda: not stopped(process.pid))


def new_terminal(simulator: Simulator, **switches: Any) -> SimulatedTerminal:
    """A terminal with a key, a few users, and a table that is read in pieces."""
    terminal = simulator.add(TerminalConfig(profile="tft", comm_key=KEY, inline_max=16, **switches))
    terminal.fill_users(3)
    return terminal


@dataclass
class Site:
    """One place: folders and topics of its own on a broker that others may use too."""

    folder: Path
    broker_port: int
    terminals: dict[str, SimulatedTerminal]
    protocol: Protocol = 5
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = f"s{uuid.uuid4().hex[:12]}"
        self.daemon = self.make_daemon()
        self._asked = 0

    def make_daemon(self, *breaks: Break, **environment: str) -> Daemon:
        """The daemon of this place, perhaps with faults in its code; the one from before must have ended."""
        more = dict(self.more)
        mqtt = {"base_topic": self.name, "protocol": str(self.protocol), **more.pop("mqtt", {})}
        devices = {name: device(t, timeout=TIMEOUT_S, comm_key=KEY) for name, t in self.terminals.items()}
        devices = {name: {**settings, **more.get("device", {})} for name, settings in devices.items()}
        more.pop("device", None)
        self.daemon = Daemon(
            self.folder / self.name,
            self.broker_port,
            {**devices, **more.pop("devices", {})},
            mqtt=mqtt,
            environment={**(broken(*breaks) if breaks else {}), **environment},
            covered=False,
            **more,
        )
        return self.daemon

    @property
    def terminal(self) -> SimulatedTerminal:
        """The only, or the first, terminal."""
        return next(iter(self.terminals.values()))

    @property
    def device(self) -> str:
        """Its device id."""
        return next(iter(self.terminals))

    def topic(self, device: str | None = None) -> str:
        """The command topic."""
        return f"{self.name}/{device or self.device}/users/create"

    @contextmanager
    def caller(self, **options: Any) -> Iterator[Caller]:
        """A caller that hears every answer, also those sent while it was away."""
        session: dict[str, Any] = {"client_id": f"c-{self.name}", "session": True}
        with Caller(self.broker_port, self.protocol, **session, **options) as caller:
            caller.subscribe(f"{self.name}/+/users/create/reply")
            caller.subscribe(f"{self.name}/barrier")
            yield caller

    def user(self, **changes: Any) -> dict[str, Any]:
        """A user nobody asked for yet."""
        self._asked += 1
        return {"user_id": str(9000 + self._asked), "name": "Ana", "password": PASSWORD, "card": CARD, **changes}

    def kill_at(self, frame: FrameOf, *, effect: bool) -> threading.Event:
        """`kill -9` the daemon when that frame reaches the terminal: before it has its effect, or after."""
        return self.at(frame, self.killer(), effect=effect)

    def killer(self) -> Callable[[], object]:
        """What kills the daemon that runs now."""
        pid = self.daemon.pid
        return lambda: os.kill(pid, signal.SIGKILL)

    def at(self, frame: FrameOf, act: Callable[[], object], *, effect: bool) -> threading.Event:
        """Act when that frame reaches the terminal; an effect that it is not to have is lost with the connection."""
        happened = threading.Event()

        def do(_: object) -> None:
            act()
            happened.set()

        when = "after" if effect else "before"
        self.terminal.faults.add(frame.command, when, do, skip=frame.skip)
        if not effect:
            self.terminal.faults.add(frame.command, "before", "close", skip=frame.skip)
        return happened

    # -- what the ledger holds; only while a daemon runs, or the reading would close the file for it ------------------

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the ledger."""
        with closing(sqlite3.connect(f"file:{self.daemon.state}/ledger.db?mode=ro", uri=True, timeout=10)) as ledger:
            return ledger.execute(sql).fetchall()

    def owed(self) -> int:
        """Requests without an answer, and answers that the broker has not confirmed."""
        unfinished = self.query("SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')")
        return unfinished[0][0] + self.query("SELECT count(*) FROM answers WHERE owed = 1")[0][0]

    def secrets(self) -> list[str]:
        """The files of the state folder in which the password or the card can be read."""
        found = []
        for path in self.daemon.state.iterdir():
            content = path.read_bytes()
            if PASSWORD.encode() in content or str(CARD).encode() in content:
                found.append(path.name)
        return found

    # -- what must hold -----------------------------------------------------------------------------------------------

    def settle(self, caller: Caller, answers: int = 1, *, timeout: float = 60) -> list[Message]:
        """Wait for so many answers, and until nothing is owed to anybody; every answer that the caller has heard."""
        self.wait(lambda: len(self.heard(caller)) >= answers, f"{answers} answers", timeout)
        self.wait(lambda: not self.owed(), "the ledger to owe nothing", timeout)
        token = uuid.uuid4().bytes
        caller.publish(f"{self.name}/barrier", token)  # what was sent before arrives before
        caller.wait_for(f"{self.name}/barrier", lambda message: message.payload == token)
        self.wait(lambda: not self.query("SELECT 1 FROM debts"), "pending enables to be carried out", 30)
        return self.heard(caller)

    def heard(self, caller: Caller) -> list[Message]:
        """Every answer so far."""
        return [message for message in caller.messages if message.topic != f"{self.name}/barrier"]

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 10) -> None:
        """Wait; what the daemon has said by the end tells why in vain."""
        try:
            wait_until(condition, timeout=timeout, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.daemon.log[-20_000:]}") from None

    def check(self, *users: dict[str, Any]) -> None:
        """These users are there exactly once and as asked for, nobody is kept out, no secret is left."""
        for name, terminal in self.terminals.items():
            self.wait(lambda t=terminal: not t.disabled, f"{name} to be enabled")
            self.wait(lambda t=terminal: t.sessions_open == 0, f"sessions of {name} to end")
        held = [user for terminal in self.terminals.values() for user in terminal.users()]
        for user in users:
            fields = {name: value for name, value in user.items() if name not in ("request_id", "expires_at")}
            found = [{name: getattr(one, name) for name in fields} for one in held if one.user_id == user["user_id"]]
            assert found == [fields], self.daemon.log
        for name, terminal in self.terminals.items():
            often = Counter(user.user_id for user in terminal.users())
            assert set(often.values()) <= {1}, f"{name} holds a user twice: {often}"
        self.wait(lambda: not self.secrets(), "the secrets to go")
        assert (self.daemon.state / "ledger.db").stat().st_mode & 0o777 == 0o600
        assert PASSWORD not in self.daemon.log
        assert str(CARD) not in self.daemon.log


@contextmanager
def new_site(folder: Path, broker_port: int, *, protocol: Protocol = 5, **more: Any) -> Iterator[Site]:
    """A place with one terminal; its daemon is not started, and whatever runs at the end is ended."""
    with ExitStack() as end:
        simulator = end.enter_context(Simulator())
        site = Site(folder, broker_port, {"principal": new_terminal(simulator)}, protocol, more)

        def end_daemon() -> None:
            if site.daemon.running:
                site.daemon.kill()

        end.callback(end_daemon)
        yield site
        if site.daemon.running:
            assert site.daemon.stop() == 0, site.daemon.log
