"""What goes wrong, and when: drawn from a seed, done to the world."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from torture.foreigners import Foreigners
from torture.frame import TIMEOUT_S
from torture.world import BUDGET_S, World
from zkbridge.simulator import SimulatedTerminal

#: The frames of a session, and how often each is chosen.
FRAMES = {
    "CONNECT": 2,
    "AUTH": 1,
    "DISABLE": 2,
    "OPTIONS_RRQ": 1,
    "PREPARE_BUFFER": 2,
    "READ_BUFFER": 2,
    "FREE_DATA": 1,
    "GET_FREE_SIZES": 2,
    "USER_WRQ": 6,
    "REFRESHDATA": 3,
    "ENABLE": 3,
    "EXIT": 1,
}
#: What can go wrong at a frame, and how often each is chosen.
ACTIONS = {
    "close": 4,
    "reset": 4,
    "half": 2,
    "garbage": 2,
    "silence": 3,
    "late": 4,
    "event": 2,
    "refuse": 2,
    "trickle": 1,
    "twice": 2,
    "bad_checksum": 1,
    "bad_reply_id": 1,
    "power_off": 1,
}
UDP_ACTIONS = {"lose": 4, "repeat": 4, "swap": 4}
#: If the chosen frame does not come, the daemon is killed where it stands.
FRAME_PATIENCE_S = 2.5
#: How many requests to terminals the daemon may come to before a kill: on a slow machine it must not die in its start
#: each time. If it finds nothing to do for so many seconds, it is killed all the same.
WORK_BEFORE_A_KILL = [0, 0, 5, 20, 60, 150]
WORK_PATIENCE_S = 15.0
#: By so many seconds what is planned may run ahead of the kills: on a slow machine all of it takes longer, together.
AHEAD_S = 20.0
#: What the bridge tells a terminal that takes a time with DISABLE.
DISABLED_S = BUDGET_S + TIMEOUT_S


class Breakage:
    """The schedule of what goes wrong in `seconds`, and its execution. `tick` from the main thread."""

    def __init__(self, random: Random, world: World, *, kills: int, seconds: float) -> None:
        self.faults: Counter[str] = Counter()
        self._random = random
        self._world = world
        self._kills = kills
        self._seconds = seconds
        self._over = threading.Event()
        self._order = itertools.count()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        #: From the simulator's thread: what is to be done in so many seconds.
        self._inbox: queue.SimpleQueue[tuple[float, Callable[[], None]]] = queue.SimpleQueue()
        self._foreigners = Foreigners()
        self._powered_off: set[str] = set()
        self._began = time.time()
        self._draw(kills, seconds)

    @property
    def foreigners(self) -> int:
        """How many clients of other programs have come."""
        return self._foreigners.came

    @property
    def finished(self) -> bool:
        """Whether the daemon has been killed as often as wanted."""
        return self._world.keeper.kills >= self._kills

    @property
    def clock(self) -> float:
        """The seconds of the plan that have passed."""
        done = self._world.keeper.kills / self._kills
        return min(time.time() - self._began, self._seconds * done + AHEAD_S)

    def tick(self) -> None:
        """Do what is due."""
        while not self._inbox.empty():
            self._later(*self._inbox.get())
        while self._planned and self._planned[0][0] <= self.clock:
            heapq.heappop(self._planned)[2]()
        while self._due and self._due[0][0] <= time.time():
            heapq.heappop(self._due)[2]()
        for name, terminal in self._world.terminals.items():
            if not terminal.powered and name not in self._powered_off:
                self._power_on_later(name)
        self._world.keeper.look(self._random.choice([0.0, 0.1, 0.5]))

    def end(self) -> None:
        """Nothing more goes wrong, and all that was broken is well again, but for the daemon."""
        self._over.set()
        waiting = [fault for terminal in self._world.terminals.values() for fault in terminal.faults.waiting()]
        for fault in waiting:
            if isinstance(fault.do, str):
                self.faults[fault.do] -= fault.count
        for terminal in self._world.terminals.values():
            terminal.faults.clear()
            terminal.switches.update({"udp_loss": 0.0, "udp_reorder": 0.0})
            if not terminal.powered:
                terminal.power_on()
        self._world.keeper.resume()
        if self._world.broker.pid is None:
            self._world.start_broker()
        self._world.resume_broker()
        self._foreigners.end()

    # -- the schedule --------------------------------------------------------------------------------------------

    def _draw(self, kills: int, seconds: float) -> None:
        rates: list[tuple[Callable[[], None], float]] = [
            (self._terminate, kills / 10),
            (self._pause, kills / 10),
            (self._pause_at_a_frame, kills / 10),
            (self._kill_broker, kills / 10),
            (self._pause_broker, kills / 15),
            (self._fault, seconds * 1.2),
            (self._power_off, seconds / 30),
            (self._keypad, seconds),
            (self._keypad_at_a_frame, seconds / 4),
            (self._send_foreigner, seconds / 4),
        ]
        for number in range(kills):  # spread evenly, for the plan's clock waits for them
            self._plan((number + self._random.random()) * seconds / kills, self._kill)
        for act, times in rates:
            for _ in range(max(1, round(times))):
                self._plan(self._random.uniform(0.5, seconds), act)

    def _plan(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (seconds, next(self._order), act))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.time() + seconds, next(self._order), act))

    def _somewhere(self) -> tuple[str, SimulatedTerminal]:
        return self._random.choice(list(self._world.terminals.items()))

    def _frame(self) -> str:
        return self._random.choices(list(FRAMES), weights=list(FRAMES.values()))[0]

    # -- the daemon ----------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        work = self._random.choice(WORK_BEFORE_A_KILL)
        at_a_frame = self._random.random() < 0.5
        keeper = self._world.keeper

        def strike() -> None:
            if not keeper.alive or (keeper.work < work and keeper.age_s < WORK_PATIENCE_S):
                self._later(0.1, strike)
            elif at_a_frame:
                self._kill_at_a_frame()
            elif not keeper.kill("at random"):
                self._later(0.2, strike)

        strike()

    def _kill_at_a_frame(self) -> None:
        done = threading.Event()
        name, terminal = self._somewhere()
        frame, when = self._frame(), self._random.choice(["before", "after"])

        def strike(why: str) -> None:
            if not done.is_set() and self._world.keeper.kill(why):
                done.set()

        def give_up() -> None:
            strike("at random")
            if not done.is_set():
                self._later(0.2, give_up)

        terminal.faults.add(
            frame, when, lambda _: strike(f"{when} {frame} of {name}"), skip=self._random.choice([0, 0, 1])
        )
        self._later(FRAME_PATIENCE_S, give_up)

    def _terminate(self) -> None:
        if not self._world.keeper.terminate():
            self._later(0.2, self._terminate)

    def _pause(self) -> None:
        if self._world.keeper.pause():
            self._later(self._random.choice([0.2, 1, 3, 8]), self._resume)

    def _pause_at_a_frame(self) -> None:
        """SIGSTOP in mid-session for longer than the terminal stays disabled, and somebody comes to the keypad."""
        done = threading.Event()
        name, terminal = self._somewhere()
        frame, when = self._frame(), self._random.choice(["before", "after"])
        seconds = self._random.choice([DISABLED_S - 0.5, DISABLED_S + 1.5])
        person = self._world.persons[name]

        def strike(_: object) -> None:
            if done.is_set() or not self._world.keeper.pause():
                return
            done.set()
            self._world.diary.note(name, f"the daemon is stopped {when} {frame}")
            self._inbox.put((DISABLED_S + 0.5, person.act))
            self._inbox.put((seconds, self._resume))

        terminal.faults.add(frame, when, strike)
        self._later(FRAME_PATIENCE_S, done.set)

    def _resume(self) -> None:
        self._world.keeper.resume()

    # -- the broker ----------------------------------------------------------------------------------------------

    def _kill_broker(self) -> None:
        if self._world.broker.pid is None:
            return
        self._world.kill_broker()
        self._later(self._random.choice([0.0, 0.3, 1, 3]), self._start_broker)

    def _start_broker(self) -> None:
        if self._world.broker.pid is None:
            self._world.start_broker()

    def _pause_broker(self) -> None:
        if self._world.broker.pid is None:
            return
        self._world.pause_broker()
        self._later(self._random.choice([0.2, 1, 4]), self._resume_broker)

    def _resume_broker(self) -> None:
        if self._world.broker.pid is not None:
            self._world.resume_broker()

    # -- the terminals -------------------------------------------------------------------------------------------

    def _fault(self) -> None:
        random = self._random
        name, terminal = self._somewhere()
        configured = self._world.daemon.config["devices"][name]
        udp = configured.get("transport") == "udp"
        actions = ACTIONS | UDP_ACTIONS if udp else dict(ACTIONS)
        if configured.get("attendance") == "live":
            actions.pop("event")  # a punch that nobody made would rightly be published
        do = random.choices(list(actions), weights=list(actions.values()))[0]
        options: dict[str, Any] = {"skip": random.choice([0, 0, 0, 1, 2])}
        if do == "late":
            options["delay"] = random.choice([0.2, 0.8] if udp else [0.2, 1.0, 3.0])
        if do in ("close", "reset", "half"):
            options["after_bytes"] = random.choice([None, 1, 9, 40])
        if do in UDP_ACTIONS:
            options["frame"] = random.choice([0, 1, 2])
        frame = self._frame()
        when = random.choice(["before", "after"])
        if do == "refuse" and frame == "USER_WRQ":
            when = "before"  # no terminal is known that says no to what it has done
        terminal.faults.add(frame, when, do, **options)
        self.faults[do] += 1
        self._world.diary.note(name, f"fault planned: {do} {when} {frame} {options}")

    def _power_off(self) -> None:
        name, terminal = self._somewhere()
        if terminal.powered:
            self._world.diary.note(name, "the plug is pulled")
            terminal.power_off(self._random.choice(["reset", "close", "silent"]))
            self.faults["power"] += 1

    def _power_on_later(self, name: str) -> None:
        self._powered_off.add(name)

        def power_on() -> None:
            self._world.terminals[name].power_on()
            self._powered_off.discard(name)

        self._later(self._random.choice([0.3, 1, 4]), power_on)

    def _keypad(self) -> None:
        name, _ = self._somewhere()
        self._world.persons[name].act()

    def _keypad_at_a_frame(self) -> None:
        name, terminal = self._somewhere()
        person = self._world.persons[name]
        terminal.faults.add(self._frame(), self._random.choice(["before", "after"]), lambda _: person.act())

    def _send_foreigner(self) -> None:
        name, _ = self._somewhere()
        if self._foreigners.come(name, self._world.daemon):
            self._world.diary.note(name, "a foreign client comes")
