"""What each event of a plan does to a simulated world."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from torture.simulated.callers import DEVICES, LISTENED, UDP
from torture.simulated.faults import FITS, UNDECIDABLE
from torture.simulated.plan import Event
from torture.simulated.sequences import Sequences
from torture.simulated.wire import FATES

if TYPE_CHECKING:
    from torture.simulated.terminal import Terminal
    from torture.simulated.world import World


class Events:
    """Has events happen in a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._machine = world.machine
        self._sequences = Sequences(world)

    def happen(self, event: Event) -> None:
        """Have an event happen, to whatever is there just now."""
        getattr(self, f"_do_{event.name}")(event.arg)

    def _terminal(self, arg: int) -> Terminal:
        return self._world.terminals[DEVICES[arg % len(DEVICES)]]

    def _listened(self, arg: int) -> Terminal:
        return self._world.terminals[LISTENED[arg % len(LISTENED)]]

    def _do_ask(self, arg: int) -> None:
        self._world.callers.ask(arg)

    def _do_switch(self, arg: int) -> None:
        if arg % 3:
            self._machine.give_way(arg)
        elif self._machine.current is not None:
            self._machine.sleep((1 + arg // 3 % 5) / 1000)

    def _do_stall(self, arg: int) -> None:
        self._sequences.stall(arg)

    def _do_rush(self, arg: int) -> None:
        self._sequences.rush(self._terminal(arg), arg)

    def _do_overtake(self, arg: int) -> None:
        self._sequences.overtake(self._terminal(arg), arg)

    def _do_cut_off(self, arg: int) -> None:
        self._sequences.cut_off(self._listened(arg), arg)

    def _do_wait(self, arg: int) -> None:
        self._world.patient_until = self._machine.now + (0.5, 2.0, 6.0, 35.0, 70.0)[arg % 5]

    def _do_fault(self, arg: int) -> None:
        random = Random(arg)
        terminal = self._world.terminals[random.choice(DEVICES)]
        fault = random.choice(list(FITS))
        if len(terminal.faults) < 3 and not any({fault, each} == UNDECIDABLE for each in terminal.faults):
            terminal.faults.append(fault)

    def _do_punch(self, arg: int) -> None:
        terminal = self._listened(arg // 4)
        for _ in range((1, 1, 1, 4)[arg // 8 % 4]):
            self._world.tell(f"somebody punches at {terminal.name}")
            terminal.punch(event=arg % 4 > 0)

    def _do_clear(self, arg: int) -> None:
        terminal, at_terminal = self._listened(arg), arg // 2 % 2 > 0
        if terminal.clear_log(at_terminal=at_terminal):
            by = "at the terminal" if at_terminal else "by another program"
            self._world.tell(f"the log of {terminal.name} is cleared {by}")

    def _do_hide(self, arg: int) -> None:
        terminal = self._listened(arg)
        punches, seconds = ((1, 0.3), (3, 0.3), (1000, 3.0), (1000, 30.0))[arg // 2 % 4]
        self._world.tell(f"{terminal.name} does not show {punches} of its punches for {seconds} s")
        terminal.log.hide(punches, lasting=seconds)

    def _do_datagram(self, arg: int) -> None:
        fates = self._world.terminals[UDP[0]].fates
        fates += Random(arg).choices(list(FATES), k=4 if len(fates) < 8 else 0)

    def _do_break(self, _arg: int) -> None:
        self._world.broker.break_link()

    def _do_broker(self, arg: int) -> None:
        self._world.tell("the broker is killed")
        self._world.broker.die((0.2, 3.0, 40.0)[arg % 3], forgets=arg // 3 % 4)

    def _do_forget(self, _arg: int) -> None:
        self._world.tell("the broker loses the bridge's session")
        self._world.broker.forget_session()

    def _do_flags(self, _arg: int) -> None:
        self._world.broker.flags_dup = not self._world.broker.flags_dup

    def _do_away(self, arg: int) -> None:
        terminal = self._terminal(arg)
        self._world.tell(f"{terminal.name} cannot be reached")
        terminal.leave((1.0, 8.0, 45.0, 120.0)[arg // 8 % 4], silent=arg // 32 % 2 > 0)

    def _do_restart(self, arg: int) -> None:
        terminal = self._terminal(arg)
        self._world.tell(f"{terminal.name} restarts")
        terminal.restart()

    def _do_keypad(self, arg: int) -> None:
        terminal = self._terminal(arg)
        if terminal.add_at_keypad(f"k{arg % 1000}"):
            self._world.tell(f"somebody is added at the keypad of {terminal.name}")

    def _do_disk(self, arg: int) -> None:
        self._world.disk.fault, self._world.disk.faults_left = ("full", "broken")[arg % 2], 1 + arg // 2 % 4

    def _do_clock(self, arg: int) -> None:
        jump = (-86_400.0, -100.0, 100.0, 86_400.0)[arg % 4]
        self._world.tell(f"the machine's clock jumps by {jump:+.0f} s, and no time server stands behind it")
        self._world.set_clock(self._machine.wall_offset + jump)
        if arg // 4 % 2:
            self._world.be_quiet_for(45.0)  # dates come meanwhile, and no restart that sets the clock

    def _do_kill(self, _arg: int) -> None:
        self._world.tell("the bridge is killed")
        self._machine.kill()

    def _do_power(self, arg: int) -> None:
        self._world.tell("the power is cut")
        self._world.lost = arg % 4
        self._machine.kill()

    def _do_stop(self, _arg: int) -> None:
        self._world.stop()

    def _do_slow(self, arg: int) -> None:
        terminal = self._terminal(arg)
        seconds = (0.05, 0.2, 0.4)[arg // 8 % 3]
        self._world.tell(f"{terminal.name} takes {seconds} s for an answer")
        terminal.be_slow(seconds, lasting=20.0)

    def _do_strand(self, arg: int) -> None:
        """The next ENABLE does not arrive, and the terminal is out of reach, perhaps until after a kill."""
        terminal = self._terminal(arg)
        after, silent, kills = (0.5, 4.0, 9.0, 16.0)[arg // 8 % 4], arg // 32 % 2 > 0, arg // 64 % 3 > 0

        def strand() -> None:
            self._world.tell(f"{terminal.name} cannot be reached when it is to be enabled, for {after} s")
            terminal.leave(after + 0.5, silent=silent)
            self._world.be_quiet_for(after + 45.0)
            if kills:
                self._machine.after(after, self._world.end_bridge)

        terminal.instead_of_enable = strand
