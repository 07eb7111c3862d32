"""What people do at the terminals themselves: enter users, put a finger on the sensor, replace a terminal."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from random import Random

from torture.people_plan import FIRST_KEYPAD, Town
from torture.people_state import Held, Print
from zkbridge.simulator import SimulatedTerminal

#: Stands in every template: no file but a backup may hold it at the end.
MARK = b"ZK-TEMPLATE-OF-A-TORTURE"
FINGERS = (0, 1, 2, 6)


class Keypad:
    """Acts at terminals that are enabled just then, each noted in the book. `still` are terminals to be left alone."""

    def __init__(self, random: Random, town: Town, terminals: Mapping[str, SimulatedTerminal]) -> None:
        self.still: set[str] = set()
        self.acts = 0
        self._random = random
        self._town = town
        self._terminals = terminals
        self._next = FIRST_KEYPAD
        self._serial = 0
        self._present: dict[str, list[str]] = {name: [] for name in terminals}

    def present(self, device: str) -> list[str]:
        """Whom somebody has entered at this keypad, and nobody deleted there."""
        return list(self._present[device])

    def act(self) -> None:
        """Somebody does something somewhere, if it can be done now."""
        device = self._random.choice(list(self._terminals))
        if device in self.still:
            return
        chance = self._random.random()
        if chance < 0.35:
            self._at(device, self._come)
        elif device in self._town.open_terminals:
            if chance < 0.45:
                self._at(device, self._leave)
            else:
                people = self._town.people_at(device, 1)
                if people:
                    self._at(device, lambda where: self._put_finger(where, people[0]))

    def enrol(self, user_id: str) -> None:
        """The person puts a finger or two on the sensor of the first terminal that surely has the person."""
        for device in self._terminals:
            sure, held = self._town.book.surely((device, user_id))
            if sure and held is not None:
                for _ in range(self._random.choice([1, 1, 2])):
                    self._at(device, lambda where: self._put_finger(where, user_id))
                return

    def replace(self, device: str) -> None:
        """Another terminal of the same kind takes its place: empty, but for somebody whom the installer has entered."""
        terminal = self._terminals[device]
        terminal.power_off()
        self._serial += 1
        terminal.machine.terminal.memory.load(())
        terminal.set_option("~SerialNumber", f"REPLACED{self._serial:06d}")
        self._present[device].clear()
        for user_id in self._town.book.of(device):
            self._town.book.set((device, user_id), {None}, "the terminal was replaced by an empty one")
        if self._random.random() < 0.5:
            self._come(device)
        terminal.power_on()

    def spoil(self, device: str) -> None:
        """Somebody deletes some users and fingers at the keypad."""
        self._at(device, self._delete_some)

    def _delete_some(self, device: str) -> None:
        for user_id in self._town.people_at(device, 5):
            self._delete(device, user_id)

    def _delete(self, device: str, user_id: str) -> None:
        """Delete whoever is there by the book; at the end it is seen that somebody else was deleted, or nobody."""
        sure, held = self._town.book.surely((device, user_id))
        if sure and held is not None:
            with suppress(KeyError):
                self._terminals[device].delete_user(user_id)
                self._town.book.set((device, user_id), {None}, "deleted at the keypad")
            self._town.was_doubted(device, [user_id])

    def _at(self, device: str, act: Callable[[str], None]) -> None:
        with self._terminals[device].keypad() as usable:
            if usable:
                self.acts += 1
                act(device)

    def _come(self, device: str) -> None:
        """Somebody new is entered, with a finger."""
        self._next += 1
        user_id, terminal = str(self._next), self._terminals[device]
        view = terminal.add_user(user_id, "Teclado", password="77", card=self._next)
        finger = self._print_of(user_id, 5)
        terminal.add_template(user_id, finger.index, finger.template, finger.flag)
        held = Held(view.name, view.password, view.privilege, view.card, (finger,))
        self._town.book.set((device, user_id), {held}, "entered at the keypad")
        self._present[device].append(user_id)

    def _leave(self, device: str) -> None:
        """Somebody who was entered here is deleted, whatever was done to the user meanwhile."""
        present = self._present[device]
        if not present:
            return
        user_id = present.pop(self._random.randrange(len(present)))
        self._delete(device, user_id)

    def _put_finger(self, device: str, user_id: str) -> None:
        """A person enrols a finger, or another one in its place."""
        _, held = self._town.book.surely((device, user_id))
        if held is None:
            return
        finger = self._print_of(user_id, self._random.choice(FINGERS))
        self._terminals[device].add_template(user_id, finger.index, finger.template, finger.flag)
        self._town.book.set((device, user_id), {replace(held).with_prints([finger])}, "enrolled at the sensor")

    def _print_of(self, user_id: str, index: int) -> Print:
        """A finger as a sensor makes it, another one each time."""
        random = self._random
        seed = f"{user_id} {index} {random.getrandbits(64)}".encode()
        body = b"".join(hashlib.sha256(seed + bytes([number])).digest() for number in range(random.randint(8, 30)))
        return Print(index, random.choice([1, 1, 1, 3]), b"M\xfdSS21" + MARK + body + user_id.encode() + b"\x4d")
