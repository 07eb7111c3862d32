"""One run: the bridge on its machine, the events of a plan, and then peace until everything is answered."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from torture.simulated.broker import PUNCHES, Broker
from torture.simulated.callers import DEVICES, Ask, Callers
from torture.simulated.disk import Disk
from torture.simulated.machine import HERE, Fiber, Machine
from torture.simulated.plan import Event
from torture.simulated.program import THE, Surroundings, seed_everything
from torture.simulated.setting import config
from torture.simulated.terminal import FITS, Terminal
from zkbridge.bridge.bridge import Bridge
from zkbridge.machine.clock import Clock

#: A bridge that waits no longer than this for something goes on before the next event; seconds.
PATIENCE_S = 0.3
#: Seconds from the end of the program until it runs again.
RESTART_S = 1.0
#: Peace is given so long until all is answered, and a terminal in order so long for an answer.
PEACE_S, PROMPT_S = 1_500.0, 8.0
#: How often callers ask again in peace what failed and may be asked again.
ROUNDS = 4


class World:
    """A bridge, two terminals and their group, a broker, a disk, and callers. `story` is what happened, if wanted."""

    def __init__(self, folder: Path, *, seed: int = 0, tells: bool = False) -> None:
        self.story: list[str] = []
        self.met: Counter[tuple[str, str]] = Counter()
        self.wrongs: list[str] = []
        self._tells = tells
        self.machine = HERE.machine = Machine()
        self.machine.at_point = self._at_point
        self.broker = Broker(self.tell)
        self.disk = Disk(folder / "state", self.tell)
        self.terminals = {name: Terminal(f"{name}.test", self.tell, takes_seconds=name == "a") for name in DEVICES}
        THE.surroundings = Surroundings(self.broker, self.disk, self.terminals)
        seed_everything(seed)
        self.callers = Callers(self.broker, self.tell)
        self._config = config(folder)
        self._bridge: Bridge | None = None
        self._main: Fiber | None = None
        self._life = -1
        self._lost: int | None = None
        self._events: Sequence[Event] = ()
        self._next = 0
        self._patient_until = 0.0

    def tell(self, sentence: str) -> None:
        """Note what happened, for the story."""
        if self._tells:
            machine = self.machine
            self.story.append(f"{machine.now - 1000:9.3f} s  step {machine.steps:6d}  {sentence}")

    # -- a run ---------------------------------------------------------------------------------------------------

    def run(self, events: Sequence[Event]) -> None:
        """Have all of it happen, and then peace."""
        try:
            self._run(events)
        finally:
            self.machine.life += 1
            self.machine.bury()
            self.disk.end(lost=None)

    def _run(self, events: Sequence[Event]) -> None:
        self._pass(lambda: self.broker.link is not None and self.machine.now > 1_003, 60.0)
        self._events, self._next = events, 0
        self._count_down()
        while self._next < len(self._events):
            self._go_on(self._patient_until)
        self._events, self._next = (), 0
        self.machine.countdown = 1 << 60
        self._make_peace()

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

    def _pass(self, enough: Callable[[], bool], most_s: float) -> bool:
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
        machine.bury()
        for terminal in self.terminals.values():
            for channel in list(terminal.channels):
                channel.close()
        if self.broker.link is not None:
            self.broker.break_link()
        self.disk.end(lost=self._lost)
        self._lost = None
        machine.wall_offset = machine.true_offset
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
        getattr(self, f"_do_{event.name}")(event.arg)

    def _do_ask(self, arg: int) -> None:
        self.callers.ask(arg)

    def _do_switch(self, arg: int) -> None:
        if arg % 3:
            self.machine.give_way(arg)
        elif self.machine.current is not None:
            self.machine.sleep((1 + arg // 3 % 5) / 1000)

    def _do_wait(self, arg: int) -> None:
        self._patient_until = self.machine.now + (0.5, 2.0, 6.0, 35.0, 70.0)[arg % 5]

    def _do_fault(self, arg: int) -> None:
        random = Random(arg)
        terminal = self.terminals[random.choice(DEVICES)]
        if len(terminal.faults) < 3:
            terminal.faults.append(random.choice(list(FITS)))

    def _do_punch(self, arg: int) -> None:
        self.tell("somebody punches at a.test")
        self.terminals["a"].punch(event=arg % 4 > 0)

    def _do_break(self, _arg: int) -> None:
        self.broker.break_link()

    def _do_broker(self, arg: int) -> None:
        self.tell("the broker is killed")
        self.broker.die((0.2, 3.0, 40.0)[arg % 3], forgets=arg // 3 % 4)

    def _do_flags(self, _arg: int) -> None:
        self.broker.flags_dup = not self.broker.flags_dup

    def _do_away(self, arg: int) -> None:
        terminal = self.terminals[DEVICES[arg % 2]]
        self.tell(f"{terminal.name} cannot be reached")
        terminal.leave((1.0, 8.0, 45.0, 120.0)[arg // 2 % 4], silent=arg // 8 % 2 > 0)

    def _do_restart(self, arg: int) -> None:
        terminal = self.terminals[DEVICES[arg % 2]]
        self.tell(f"{terminal.name} restarts")
        terminal.restart()

    def _do_keypad(self, arg: int) -> None:
        terminal = self.terminals[DEVICES[arg % 2]]
        if terminal.add_at_keypad(f"k{arg % 1000}"):
            self.tell(f"somebody is added at the keypad of {terminal.name}")

    def _do_disk(self, arg: int) -> None:
        self.disk.fault, self.disk.faults_left = ("full", "broken")[arg % 2], 1 + arg // 2 % 4

    def _do_clock(self, arg: int) -> None:
        jump = (-86_400.0, -100.0, 100.0, 86_400.0)[arg % 4]
        self.tell(f"the machine's clock jumps by {jump:+.0f} s, and no time server stands behind it")
        self.machine.wall_offset += jump

    def _do_kill(self, _arg: int) -> None:
        self.tell("the bridge is killed")
        self.machine.kill()

    def _do_power(self, arg: int) -> None:
        self.tell("the power is cut")
        self._lost = arg % 4
        self.machine.kill()

    def _do_stop(self, _arg: int) -> None:
        if self._bridge is not None and self._life == self.machine.life:
            self.tell("the bridge is told to stop")
            self._bridge.ended.set()

    def _note(self, event: str) -> None:
        """Count in which states the requests were that this event met."""
        for state in self._states():
            self.met[state, event] += 1

    def _states(self) -> set[str]:
        states = {"under way to the bridge"} if self.broker.under_way else set()
        if self.broker.queue:
            states.add("at the broker")
        rows = self._rows("SELECT DISTINCT state FROM requests")
        states |= {row[0] for row in rows}
        if any(self.terminals[name].disabled for name in DEVICES):
            states.add("in a session")
        return states

    # -- the end -------------------------------------------------------------------------------------------------

    def _make_peace(self) -> None:
        self.tell("from here on nothing goes wrong")
        machine = self.machine
        self.broker.flags_dup, self.broker.down_until = True, 0.0
        self.disk.fault = None
        machine.wall_offset = machine.true_offset
        for terminal in self.terminals.values():
            terminal.faults.clear()
            terminal.away_until = 0.0
        if not self._pass(self._is_quiet, PEACE_S):
            self.wrongs.append(f"after {PEACE_S:.0f} s of peace there is still {', '.join(self._left())}")
            return
        for _ in range(ROUNDS):
            open_wishes = self._open_wishes()
            if not open_wishes:
                break
            for wish in open_wishes:
                self.callers.send(wish)
            self._pass(self._is_quiet, PEACE_S)
        self._ask_promptly()

    def _ask_promptly(self) -> None:
        for device in DEVICES:
            for publish in (self.callers.mistake, self.callers.probe):
                ask = publish(device)
                if not self._pass(partial(self._is_answered, ask), PROMPT_S):
                    self.wrongs.append(f"{device} is in order, and message {ask.number} has no answer in {PROMPT_S} s")

    def _is_answered(self, ask: Ask) -> bool:
        return ask.number in self.callers.replies()

    def _open_wishes(self) -> list[Any]:
        """What failed and may be asked again under its request_id."""
        replies = self.callers.replies()
        found = []
        for wish in self.callers.wishes:
            told = [one for ask in wish.asks for one in replies.get(ask.number, []) if one.device == wish.device]
            if wish.has_id and told:
                body = told[-1].body
                if body["status"] >= 500 and body.get("retryable", body.get("effect") == "unknown"):
                    found.append(wish)
        return found

    def _is_quiet(self) -> bool:
        return not self._left()

    def _left(self) -> list[str]:
        left = []
        if self.broker.queue or self.broker.under_way:
            left.append("a message at the broker")
        if self._rows("SELECT 1 FROM requests WHERE state NOT IN ('done', 'sent') LIMIT 1"):
            left.append("a request without an answer")
        if self._rows("SELECT 1 FROM answers WHERE owed = 1 LIMIT 1"):
            left.append("an answer that is not sent")
        if len({heard.payload for heard in self.broker.heard if heard.topic == PUNCHES}) < len(self.terminals["a"].log):
            left.append("a punch that is not published")
        if self._rows("SELECT 1 FROM debts LIMIT 1"):
            left.append("a terminal that may be disabled")
        return left

    def _rows(self, query: str) -> list[Any]:
        """What the ledger's file holds, as another process would read it."""
        path = self.disk.folder / "ledger.db"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
                return ledger.execute(query).fetchall()
        except sqlite3.Error:
            return []
