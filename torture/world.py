"""What is tortured, and what surrounds it: the daemon, the broker, the terminals and the people at them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torture.frame import TIMEOUT_S, Stage
from torture.history import Span, TerminalEnd
from torture.keeper import BROKER_MEMORY_S
from torture.onlookers import Curfews, Person, held
from torture.plan import Place
from torture.remains import Remains
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.device.journal import Exchange

BUDGET_S = 2.0
#: What the machine may add: a slow simulator, a slow daemon, and the closing of a session.
SLACK_S = 2.0
#: Of every daemon.
SETTINGS: dict[str, Any] = {
    "covered": False,
    "mqtt": {"keepalive": 5},
    "queue_limit": 60,
    "session_budget": BUDGET_S,
}

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


class World(Stage):
    """The stage of the requests, the people at its terminals, and what is seen of all of it from outside."""

    def __init__(self, folder: Path, *, seed: int, terminals: Sequence[Equipment] = TERMINALS) -> None:
        super().__init__(
            folder,
            "torture",
            [(profile, switches, settings) for profile, _, switches, settings in terminals],
            settings={"user_id_charset": "any"},
            # Else a broker drops what is more than a thousand for a daemon that is away, and says that all is well.
            broker=["max_queued_messages 0"],
            daemon=SETTINGS,
        )
        self.persons: dict[str, Person] = {}
        self.places: list[Place] = []
        self._curfews: list[Curfews] = []
        for number, ((name, terminal), (profile, users, _, _)) in enumerate(
            zip(self.terminals.items(), terminals, strict=True)
        ):
            terminal.fill_users(users)
            self.persons[name] = Person(terminal, seed + number)
            self.places.append(Place(name, 28 if profile == "bw" else 72))
            self._watch(name, terminal)
        self.remains = Remains(self.daemon)
        self.broker_kills = 0
        self.broker_pauses = 0
        self.broker_losses: list[tuple[float, float]] = []
        self._broker_paused_at: float | None = None

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
                held=[held(view) for view in terminal.users()],
                own=self.persons[name].own,
                disabled=terminal.disabled,
                sessions_open=terminal.sessions_open,
                spans=[self._span(began, ended) for began, ended in curfews.spans],
                longest_allowed_s=None if untimed else BUDGET_S + TIMEOUT_S + SLACK_S,
            )
        return ends

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
