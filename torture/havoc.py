"""What goes wrong at random around one daemon, for any program that tortures it: ends, pauses, brokers, terminals."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.support.caller import Caller
from tests.support.mosquitto import Mosquitto
from torture.keeper import BROKER_MEMORY_S, Keeper
from zkbridge.config.models import Device
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import reach

#: Seconds without any news after which what has not come by then never will.
SILENT_FOR_S = 60.0
COMMANDS = ("ping", "time/get", "users/list", "users/create", "attendance/list", "info")
ACTIONS = ("close", "reset", "half", "garbage", "silence", "late", "refuse", "twice", "bad_reply_id", "power_off")
#: How much later the fault `late` may be, in seconds.
LATE_S = (0.1, 1.0)

Deed = Callable[[], object]


class Havoc:
    """Deeds that one thread does, each about as often as it is told, and what must follow them after a while.

    `broken` counts them. `listen_again` has whoever listens at the broker do so again after its start; the daemon
    is held until that has returned, so that nothing is said before. `pauses` are the seconds for which daemon and
    broker stand still, `absences` those after which the daemon is started again.
    """

    def __init__(
        self,
        random: Random,
        *,
        keeper: Keeper,
        broker: Mosquitto,
        terminals: Mapping[str, SimulatedTerminal],
        listen_again: Callable[[], None],
        pauses: Sequence[float] = (0.3, 2, 6),
        absences: Sequence[float] = (0.0, 0.3, 1.0),
    ) -> None:
        self.broken: Counter[str] = Counter()
        #: Between which times what the broker had confirmed may have been lost with it.
        self.broker_losses: list[tuple[float, float]] = []
        self._random = random
        self._keeper = keeper
        self._broker = broker
        self._terminals = terminals
        self._names = list(terminals)
        self._listen_again = listen_again
        self._pauses = pauses
        self._absences = absences
        self._dark: set[str] = set()
        self._broker_paused = False
        self._mark = 0
        self._doomed = False
        self._every: dict[Deed, float] = {}
        self._due: dict[Deed, float] = {}
        self._later: list[tuple[float, Deed]] = []
        self._threads: list[threading.Thread] = []

    # -- when --------------------------------------------------------------------------------------------------------

    def plan(self, deeds: dict[Deed, float]) -> None:
        """What is done from now on, and about how many seconds pass between."""
        now = time.monotonic()
        self._every = deeds
        self._due = {deed: now + self._random.uniform(0.5, 1) * every for deed, every in deeds.items()}

    def step(self) -> None:
        """Do what is due by now; start the daemon again, in a moment, if it has ended."""
        now = time.monotonic()
        for deed in [deed for deed, at in self._due.items() if at <= now]:
            self._due[deed] = now + self._random.uniform(0.5, 1.5) * self._every[deed]
            deed()
        for act in [act for at, act in self._later if at <= now]:
            act()
        self._later = [(at, act) for at, act in self._later if at > now]
        self._keeper.look(self._random.choice(self._absences))

    def soon(self, seconds: float, act: Deed) -> None:
        """Do something in a while, once."""
        self._later.append((time.monotonic() + seconds, act))

    def wait(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait, and keep the daemon running meanwhile; whether it came true."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._keeper.look(0.0)
            time.sleep(0.05)
        return True

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        for name, terminal in self._terminals.items():
            terminal.faults.clear()
            terminal.switches.update({"udp_loss": 0.0, "udp_duplicate": 0.0, "udp_reorder": 0.0})
            self._power_on(name)
        self._keeper.resume()
        self._resume_broker()
        if self._broker.pid is None:
            self.start_broker()

    def close(self) -> None:
        """End the daemon and the broker, whatever state they are in."""
        for thread in self._threads:
            thread.join()
        if self._keeper.daemon.running:
            self._keeper.resume()
            self._keeper.daemon.kill()
        self._resume_broker()
        self._broker.stop()

    # -- the daemon --------------------------------------------------------------------------------------------------

    def is_online(self) -> bool:
        """Whether this life of the daemon has come as far as the broker."""
        return self._keeper.alive and "connected to" in self._keeper.daemon.log[self._mark :]

    def kill(self) -> None:
        """Now and then before it has begun; but as a rule it is to get some work done."""
        if self._random.random() < 0.2:
            self._strike()
        elif not self._doomed:
            self._doomed = True
            self._kill_once_online()

    def terminate(self) -> None:
        """SIGTERM."""
        if self._keeper.terminate():
            self.broken["SIGTERM"] += 1
            self._mark = len(self._keeper.daemon.log)

    def pause(self) -> None:
        """SIGSTOP, and on it goes after a while."""
        if self._keeper.pause():
            self.broken["SIGSTOP"] += 1
            self.soon(self._random.choice(self._pauses), self._keeper.resume)

    def _kill_once_online(self) -> None:
        if self.is_online():
            self.soon(self._random.uniform(0, 5), self._strike)
        else:
            self.soon(0.2, self._kill_once_online)

    def _strike(self) -> None:
        self._doomed = False
        if self._keeper.kill("at random"):
            self.broken["kill -9"] += 1
            self._mark = len(self._keeper.daemon.log)

    # -- the broker --------------------------------------------------------------------------------------------------

    def stop_broker(self) -> None:
        """As a system does; it saves what it holds."""
        if self._broker_serves:
            self.broken["broker stopped"] += 1
            self._broker.stop()
            self._soon_start_broker()

    def kill_broker(self) -> None:
        """`kill -9`: it forgets what it had not yet written down, and brings again what was acknowledged since."""
        if self._broker_serves:
            self.broken["broker killed"] += 1
            since = time.time() - BROKER_MEMORY_S
            self._broker.kill()
            self.broker_losses.append((since, time.time()))
            self._soon_start_broker()

    def pause_broker(self) -> None:
        """SIGSTOP, and on it goes after a while."""
        if self._broker_serves:
            self.broken["broker paused"] += 1
            self._broker.pause()
            self._broker_paused = True
            self.soon(self._random.choice(self._pauses), self._resume_broker)

    @property
    def _broker_serves(self) -> bool:
        return self._broker.pid is not None and not self._broker_paused

    def _soon_start_broker(self) -> None:
        self.soon(self._random.choice([0.5, 3, 8]), self.start_broker)

    def start_broker(self) -> None:
        """Start the broker; the bridge is paused until all clients have subscribed again, so that they miss nothing."""
        held = self._keeper.pause()
        self._broker.start()
        self._listen_again()
        if held:
            self._keeper.resume()

    def _resume_broker(self) -> None:
        if self._broker_paused:
            self._broker.resume()
            self._broker_paused = False

    # -- the terminals -----------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """A terminal starts anew."""
        terminal = self._terminals[self._somewhere()]
        if terminal.powered:
            self.broken["restart"] += 1
            terminal.restart()

    def go_dark(self) -> None:
        """A terminal is gone, without a word and for a while."""
        name = self._somewhere()
        terminal = self._terminals[name]
        if terminal.powered:
            self.broken["dark"] += 1
            terminal.power_off("silent")
            self._dark.add(name)
            self.soon(self._random.choice([0.5, 4, 15]), lambda: self._power_on(name))

    def fault(self, frames: Sequence[str], *, honest: Collection[str] = ()) -> None:
        """Something goes wrong with one of these frames; whoever refuses one of the `honest` has not done it."""
        random, name = self._random, self._somewhere()
        do, frame = random.choice(ACTIONS), random.choice(frames)
        more: dict[str, Any] = {"delay": random.choice(LATE_S)} if do == "late" else {}
        self.broken["fault"] += 1
        when = random.choice(["before", "after"])
        if do == "refuse" and frame in honest:
            when = "before"
        self._terminals[name].faults.add(frame, when, do, skip=random.choice([0, 0, 1]), **more)
        if do == "power_off":
            self.soon(5, lambda: self._power_on(name))

    def repair(self) -> None:
        """Switch on again whoever lost power by a fault that waited for its frame for long."""
        for name in self._terminals:
            if name not in self._dark:
                self._power_on(name)

    def neighbour(self) -> None:
        """Another program of the machine that heeds the lock, as `zkbridge check --connect` does."""
        name, config = self._somewhere(), self._keeper.daemon.config
        settings = Device.model_validate({**config["devices"][name], "id": name})

        def call() -> None:
            with suppress(Exception):  # in all this it may well fail
                reach(settings, deadline=Deadline.after(5), lock_dir=Path(config["lock_dir"]))
                self.broken["neighbour"] += 1

        thread = threading.Thread(target=call, name="neighbour")
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def command(self, caller: Caller) -> None:
        """Somebody asks a terminal for something else."""
        name, command = self._somewhere(), self._random.choice(COMMANDS)
        number = self._random.randrange(900_000, 999_999)
        body = {"user_id": str(number), "name": "Eva"} if command == "users/create" else {}
        self.broken["command"] += 1
        caller.send(f"zk/{name}/{command}", json.dumps(body))

    def _somewhere(self) -> str:
        return self._random.choice(self._names)

    def _power_on(self, name: str) -> None:
        self._dark.discard(name)
        terminal = self._terminals[name]
        if not terminal.powered:
            terminal.power_on()
