"""The end of a run: no more faults, until everything is answered, sent and enabled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torture.simulated.callers import DEVICES, LISTENED, Ask
from torture.simulated.oracle_punches import unpublished

if TYPE_CHECKING:
    from torture.simulated.world import World

#: After the faults end: seconds in which all must be answered, and in which a working terminal must answer a request.
ENOUGH_S, PROMPT_S = 1_500.0, 8.0
#: How often callers ask again at the end for what failed and may be asked again.
ROUNDS = 4


class FaultlessEnd:
    """Ends the faults of a world, and lets it answer everything."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self) -> None:
        """End every fault, wait until all is answered, and ask again what may be asked again."""
        self._world.tell("from here on nothing goes wrong")
        self._world.broker.flags_dup, self._world.broker.down_until = True, 0.0
        self._world.disk.fault = None
        self._world.put_clock_right()
        for terminal in self._world.terminals.values():
            terminal.come_to_order()
        if not self._world.pass_time(self._is_quiet, ENOUGH_S):
            self._world.wrongs.append(f"after {ENOUGH_S:.0f} s without faults there is still {', '.join(self._left())}")
            return
        for _ in range(ROUNDS):
            open_wishes = self._open_wishes()
            if not open_wishes:
                break
            for wish in open_wishes:
                self._world.callers.send(wish)
            self._world.pass_time(self._is_quiet, ENOUGH_S)
        self._ask_promptly()

    def _ask_promptly(self) -> None:
        for device in DEVICES:
            for publish in (self._world.callers.mistake, self._world.callers.probe):
                ask = publish(device)
                if not self._world.pass_time(partial(self._is_answered, ask), PROMPT_S):
                    self._world.wrongs.append(
                        f"{device} is in order, and message {ask.number} has no answer in {PROMPT_S} s"
                    )

    def _is_answered(self, ask: Ask) -> bool:
        return ask.number in self._world.callers.replies()

    def _open_wishes(self) -> list[Any]:
        """What failed and may be asked again under its request_id."""
        replies = self._world.callers.replies()
        found = []
        for wish in self._world.callers.wishes:
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
        if self._world.broker.queue or self._world.broker.under_way:
            left.append("a message at the broker")
        if self._world.rows("SELECT 1 FROM requests WHERE state NOT IN ('done', 'sent') LIMIT 1"):
            left.append("a request without an answer")
        if self._world.rows("SELECT 1 FROM answers WHERE owed = 1 LIMIT 1"):
            left.append("an answer that is not sent")
        heard = self._world.broker.heard
        if any(unpublished(device, self._world.terminals[device].log, heard) for device in LISTENED):
            left.append("a punch that is not published")
        if self._world.rows("SELECT 1 FROM validities LIMIT 1"):
            left.append("a date that is not carried out")
        if self._world.rows("SELECT 1 FROM debts LIMIT 1"):
            left.append("a terminal that may be disabled")
        return left
