"""What is asked for, of whom and where, from a seed: only of people and terminals for whom nothing is under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from torture import people_state as effect
from torture.people_oracle import Book
from torture.people_state import Key, Outcome, Request, State

FIRST_PERSON, FIRST_KEYPAD = 1_000, 9_000_000
FIRST_CARD, LAST_CARD = 1_000_000_000, 4_294_967_295
NAMES = ("Ana", "Eva", "Luis", "Juan P", "Sofia", "Marta", "Pedro")
CATCH_UP_S = 1800
#: How often each is asked for, of a hundred.
MIX = {
    "create": 10,
    "create_many": 8,
    "update": 8,
    "update_many": 6,
    "delete": 5,
    "delete_many": 3,
    "block": 18,
    "copy": 26,
    "delete_finger": 4,
    "restore": 4,
    "document": 8,
}


class Town:
    """People, terminals and groups; who and what is free just now."""

    def __init__(self, random: Random, book: Book, terminals: Sequence[str], *, people: int) -> None:
        self.book = book
        self.people = [str(FIRST_PERSON + number) for number in range(people)]
        self.terminals = list(terminals)
        half = len(terminals) // 2
        self.groups: dict[str, list[str]] = {
            "todas": list(terminals),
            "unas": list(terminals[:half]),
            "otras": list(terminals[half:]),
        }
        self._random = random
        self._busy_people: set[str] = set()
        self._used: Counter[str] = Counter()
        self._reserved: set[str] = set()
        self._versions: Counter[str] = Counter()
        #: Whom documents have named at each terminal; False: who left it since, and may be claimed or not.
        self.claimed: dict[str, dict[str, bool]] = {name: {} for name in terminals}
        self._number = 0

    # -- who is free -------------------------------------------------------------------------------------------------

    def take(self, request: Request) -> None:
        """The request is under way."""
        if request.alone_on is None:
            self._busy_people |= request.people
            self._used.update(request.devices)

    def release(self, request: Request) -> None:
        """It is over."""
        if request.alone_on is None:
            self._busy_people -= request.people
            self._used.subtract(request.devices)

    def reserve(self, device: str) -> None:
        """Nothing new is asked of the terminal until it is `freed`."""
        self._reserved.add(device)

    def freed(self, device: str) -> None:
        """It may be asked again."""
        self._reserved.discard(device)

    def is_quiet(self, device: str) -> bool:
        """Whether nothing is under way there."""
        return not self._used[device]

    @property
    def open_terminals(self) -> list[str]:
        """Those that may be asked."""
        return [name for name in self.terminals if name not in self._reserved]

    def is_free(self, user_id: str) -> bool:
        """Whether nothing is under way for the person."""
        return user_id not in self._busy_people

    def some_people(self, most: int) -> list[str]:
        """Some who are free, each once."""
        count = self._random.randint(1, most)
        drawn = self._random.sample(self.people, min(len(self.people), 2 * count))
        return [user_id for user_id in drawn if self.is_free(user_id)][:count]

    def people_at(self, device: str, most: int) -> list[str]:
        """Some who are free and surely at the terminal."""
        drawn = self._random.sample(self.people, min(len(self.people), 60 * most))
        return [
            user_id
            for user_id in drawn
            if self.is_free(user_id)
            and self.book.surely((device, user_id))[0]
            and self.book.surely((device, user_id))[1]
        ][:most]

    # -- what people are ---------------------------------------------------------------------------------------------

    def fields(self, user_id: str, *, secrets: bool = True, whole: bool = True) -> dict[str, Any]:
        """A row: of a new person, or of some fields."""
        random = self._random
        made: dict[str, Any] = {
            "name": f"{random.choice(NAMES)} {random.randrange(10)}",
            "card": random.randint(FIRST_CARD, LAST_CARD),
            "privilege": random.choice([0, 0, 0, 14]),
            "blocked": random.random() < 0.3,
        }
        if secrets:
            made["password"] = str(random.randrange(1000, 100_000))
        optional = ["card", "privilege", "blocked", "password"]
        kept = {name for name in made if name not in optional or random.random() < 0.5}
        if not whole:
            kept = set(random.sample(sorted(made), random.randint(1, len(made))))
        return {"user_id": user_id, **{name: made[name] for name in made if name in kept}}

    def next_number(self) -> int:
        """For a request."""
        self._number += 1
        return self._number

    def request(
        self, topic: str, body: Mapping[str, Any], outcomes: Mapping[Key, Outcome], alone_on: str | None = None
    ) -> Request:
        """A request that is named."""
        made = Request(self.next_number(), topic, dict(body), dict(outcomes), alone_on)
        made.body["request_id"] = made.request_id
        return made

    # -- requests ----------------------------------------------------------------------------------------------------

    def draw(self) -> Request | str | None:
        """The next request; `restore …` or `document …` of a terminal that is to be alone first; None: all are busy."""
        kind = self._random.choices(list(MIX), weights=list(MIX.values()))[0]
        free = self.open_terminals
        if not free:
            return None
        if kind in ("restore", "document"):
            # The others have something to do meanwhile.
            return f"{kind} {self._random.choice(free)}" if len(free) > len(self.terminals) / 2 else None
        maker: Callable[[list[str]], Request | None] = getattr(self, f"_{kind}")
        return maker(free)

    def populate(self, device: str, user_ids: Sequence[str]) -> Request:
        """A list of people who are all new at their first terminal."""
        rows = [self.fields(user_id) for user_id in user_ids]
        return self._list("create-many", [device], device, rows, effect.create)

    def _where(self, free: list[str], *, groups: bool = True) -> tuple[str, list[str]]:
        whole = [name for name, members in self.groups.items() if members and set(members) <= set(free)]
        if groups and whole and self._random.random() < 0.4:
            name = self._random.choice(whole)
            return name, self.groups[name]
        device = self._random.choice(free)
        return device, [device]

    def _single(
        self,
        command: str,
        free: list[str],
        rows: Callable[[str], dict[str, Any]],
        of: Callable[..., Outcome],
        *,
        catch_up: bool = True,
    ) -> Request | None:
        people = self.some_people(1)
        if not people:
            return None
        where, members = self._where(free)
        fields = rows(people[0])
        outcome = of(fields)
        body = fields | (self._waiting() if catch_up and where in self.groups else {})
        return self.request(f"zk/{where}/users/{command}", body, {(each, people[0]): outcome for each in members})

    def _waiting(self) -> dict[str, Any]:
        if self._random.random() < 0.5:
            return {}
        until = datetime.now(UTC) + timedelta(seconds=CATCH_UP_S)
        return {"catch_up": True, "expires_at": until.isoformat()}

    def _create(self, free: list[str]) -> Request | None:
        return self._single("create", free, self.fields, effect.create)

    def _update(self, free: list[str]) -> Request | None:
        return self._single("update", free, lambda who: self.fields(who, whole=False), effect.update)

    def _delete(self, free: list[str]) -> Request | None:
        return self._single("delete", free, lambda who: {"user_id": who}, lambda _: effect.delete())

    def _block(self, free: list[str]) -> Request | None:
        blocked = self._random.random() < 0.5
        command = "block" if blocked else "unblock"
        return self._single(command, free, lambda who: {"user_id": who}, lambda _: effect.block(blocked))

    def _delete_finger(self, free: list[str]) -> Request | None:
        index = self._random.randrange(3)
        return self._single(
            "delete-finger",
            free,
            lambda who: {"user_id": who, "finger_index": index},
            lambda _: effect.delete_finger(index),
        )

    def _list(
        self,
        command: str,
        members: Iterable[str],
        where: str,
        rows: list[dict[str, Any]],
        of: Callable[[Mapping[str, Any]], Outcome],
    ) -> Request:
        outcomes = {(device, row["user_id"]): of(row) for device in members for row in rows}
        return self.request(f"zk/{where}/users/{command}", {"users": rows}, outcomes)

    def _create_many(self, free: list[str]) -> Request | None:
        where, members = self._where(free)
        rows = [self.fields(user_id) for user_id in self.some_people(40)]
        return self._list("create-many", members, where, rows, effect.create) if rows else None

    def _update_many(self, free: list[str]) -> Request | None:
        where, members = self._where(free)
        rows = [self.fields(user_id, whole=False) for user_id in self.some_people(30)]
        return self._list("update-many", members, where, rows, effect.update) if rows else None

    def _delete_many(self, free: list[str]) -> Request | None:
        where, members = self._where(free)
        rows = [{"user_id": user_id} for user_id in self.some_people(10)]
        return self._list("delete-many", members, where, rows, lambda _: effect.delete()) if rows else None

    def _copy(self, free: list[str]) -> Request | None:
        random = self._random
        if len(free) < 2:
            return None
        source = random.choice(free)
        people = self.people_at(source, random.choice([1, 1, 2, 5, 20]))
        if not people:
            return None
        others = [name for name in free if name != source]
        groups = [
            name for name, members in self.groups.items() if set(members) <= set(free) and set(members) - {source}
        ]
        if groups and random.random() < 0.4:
            to = [random.choice(groups)]
            targets = [each for each in self.groups[to[0]] if each != source]
        else:
            to = targets = random.sample(others, random.randint(1, min(3, len(others))))
        fingers, overwrite = random.random() < 0.85, random.random() < 0.5
        outcomes: dict[Key, Outcome] = {}
        for device in targets:
            for user_id in people:
                held = self.book.surely((source, user_id))[1]
                assert held is not None
                outcomes[device, user_id] = effect.copy(held, fingers=fingers, overwrite=overwrite)
        body: dict[str, Any] = {"to": to, "fingers": fingers, "overwrite": overwrite}
        if len(people) == 1:
            body |= {"user_id": people[0], **self._waiting()}
        else:
            body |= {"user_ids": people}
        made = self.request(f"zk/{source}/users/copy", body, outcomes)
        made.reads.add(source)
        return made

    # -- of a terminal that is alone ---------------------------------------------------------------------------------

    def restore(self, device: str, backup: Mapping[str, frozenset[State]], name: str) -> Request:
        """Make the terminal what it was in the backup."""
        here = self.book.of(device)
        outcomes: dict[Key, Outcome] = {}
        for user_id in {*here, *backup}:
            states = backup.get(user_id, frozenset({None}))
            outcomes[device, user_id] = effect.restore(next(iter(states)))
        body = {"backup": name, "apply": True, "replace": True}
        return self.request(f"zk/{device}/device/restore", body, outcomes, device)

    def document(self, device: str, keypad: Sequence[str]) -> Request | None:
        """Who is to be at the terminal, now and then one of the keypad; None, for nobody, would be refused."""
        random = self._random
        own = random.sample(list(keypad), min(len(keypad), random.choice([0, 0, 1, 2])))
        people = [*self.some_people(min(60, len(self.people) // 3)), *own]
        if not people:
            return None
        rows = [self.fields(user_id, secrets=False) for user_id in people]
        policy = random.choice(["never", "block", "delete"])
        outcomes: dict[Key, Outcome] = {(device, each["user_id"]): effect.row(each) for each in rows}
        gone = {(device, user_id) for user_id in self.claimed[device]} - outcomes.keys()
        made = self.next_version(device, rows, policy, outcomes | dict.fromkeys(gone, effect.absent(policy)))
        made.optional = {key for key in gone if not self.claimed[device][key[1]]}
        return made

    def next_version(
        self, device: str, rows: list[dict[str, Any]], policy: str, outcomes: Mapping[Key, Outcome]
    ) -> Request:
        """A document of the next version."""
        self._versions[device] += 1
        body = {"version": self._versions[device], "users": rows, "apply": True, "delete": policy, "delete_limit": 100}
        return Request(self.next_number(), f"zk/{device}/users/desired", body, dict(outcomes), device)

    def was_named(self, device: str, request: Request) -> None:
        """A document has named them; if its plan did not come, they may be claimed or not."""
        for row in request.body["users"]:
            self.claimed[device][row["user_id"]] = request.is_whole

    def was_doubted(self, device: str, user_ids: Iterable[str]) -> None:
        """Whether a document claims them is not known any more: they have left the terminal, and may come again."""
        for user_id in user_ids:
            if user_id in self.claimed[device]:
                self.claimed[device][user_id] = False
