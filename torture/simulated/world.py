"""One run: the bridge on its machine, the events of a plan, and then no more faults until everything is answered."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from torture.simulated.broker import Broker
from torture.simulated.callers import DEVICES, LISTENED, UDP, Callers
from torture.simulated.disk import Disk
from torture.simulated.events import Events
from torture.simulated.faultless_end import FaultlessEnd
from torture.simulated.machine import HERE, Fiber, Machine
from torture.simulated.plan import Event
from torture.simulated.program import THE, Surroundings, seed_everything
from torture.simulated.punch_log import PunchLog
from torture.simulated.setting import config
from torture.simulated.terminal import Terminal
from torture.simulated.udp import UdpTerminal
from zkbridge.bridge.bridge import Bridge
from zkbridge.machine.clock import Clock

#: A bridge that waits no longer than this for something goes on before the next event; seconds.
PATIENCE_S = 0.3
#: Seconds from the end of the program until it runs again.
RESTART_S = 1.0

#: Of four seeds the one whose bridge and callers speak MQTT 3.1.1.
_OLD_MQTT = 3


class World:
    """A bridge, three terminals and their group, a broker, a disk, and callers. `story` is what happened, if wanted."""

    def __init__(self, folder: Path, *, seed: int = 0, tells: bool = False) -> None:
        self.story: list[str] = []
        self.met: Counter[tuple[str, str]] = Counter()
        self.wrongs: list[str] = []
        self._tells = tells
        self.machine = HERE.machine = Machine()
        self.machine.at_point = self._at_point
        self.broker = Broker(self.tell)
        self.disk = Disk(folder / "state", self.tell)
        self.terminals = {
            name: (UdpTerminal if name in UDP else Terminal)(f"{name}.test", self.tell, takes_seconds=name != "b")
            for name in DEVICES
        }
        for name in LISTENED:
            self.terminals[name].log = PunchLog.drawn(Random(f"{seed} {name}"))
        THE.surroundings = Surroundings(self.broker, self.disk, self.terminals)
        seed_everything(seed)
        protocol = "3.1.1" if seed % 4 == _OLD_MQTT else "5"
        self.callers = Callers(self.broker, self.tell, correlates=protocol == "5")
        self._config = config(folder, protocol)
        self._bridge: Bridge | None = None
        self._main: Fiber | None = None
        self._life = -1
        #: Whether the power was cut, and how many commits are lost by that.
        self.lost: int | None = None
        #: When the bridge itself met something: it was killed, or told to stop; and when it started.
        self.troubles: list[float] = []
        self.starts: list[float] = []
        #: When its clock became wrong, or right again; and from when until when it was wrong.
        self.clock_jumps: list[float] = []
        self.clock_wrong: list[tuple[float, float]] = []
        self._happen_to = Events(self)
        self._end = FaultlessEnd(self)
        self._events: Sequence[Event] = ()
        self._next = 0
        self.patient_until = 0.0

    def tell(self, sentence: str) -> None:
        """Note what happened, for the story."""
        if self._tells:
            machine = self.machine
            self.story.append(f"{machine.now - 1000:9.3f} s  step {machine.steps:6d}  {sentence}")

    # -- a run ---------------------------------------------------------------------------------------------------

    def run(self, events: Sequence[Event]) -> None:
        """Have all of it happen, and then no more faults."""
        try:
            self._run(events)
        finally:
            self.machine.life += 1
            self.machine.bury()
            self.disk.end(lost=None)

    def _run(self, events: Sequence[Event]) -> None:
        self.pass_time(lambda: self.broker.link is not None and self.machine.now > 1_003, 60.0)
        self._events, self._next = events, 0
        self._count_down()
        while self._next < len(self._events):
            self._go_on(self.patient_until)
        self._events, self._next = (), 0
        self.machine.countdown = 1 << 60
        self._end.run()

    def _go_on(self, until: float) -> None:
        """Let the program run one step; where it only waits, have the next event happen, or time pass until then."""
        machine = self.machine
        if self._life != machine.life:
            self._start_again()
        if machine.run_one():
            return
        moment = machine.next_moment()
        if moment is not None and moment <= max(machine.now + PATIENCE_S, until):
            machine.advance()
        elif self._next < len(self._events):
            machine.now = max(machine.now, until)
            self._happen()
        else:
            machine.now = max(machine.now, until)

    def pass_time(self, enough: Callable[[], bool], most_s: float) -> bool:
        """Let time pass until it is enough; whether it was."""
        end = self.machine.now + most_s
        while self.machine.now < end:
            step = self.machine.now + 1.0
            while self.machine.now < step:
                self._go_on(step)
            if enough():
                return True
        return False

    def _start_again(self) -> None:
        """The program has ended: what the system does then, and a new run of it."""
        machine = self.machine
        self.troubles.append(machine.now)
        self.starts.append(machine.now + RESTART_S)
        machine.bury()
        for terminal in self.terminals.values():
            for channel in list(terminal.channels):
                channel.close()
        if self.broker.link is not None:
            self.broker.break_link()
        self.disk.end(lost=self.lost)
        self.lost = None
        self.put_clock_right()
        self._life = machine.life
        self.tell("the bridge starts")
        self._main = machine.spawn(self._live, "main")

    def _live(self) -> None:
        machine = self.machine
        clock = Clock(
            wall=lambda: machine.now + machine.wall_offset,
            since_start=lambda: machine.now,
            synchronised=lambda: machine.wall_offset == machine.true_offset,
        )
        if self._life > 0:
            machine.sleep(RESTART_S)
        bridge = self._bridge = Bridge(self._config, clock=clock)
        bridge.start()
        bridge.ended.wait()
        bridge.stop()
        self.tell("the bridge has stopped")
        if bridge.failure is not None:
            raise bridge.failure
        machine.life += 1  # what is left of its threads is gone with the process

    def be_quiet_for(self, seconds: float) -> None:
        """Have no event happen for so long, whatever the program does."""
        self.patient_until = self.machine.now + seconds
        self.machine.countdown = 1 << 60

    def put_clock_right(self) -> None:
        """A time server sets the machine's clock."""
        self.set_clock(self.machine.true_offset)

    def set_clock(self, offset: float) -> None:
        """Let the machine's clock differ by so much from the time since its start; only the true offset is right."""
        machine, was_wrong = self.machine, self.machine.wall_offset != self.machine.true_offset
        if offset == machine.wall_offset:
            return
        if was_wrong:
            self.clock_wrong.append((self.clock_jumps[-1], machine.now))
        machine.wall_offset = offset
        self.clock_jumps.append(machine.now)

    def stop(self) -> None:
        """Tell the bridge to stop, if it runs."""
        if self._bridge is not None and self._life == self.machine.life:
            self.tell("the bridge is stopped")
            self.troubles.append(self.machine.now)
            self._bridge.ended.set()

    def end_bridge(self, lost: int | None = None) -> None:
        """Kill the bridge from outside of its threads. `lost`: the power is cut, and so many commits are lost."""
        self.tell("the bridge is killed" if lost is None else "the power is cut")
        self.lost = lost
        self.machine.life += 1

    # -- events --------------------------------------------------------------------------------------------------

    def _at_point(self, _label: str) -> None:
        self._happen()

    def _count_down(self) -> None:
        left = self._next < len(self._events)
        self.machine.countdown = self._events[self._next].gap if left else 1 << 60

    def _happen(self) -> None:
        event = self._events[self._next]
        self._next += 1
        self._count_down()
        if event.name != "switch":
            self._note(event.name)
        self._happen_to.happen(event)

    def _note(self, event: str) -> None:
        """Count in which states the requests were that this event met."""
        for state in self._states():
            self.met[state, event] += 1

    def _states(self) -> set[str]:
        states = {"under way to the bridge"} if self.broker.under_way else set()
        if self.broker.queue:
            states.add("at the broker")
        rows = self.rows("SELECT DISTINCT state FROM requests")
        states |= {row[0] for row in rows}
        if any(self.terminals[name].disabled for name in DEVICES):
            states.add("in a session")
        return states

    def rows(self, query: str) -> list[Any]:
        """What the ledger's file holds, as another process would read it."""
        path = self.disk.folder / "ledger.db"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
                return ledger.execute(query).fetchall()
        except sqlite3.Error:
            return []
