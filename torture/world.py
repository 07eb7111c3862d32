"""What is tortured, and what surrounds it: the daemon, the broker, the terminals and the people at them."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from torture.history import Delivery, Held, LedgerEnd, Span, TerminalEnd, User
from torture.plan import PASSWORD_MARK, Place
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.simulator.device.journal import Exchange

BUDGET_S = 2.0
TIMEOUT_S = 2.0
#: What the machine may add: a slow simulator, a slow daemon, and the closing of a session.
SLACK_S = 2.0
#: Of every daemon.
SETTINGS: dict[str, Any] = {
    "covered": False,
    "mqtt": {"keepalive": 5},
    "queue_limit": 60,
    "session_budget": BUDGET_S,
}
#: Mosquitto notes what has changed once in a round of its loop; what it confirmed just before it dies may be lost.
BROKER_MEMORY_S = 3.0
FIRST_KEYPAD_ID = 9_000_000

#: A terminal: profile, users at the start, what the simulator and what the bridge is told.
Equipment = tuple[str, int, dict[str, Any], dict[str, Any]]
#: Terminals of the run.
TERMINALS: tuple[Equipment, ...] = (
    ("tft", 0, {}, {}),
    ("tft", 50, {"comm_key": 1234}, {"comm_key": 1234}),
    ("tft", 300, {"latency": 0.02}, {}),
    ("bw", 20, {"user_id_width": 9, "idle_timeout": 6.0}, {"transport": "udp"}),
    ("bw", 30, {"user_id_width": 9, "transport": "both"}, {}),
    (
        "tft",
        100,
        {"udp_loss": 0.005, "udp_duplicate": 0.02, "udp_reorder": 0.02, "idle_timeout": 6.0},
        {"transport": "udp"},
    ),
    ("tft", 10, {"second_connection": "replace"}, {}),
    ("tft", 10, {"second_connection": "refuse"}, {}),
    ("tft", 10, {"timed_disable": "refuse", "delivery": "separate"}, {}),
    ("tft", 1500, {"delivery": "split-500", "junk": True, "duplicate_user_id": "reject"}, {}),
)

_UID = re.compile(r"\buid (\d+)\b")


class Diary:
    """Everything that is done to the bridge and all that goes over the terminals' wires, with its time."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, str, str]] = []

    def note(self, where: str, what: str, *, at: float | None = None) -> None:
        """Write a line, now or of another time."""
        self._lines.append((time.time() if at is None else at, where, what))

    def between(self, since: float, until: float, *, where: Iterable[str]) -> list[tuple[float, str]]:
        """What happened at some places in some time."""
        places = set(where)
        return [(at, f"{place}: {what}") for at, place, what in self._lines if since <= at <= until and place in places]

    def mentioning(self, where: str, word: str) -> list[float]:
        """When something was written about a place with this word."""
        return [at for at, place, what in self._lines if place == where and word in what]

    def about_user(self, where: str, user_id: str) -> list[float]:
        """When a user was written, added or deleted at a place, and whoever else was given the same uid."""
        lines = [(at, what) for at, place, what in self._lines if place == where]
        named = [(at, what) for at, what in lines if f"user {user_id} " in what]
        uids = {found[1] for _, what in named if (found := _UID.search(what))}
        shared = [(at, what) for at, what in lines if (found := _UID.search(what)) and found[1] in uids]
        return sorted({at for at, _ in named + shared})


class Person:
    """Somebody at one terminal's keypad, who can do nothing while it is disabled."""

    def __init__(self, terminal: SimulatedTerminal, seed: int) -> None:
        self.acts = 0
        self._terminal = terminal
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._own = {view.user_id: _held(view) for view in terminal.users()}
        self._mine: list[str] = []
        self._next = FIRST_KEYPAD_ID

    @property
    def own(self) -> list[Held]:
        """The users who are there without MQTT, and must stay as they are."""
        with self._lock:
            return list(self._own.values())

    def act(self) -> None:
        """Add a user, or delete one that was added here before."""
        with self._lock, self._terminal.keypad() as usable:
            if not usable:
                return
            self.acts += 1
            if self._mine and self._random.random() < 0.3:
                user_id = self._mine.pop(self._random.randrange(len(self._mine)))
                self._terminal.delete_user(user_id)
                del self._own[user_id]
                return
            self._next += 1
            view = self._terminal.add_user(str(self._next), "Teclado", password="77", card=self._next)
            self._own[view.user_id] = _held(view)
            self._mine.append(view.user_id)


@dataclass
class Curfews:
    """When a terminal was disabled, as seen from outside."""

    terminal: SimulatedTerminal
    spans: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def look(self) -> None:
        """Note whether it is disabled now."""
        with self._lock:
            now, disabled = time.time(), self.terminal.disabled
            if disabled and self.since is None:
                self.since = now
            elif not disabled and self.since is not None:
                self.spans.append((self.since, now))
                self.since = None


class Keeper:
    """Keeps the daemon running, like systemd, and ends it in all ways. Start and reap from the main thread only."""

    def __init__(self, daemon: Daemon, diary: Diary) -> None:
        self.daemon = daemon
        self.kills = self.stops = self.pauses = 0
        #: Whether the daemon may be killed from within its own process, as a power cut at a chosen point is.
        self.may_be_cut = False
        self.collapses: list[str] = []
        #: When a life of the daemon was ended or interrupted.
        self.wounds: list[float] = []
        self._diary = diary
        self._lock = threading.Lock()
        self._doomed: int | None = None
        self._leaving = False
        self._start_at: float | None = None
        self._frames = self._frames_before = 0
        self._born = 0.0

    def heard_frame(self) -> None:
        """A terminal was asked something."""
        self._frames += 1

    @property
    def work(self) -> int:
        """How much this life of the daemon has come to, whatever the machine's speed: requests to terminals."""
        return self._frames - self._frames_before

    @property
    def age_s(self) -> float:
        """The seconds since this life of the daemon began."""
        return time.monotonic() - self._born

    @property
    def alive(self) -> bool:
        """Whether it runs and nobody has ended it yet."""
        return self.daemon.running and self._doomed is None

    def kill(self, why: str) -> bool:
        """`kill -9`, from any thread; whether there was somebody to kill."""
        with self._lock:
            if not self.alive:
                return False
            self._doomed = self.daemon.pid
            self.wounds.append(time.time())
            self._diary.note("daemon", f"kill -9 {why}")
            os.kill(self._doomed, signal.SIGKILL)
            return True

    def terminate(self) -> bool:
        """SIGTERM, if it listens to that yet; it may take its time."""
        with self._lock:
            if not self.alive or self._leaving or not _catches(self.daemon.pid, signal.SIGTERM):
                return False
            self._leaving = True
            self.wounds.append(time.time())
            self._diary.note("daemon", "SIGTERM")
            os.kill(self.daemon.pid, signal.SIGTERM)
            return True

    def pause(self) -> bool:
        """SIGSTOP."""
        return self._signal(signal.SIGSTOP)

    def resume(self) -> bool:
        """SIGCONT."""
        return self._signal(signal.SIGCONT)

    def look(self, restart_in: float) -> None:
        """Reap it if it has ended, and start it again after a while."""
        if self._start_at is not None:
            if time.time() >= self._start_at:
                self.start()
            return
        if not self.daemon.running:
            self._reap()
            self._start_at = time.time() + restart_in

    def start(self, *, online: bool = False) -> None:
        """Start it now; return at once, or when the broker knows its subscriptions."""
        self._start_at = None
        self._frames_before, self._born = self._frames, time.monotonic()
        self.daemon.start(online=online)
        self._diary.note("daemon", "started")

    def _reap(self) -> None:
        with self._lock:
            code = self.daemon.wait()
            cut = self.may_be_cut and self._doomed is None and code == -signal.SIGKILL
            killed, left = self._doomed is not None or cut, self._leaving
            self._doomed, self._leaving = None, False
        if cut:
            self.wounds.append(time.time())
        self._diary.note("daemon", f"ended with {code}")
        if killed:
            self.kills += 1
        elif left and code == 0:
            self.stops += 1
        else:
            self.collapses.append(f"the daemon ended by itself with {code}")

    def _signal(self, sign: signal.Signals) -> bool:
        with self._lock:
            if not self.alive:
                return False
            if sign == signal.SIGSTOP:
                self.pauses += 1
            self.wounds.append(time.time())
            self._diary.note("daemon", sign.name)
            os.kill(self.daemon.pid, sign)
            return True


class World:
    """A context manager that sets all of it up in a folder, and clears it away."""

    def __init__(self, folder: Path, *, seed: int, terminals: Sequence[Equipment] = TERMINALS) -> None:
        self.diary = Diary()
        self.simulator = Simulator()
        self.terminals: dict[str, SimulatedTerminal] = {}
        self.persons: dict[str, Person] = {}
        self.places: list[Place] = []
        self._curfews: list[Curfews] = []
        devices = {}
        for number, (profile, users, switches, settings) in enumerate(terminals):
            name = f"puerta-{number}"
            told = dict(switches)
            key = told.pop("comm_key", 0)
            terminal = self.simulator.add(TerminalConfig(profile=profile, comm_key=key, switches=told))
            terminal.fill_users(users)
            self.terminals[name] = terminal
            self.persons[name] = Person(terminal, seed + number)
            self.places.append(Place(name, 28 if profile == "bw" else 72))
            devices[name] = device(terminal, timeout=TIMEOUT_S, user_id_charset="any", **settings)
            self._watch(name, terminal)
        # Else a broker drops what is more than a thousand for a daemon that is away, and says that all is well.
        self.broker = Mosquitto(folder / "mosquitto", persistence=True, extra=["max_queued_messages 0"])
        self.broker.start()
        self.daemon = self._make_daemon(folder / "torture", devices)
        self.keeper = Keeper(self.daemon, self.diary)
        self.broker_kills = 0
        self.broker_pauses = 0
        self.broker_losses: list[tuple[float, float]] = []
        self._broker_paused_at: float | None = None

    def _make_daemon(self, folder: Path, devices: dict[str, Any]) -> Daemon:
        return Daemon(folder, self.broker.port, devices, **SETTINGS)

    def close(self) -> None:
        """End whatever still runs."""
        if self.daemon.running:
            self.keeper.resume()
            self.daemon.kill()
        self.broker.stop()
        self.simulator.stop()

    # -- the broker ----------------------------------------------------------------------------------------------

    def kill_broker(self) -> None:
        """`kill -9`: it forgets what it had not yet written down."""
        now = time.time()
        since = min(now, self._broker_paused_at or now) - BROKER_MEMORY_S
        self.diary.note("broker", "kill -9")
        self.broker.kill()
        self.broker_losses.append((since, time.time()))
        self.broker_kills += 1
        self._broker_paused_at = None

    def start_broker(self) -> None:
        """Start it again, with what it had written down."""
        self.broker.start()
        self.diary.note("broker", "started")

    def pause_broker(self) -> None:
        """SIGSTOP."""
        self.diary.note("broker", "SIGSTOP")
        self.broker.pause()
        self.broker_pauses += 1
        self._broker_paused_at = time.time()

    def resume_broker(self) -> None:
        """SIGCONT."""
        self.diary.note("broker", "SIGCONT")
        self.broker.resume()
        self._broker_paused_at = None

    # -- looking -------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Note which terminals are disabled."""
        for curfews in self._curfews:
            curfews.look()

    def open_work(self) -> tuple[int, int, int]:
        """How many requests the ledger holds unfinished, how many answers and enables owed; -1 if it cannot be read."""
        with suppress(sqlite3.Error), closing(self._ledger()) as db:
            unfinished = db.execute("SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')").fetchone()
            owed = db.execute("SELECT count(*) FROM answers WHERE owed = 1").fetchone()
            debts = db.execute("SELECT count(*) FROM debts").fetchone()
            return unfinished[0], owed[0], debts[0]
        return -1, -1, -1

    @property
    def untimed(self) -> list[str]:
        """The terminals that stay disabled until they are enabled."""
        return [name for name, terminal in self.terminals.items() if terminal.switches.timed_disable != "accept"]

    def terminal_ends(self) -> dict[str, TerminalEnd]:
        """What the terminals are and hold now."""
        ends = {}
        for curfews, (name, terminal) in zip(self._curfews, self.terminals.items(), strict=True):
            untimed = name in self.untimed
            ends[name] = TerminalEnd(
                held=[_held(view) for view in terminal.users()],
                own=self.persons[name].own,
                disabled=terminal.disabled,
                sessions_open=terminal.sessions_open,
                spans=[self._span(began, ended) for began, ended in curfews.spans],
                longest_allowed_s=None if untimed else BUDGET_S + TIMEOUT_S + SLACK_S,
            )
        return ends

    def ledger_end(self, secrets: Iterable[str]) -> LedgerEnd:
        """What is on disk: now, so best after the daemon's end."""
        with closing(self._ledger()) as db:
            unfinished = [
                f"request {row[0]} ({row[1]}) of {row[2]}, {row[3]}"
                for row in db.execute(
                    "SELECT id, request_id, device, state FROM requests WHERE state IN ('accepted', 'running')"
                )
            ]
            owed = db.execute("SELECT count(*) FROM answers WHERE owed = 1").fetchone()[0]
            debts = [row[0] for row in db.execute("SELECT device FROM debts")]
            deliveries = [
                Delivery(device, request_id, correlation, kept_at, sent_at)
                for device, request_id, correlation, kept_at, sent_at in db.execute(
                    # One that was carried out anew under its request_id has left that to the later one.
                    "SELECT r.device, coalesce(r.request_id, CASE WHEN length(r.reply) > 0 THEN"
                    " json_extract(CAST(r.reply AS TEXT), '$.request_id') END), a.correlation, a.made_at, a.sent_at"
                    " FROM answers a LEFT JOIN requests r ON r.id = a.request"
                )
            ]
        files = sorted(path for path in self.daemon.state.iterdir() if path.is_file())
        return LedgerEnd(
            unfinished=unfinished,
            owed=owed,
            debts=debts,
            deliveries=deliveries,
            modes={path.name: path.stat().st_mode & 0o7777 for path in files if path.name.startswith("ledger")},
            secrets=self.secrets_found(secrets),
        )

    def secrets_found(self, secrets: Iterable[str]) -> list[str]:
        """Where a password or a card stands that should not: the ledger's files and the daemon's log."""
        wanted = set(secrets)
        found = []
        for path in [*sorted(self.daemon.state.iterdir()), self.daemon.log_path]:
            if path.is_file() and (hits := secrets_in(path.read_bytes(), wanted)):
                kinds = Counter("password" if hit.startswith(PASSWORD_MARK) else "card" for hit in hits)
                found.append(f"{path.name}: " + ", ".join(f"{count} x {kind}" for kind, count in kinds.items()))
        return found

    def _ledger(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.daemon.state / 'ledger.db'}?mode=ro", uri=True, timeout=2)

    def _span(self, began: float, ended: float) -> Span:
        wounds = sum(1 for wound in self.keeper.wounds if began - TIMEOUT_S <= wound <= ended)
        return Span(began, ended - began, 1 + wounds)

    def _watch(self, name: str, terminal: SimulatedTerminal) -> None:
        curfews = Curfews(terminal)
        self._curfews.append(curfews)

        def changed(text: str) -> None:
            self.diary.note(name, text)
            if text.startswith(("enabled", "disabled")):
                curfews.look()

        def heard(exchange: Exchange) -> None:
            self.diary.note(name, str(exchange))
            if exchange.direction == "in":
                self.keeper.heard_frame()

        terminal.listen(changed)
        terminal.machine.journal.on_frame = heard


def secrets_in(content: bytes, secrets: set[str]) -> set[str]:
    """Which of the secrets stand in these bytes: passwords begin with their mark, cards have ten digits."""
    mark = re.escape(PASSWORD_MARK).encode()
    passwords = {
        found[1][:size].decode()
        for found in re.finditer(rb"(?=(" + mark + rb"[0-9A-Za-z]{4,7}))", content)
        for size in (5, 8)
    }
    cards = {found[1].decode() for found in re.finditer(rb"(?=(\d{10}))", content)}
    return (passwords | cards) & secrets


def _catches(pid: int, sign: signal.Signals) -> bool:
    """Whether a process has a handler for a signal: Python needs a moment until the daemon can say so."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> sign - 1 & 1)


def _held(view: Any) -> Held:
    user = User(view.user_id, view.name, view.password, view.privilege, view.card)
    return Held(user, view.uid, view.group)
