"""Events of several steps at one terminal of a simulated world: what single events at random moments seldom make."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from torture.simulated.callers import DEVICES, LISTENED

if TYPE_CHECKING:
    from torture.simulated.callers import Wish
    from torture.simulated.terminal import Terminal
    from torture.simulated.world import World

#: In a rush: users, seconds between two requests, and seconds for each answer of the terminal. A session would last as
#: long as the requests come, if it did not end by itself.
RUSH, RUSH_EVERY_S, RUSH_ANSWER_S = 28, 0.25, 0.3
#: Seconds without another event after a thread was not run: what it then forgets is not noticed by the next request.
UNDISTURBED_S = 45.0
#: Seconds for which a terminal is away while a request begins to wait for it; the attempts take three.
MISSED_S = 4.0
#: Seconds within which the bridge keeps a punch.
KEPT_WITHIN_S = 0.03
#: Points that a terminal's thread passes, at most, from closing its connection until it rests.
POINTS_TO_REST = 6
_KINDS = ("create", "update", "delete", "list")


class Sequences:
    """Has them happen in a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._machine = world.machine

    def stall(self, arg: int) -> None:
        """A thread is not run for some time, and meanwhile a caller asks for something; a terminal's thread, for it.

        Half of them are a terminal's thread soon after it has closed its connection: there it comes to rest.
        """
        random = Random(arg)
        if random.random() < 0.5:
            self._stall_now(random)
            return
        resting = [name for name in DEVICES if name not in LISTENED]  # the other threads listen
        terminal = self._world.terminals[random.choice(resting)]

        def begin() -> None:
            if (fiber := self._machine.current) is not None:
                fiber.stalls_in, fiber.stall = random.randint(1, POINTS_TO_REST), partial(self._stall_now, random)

        terminal.at_close = begin

    def _stall_now(self, random: Random) -> None:
        fiber = self._machine.current
        if fiber is None:
            return
        device = fiber.name.removeprefix("terminal ")
        if device not in DEVICES:
            device = random.choice(DEVICES)
        self._world.tell(f"the thread '{fiber.name}' is not run for a while")
        self._ask(random, random.choice(_KINDS), device)
        if random.random() < 0.5:
            self._world.be_quiet_for(UNDISTURBED_S)
        self._machine.sleep(random.choice((0.02, 0.1)))

    def rush(self, terminal: Terminal, arg: int) -> None:
        """Many changes are asked for, each before the slow terminal has done the one before."""
        device, random = self._device(terminal), Random(arg)
        users = [str(100 + number) for number in range(RUSH)]
        kind = "delete" if any(each.user_id in users for each in terminal.people()) else "create"
        self._world.tell(f"{RUSH} requests come for {device}, which takes {RUSH_ANSWER_S} s for an answer")
        lasting = RUSH * RUSH_EVERY_S
        terminal.faults.clear()
        terminal.be_slow(RUSH_ANSWER_S, lasting=lasting + 2.0)
        self._world.be_quiet_for(lasting)
        for number, user_id in enumerate(users):
            ask = partial(self._ask, random, kind, device, user_id=user_id)
            self._machine.after(number * RUSH_EVERY_S, ask)

    def overtake(self, terminal: Terminal, arg: int) -> None:
        """A group's request begins to wait for a terminal; one for the same user comes as soon as that is back."""
        device, random = self._device(terminal), Random(arg)
        self._world.tell(f"{device} cannot be reached for {MISSED_S} s")
        terminal.leave(MISSED_S, silent=False)
        if random.random() < 0.5:
            self._world.be_quiet_for(MISSED_S + 1.0)
        waiting = self._world.callers.wish_for(random, "group", good_for_s=90, catch_up=True)
        self._world.callers.send(waiting)
        later = partial(self._ask, random, random.choice(("delete", "update")), device, user_id=waiting.user_id)
        self._machine.after(MISSED_S + random.uniform(0, 1), later)

    def cut_off(self, terminal: Terminal, arg: int) -> None:
        """Somebody punches, and the bridge ends while it keeps that."""
        random = Random(arg)
        self._world.tell(f"somebody punches at {terminal.name}")
        terminal.punch()
        end = partial(self._world.end_bridge, lost=random.randrange(4) if random.random() < 0.5 else None)
        self._machine.after(random.uniform(0, KEPT_WITHIN_S), end)

    def _ask(self, random: Random, kind: str, device: str, *, user_id: str | None = None) -> Wish:
        wish = self._world.callers.wish_for(random, kind, device=device, user_id=user_id)
        self._world.callers.send(wish)
        return wish

    def _device(self, terminal: Terminal) -> str:
        return next(name for name, each in self._world.terminals.items() if each is terminal)
