"""One run: callers ask while everything breaks; then all is made well, and what happened is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from torture.breakage import Breakage
from torture.callers import Crowd, Post, silent
from torture.findings import Finding
from torture.history import GOOD, History, Inquiry, Kind, Wish
from torture.oracle import judge
from torture.plan import TROUBLE, Message, Plan, request, secrets
from torture.world import TERMINALS, World

TICK_S = 0.02
#: Once nothing goes wrong any more, whatever is under way ends, and something of it within so many seconds.
QUIET_WITHIN_S, STUCK_AFTER_S = 3600.0, 120.0
#: And so long nothing may have been under way before it counts as quiet; the write-ahead log is emptied meanwhile.
QUIET_FOR_S = 2.0
#: Seconds for the answer to a request when all is well.
ANSWER_S = 180.0
#: Seconds in which an answer is surely kept once the terminal was asked to let people in; less than its timeout.
ANSWER_KEPT_S = 0.7
#: Seconds after which a terminal has forgotten a UDP client that never said goodbye.
FORGOTTEN_S = 10.0
#: How often a caller whose request failed asks again when all is well.
ROUNDS = 8
#: Seconds for the daemon to stop when told to.
STOP_S = 90.0


@dataclass(frozen=True)
class Result:
    """What a run was and what came of it."""

    seed: int
    seconds: float
    history: History
    findings: list[Finding]
    world: World
    breakage: Breakage
    crowd: Crowd


class Run:
    """A run of `requests` messages and `kills` of the daemon in `seconds`, drawn from a seed, in a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        requests: int,
        kills: int,
        seconds: float,
        terminals: int = 10,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._seed = seed
        self._kills = kills
        self._requests = requests
        self._seconds = seconds
        self._tell = tell
        self._random = Random(seed)
        self._world = self._make_world(folder, terminals)
        self._history = History()
        self._repeated: set[str | None] = set()
        self._post = Post(self._history)
        self._crowd = Crowd(self._world.broker.port, self._post)

    def _make_world(self, folder: Path, terminals: int) -> World:
        return World(folder, seed=self._seed, terminals=TERMINALS[:terminals])

    def _make_breakage(self) -> Breakage:
        return Breakage(self._random, self._world, kills=self._kills, seconds=self._seconds)

    def go(self) -> Result:
        """Do it all. Call it from the main thread: what it starts ends with that."""
        began = time.time()
        try:
            return self._go(began)
        finally:
            self._world.close()

    def _go(self, began: float) -> Result:
        world = self._world
        world.keeper.start(online=True)  # nobody can keep what is said before anybody has ever listened
        self._crowd.start()
        plan = Plan(self._random, world.places, requests=self._requests, seconds=self._seconds, start=time.time())
        self._history.wishes = plan.wishes
        breakage = self._make_breakage()
        try:
            self._torture(plan, breakage)
        finally:
            breakage.end()
        self._leave_disabled(plan)
        self._tell("nothing goes wrong any more; waiting until all is quiet")
        self._settle(plan)
        self._crowd.stop()
        self._finish()
        findings = judge(self._history)
        return Result(self._seed, time.time() - began, self._history, findings, world, breakage, self._crowd)

    def _torture(self, plan: Plan, breakage: Breakage) -> None:
        start, waiting = time.time(), list(reversed(plan.messages))
        told = start
        while waiting or not breakage.finished:
            while waiting and waiting[-1].at <= breakage.clock:
                self._crowd.ask(waiting.pop())
            breakage.tick()
            self._world.look()
            self._repeat_one_that_failed(plan)
            if time.time() - told > 15:
                told = time.time()
                self._tell(
                    f"{told - start:4.0f} s: {len(plan.messages) - len(waiting)} messages, "
                    f"{self._world.keeper.kills} kills, {self._world.broker_kills} of the broker"
                )
            time.sleep(TICK_S)

    def _repeat_one_that_failed(self, plan: Plan) -> None:
        """The same message, once, while everything breaks."""
        wish = self._random.choice(plan.wishes)
        inquiry = _to_repeat(wish)
        if wish.kind in GOOD and inquiry is not None and inquiry.request_id not in self._repeated:
            self._repeated.add(inquiry.request_id)
            self._crowd.ask(plan.repeated(wish, inquiry))

    def _leave_disabled(self, plan: Plan) -> None:
        """Kill the daemon when all it still has to do is to let people in; nobody asks these terminals again."""
        world = self._world
        last = {*world.untimed, self._random.choice(list(world.terminals))}
        for place in world.places:
            if place.device not in last:
                continue
            kills, faults = world.keeper.kills, world.terminals[place.device].faults
            faults.add("ENABLE", "before", "silence", count=2)
            faults.add("ENABLE", "before", lambda _: self._strike_soon())
            self._crowd.ask(plan.one_more(place))
            self._wait(partial(self._was_killed_after, kills), "the last kill")
            faults.clear()

    def _strike_soon(self) -> None:
        """Once the answer is kept, which does not wait for the terminal's yes."""
        threading.Timer(ANSWER_KEPT_S, self._world.keeper.kill, ["when it was to let people in"]).start()

    def _was_killed_after(self, kills: int) -> bool:
        return self._world.keeper.kills > kills

    # -- making it well ------------------------------------------------------------------------------------------

    def _settle(self, plan: Plan) -> None:
        """Let all end; then good callers ask again what was not answered, and what failed."""
        self._until_drained()
        self._until_quiet()
        self._note_who_is_there()
        self._ask_again_what_was_silent(plan)
        for _ in range(ROUNDS):
            failed = [wish for wish in plan.wishes if _worth_another_try(wish)]
            if not failed:
                break
            repeats = {id(wish): inquiry for wish in failed if (inquiry := _to_repeat(wish)) is not None}
            self._ask_all(
                (plan.repeated(wish, repeats[id(wish)]) for wish in failed if id(wish) in repeats), repeats=True
            )
            self._ask_all(self._next_try(plan, wish) for wish in failed if id(wish) not in repeats)
        self._clear_retained(plan)
        self._until_quiet()

    def _until_drained(self) -> None:
        """Whatever was to be published is, while the daemon is looked after."""
        self._wait(lambda: self._world.keeper.alive, "the daemon to run")
        self._crowd.drain()

    def _until_quiet(self) -> None:
        """However long it takes, as long as it goes on: a slow machine breaks no promise."""
        work, changed = self._world.remains.open_work(), time.time()
        quiet_since: float | None = None

        def has_ended() -> bool:
            nonlocal work, changed, quiet_since
            before, work = work, self._world.remains.open_work()
            if work != before:
                changed = time.time()
            quiet_since = None if work != (0, 0, 0) else quiet_since or time.time()
            return self._is_quiet(quiet_since) or time.time() - changed > STUCK_AFTER_S

        self._wait(has_ended, "all to be quiet", within=QUIET_WITHIN_S)
        if not self._is_quiet(quiet_since):
            self._history.collapses.append(
                "work was still open long after everything was well: "
                "{} requests unfinished, {} answers and {} enables owed".format(*work)
            )

    def _is_quiet(self, since: float | None) -> bool:
        return since is not None and time.time() - since > QUIET_FOR_S

    def _note_who_is_there(self) -> None:
        held = {(name, one.user) for name, terminal in self._world.terminal_ends().items() for one in terminal.held}
        for wish in self._history.wishes:
            wish.there_when_quiet = (wish.device, wish.user) in held

    def _ask_again_what_was_silent(self, plan: Plan) -> None:
        """The same message; those whose answer names nobody one after the other, so that each knows its own."""
        quiet = [
            message
            for message in plan.messages
            if message.wish.kind is not Kind.RETAINED and message.inquiry.asks and not message.inquiry.answers
        ]
        once = list({id(message.inquiry): message for message in quiet}.values())
        nameless = [message for message in once if message.inquiry.request_id is None and message.correlation is None]
        self._tell(f"asking {len(once)} again that were not answered, {len(nameless)} of them one by one")
        self._ask_all((message for message in once if message not in nameless), again=True)
        for message in nameless:
            self._post.asking_alone(message.wish.device, message.inquiry)
            self._ask_all([message], again=True)
            self._post.asking_alone(message.wish.device, None)

    def _next_try(self, plan: Plan, wish: Wish) -> Message:
        """Under a new request_id, for an old one keeps its final answer; `busy` has not used it up."""
        if wish.codes == {"busy"}:
            return plan.repeated(wish, wish.inquiries[0])
        inquiry = plan.next_inquiry(wish)
        return Message(0.0, wish, inquiry, request(wish.user, inquiry.request_id), caller=wish.number)

    def _ask_all(self, messages: Iterable[Message], *, again: bool = False, repeats: bool = False) -> None:
        """Ask, and wait for as many answers more as were asked for."""
        asked = [
            (message.inquiry, len(message.inquiry.answers))
            for message in self._each(messages, again=again, repeats=repeats)
        ]
        self._wait(
            lambda: all(len(inquiry.answers) > before for inquiry, before in asked), "the answers", within=ANSWER_S
        )

    def _each(self, messages: Iterable[Message], *, again: bool, repeats: bool) -> list[Message]:
        """Never more at once than the devices' queues take."""
        wanted = list(messages)
        for message in wanted:
            self._crowd.ask(replace(message), again=again, repeats=repeats)
        return wanted

    def _clear_retained(self, plan: Plan) -> None:
        for message in plan.messages:
            if message.retain:
                self._crowd.ask(replace(message, payload=b"", correlation=None))
        self._crowd.drain()

    def _finish(self) -> None:
        """Stop the daemon as systemd does, and look at what is left of it all."""
        world, history = self._world, self._history
        known = set(secrets(history.wishes))
        leftover = world.remains.secrets_found(known)
        stops = world.keeper.stops
        self._wait(world.keeper.terminate, "the daemon to listen")
        if not self._wait_for_stop(stops):
            world.keeper.collapses.append(f"the daemon did not stop within {STOP_S:g} s of SIGTERM")
        _until(lambda: not any(terminal.sessions_open for terminal in world.terminals.values()), FORGOTTEN_S)
        world.look()
        history.terminals = world.terminal_ends()
        history.ledger = world.remains.ledger_end(known)
        history.ledger.secrets += [f"{where} (while it ran)" for where in leftover]
        history.broker_losses = world.broker_losses
        history.collapses += world.keeper.collapses

    def _wait_for_stop(self, stops: int) -> bool:
        def stopped() -> bool:
            self._world.look()
            self._world.keeper.look(float("inf"))
            return self._world.keeper.stops > stops

        return _until(stopped, STOP_S)

    def _wait(self, condition: Callable[[], bool], what: str, *, within: float = 120.0) -> bool:
        """Until something is so, while daemon and terminals are looked after; whether it came to be."""

        def looked_after() -> bool:
            self._world.keeper.look(0.0)
            self._world.look()
            return condition()

        reached = _until(looked_after, within)
        if not reached:
            self._tell(f"waited {within:g} s in vain for {what}")
        return reached


def _until(condition: Callable[[], bool], within: float) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(TICK_S)
    return True


def _to_repeat(wish: Wish) -> Inquiry | None:
    """The inquiry to be sent again as it was: the last, if it has a request_id and its answer leaves it open."""
    inquiry = wish.inquiries[-1] if wish.inquiries else None
    if inquiry is None or inquiry.request_id is None or not inquiry.answers or not inquiry.answers[-1].is_open:
        return None
    return inquiry


def _worth_another_try(wish: Wish) -> bool:
    """Whether a good caller asks again: the terminal or the bridge was in trouble, and nobody else has won."""
    if wish.kind not in GOOD or silent(wish):
        return False
    codes = wish.codes
    if wish.kind is Kind.REUSED:
        return codes == {"busy"}  # under another request_id both could win
    return bool(codes) and codes <= TROUBLE
