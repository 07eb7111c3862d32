"""What is done at a terminal at which nothing else is under way: a backup and its restore, a document."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from random import Random

from torture.people_desk import Desk
from torture.people_keypad import Keypad
from torture.people_plan import Town
from torture.people_state import Request
from zkbridge.simulator import SimulatedTerminal

#: How often something is asked for that was answered with trouble.
MOST_ATTEMPTS = 6
#: A terminal refused to be read: the same request gets that answer again.
REFUSED = "device_rejected"


class Alone:
    """Tasks that take a terminal for themselves; each goes on by a step whenever it is looked at."""

    def __init__(
        self, random: Random, town: Town, desk: Desk, keypad: Keypad, terminals: Mapping[str, SimulatedTerminal]
    ) -> None:
        self._random = random
        self._town = town
        self._book = town.book
        self._desk = desk
        self._keypad = keypad
        self._terminals = terminals
        self._tasks: dict[str, Iterator[None]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, kind: str, device: str) -> None:
        """Keep everything new from the terminal, and do `restore` or `document` there when it is quiet."""
        self._town.reserve(device)
        self._tasks[device] = self._restore(device) if kind == "restore" else self._name(device)

    def step(self) -> None:
        """Go on with each that can go on; the terminals of those that are over may be asked again."""
        for device, task in list(self._tasks.items()):
            if next(task, self) is self:
                del self._tasks[device]
                self._town.freed(device)

    def _until_alone(self, device: str) -> Iterator[None]:
        while not self._town.is_quiet(device):
            yield
        terminal = self._terminals[device]
        self._book.compare(device, terminal, when="when nothing was under way")
        self._book.observe(device, terminal)

    def _answered(self, request: Request) -> Iterator[None]:
        """Ask, and ask again as long as something is open and was not asked often."""
        self._desk.ask(request)
        for again in range(MOST_ATTEMPTS, -1, -1):
            while request in self._desk.active:
                yield
            settled = request.is_whole and not request.open.keys() - request.final.keys()
            if settled or not again or request.command != "device/backup" or request.code == REFUSED:
                return  # a restore and a document are asked for anew, and what a refusal has answered for good
            yield from self._pause()
            request.open.clear()
            self._desk.ask_again(request)

    def _pause(self) -> Iterator[None]:
        until = time.monotonic() + self._random.uniform(0.5, 4)
        while time.monotonic() < until:
            yield

    def _restore(self, device: str) -> Iterator[None]:
        """A backup; as a rule the terminal is replaced by another; everything is brought back."""
        yield from self._until_alone(device)
        self._keypad.still.add(device)
        try:
            for _ in range(MOST_ATTEMPTS):
                backup = self._town.request(f"zk/{device}/device/backup", {}, {}, device)
                yield from self._answered(backup)
                if backup.code != REFUSED:
                    break
            if backup.code != "backed_up":
                self._book.blame("untrue", f"a backup of {device} is answered {backup.code}")
                return
            held = self._book.of(device)
            if self._random.random() < 0.7:
                self._keypad.replace(device)
                self._town.was_doubted(device, list(self._town.claimed[device]))
            else:
                self._keypad.spoil(device)
        finally:
            self._keypad.still.discard(device)
        for _ in range(MOST_ATTEMPTS):
            request = self._town.restore(device, held, self._desk.backups[backup.number])
            yield from self._answered(request)
            self._desk.close(request)
            if request.is_whole and not request.open:
                return
            yield from self._pause()

    def _name(self, device: str) -> Iterator[None]:
        """A document, and the next version of it as long as something failed."""
        yield from self._until_alone(device)
        request = self._town.document(device, self._keypad.present(device))
        if request is None:
            return
        for _ in range(MOST_ATTEMPTS):
            yield from self._answered(request)
            self._desk.close(request)
            self._town.was_named(device, request)
            if request.is_whole and not request.open:
                return
            rows, policy = request.body["users"], request.body["delete"]
            again = self._town.next_version(device, rows, policy, request.outcomes)
            again.optional = set(request.optional)
            request = again
