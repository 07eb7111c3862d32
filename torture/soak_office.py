"""The school's office: creates, changes, blocks and copies people, and knows what must have come of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from tests.support.caller import Caller, Message
from torture.soak_clock import SharedClock
from zkbridge.simulator import SimulatedTerminal

#: The group of all terminals.
ALL = "todas"
#: What becomes of a user at a terminal.
State = Literal["there", "blocked", "gone"]
Key = tuple[str, str]
MIX = {
    "create": 10,
    "update": 6,
    "block": 4,
    "unblock": 3,
    "delete": 4,
    "delete_many": 2,
    "dated": 3,
    "copy": 3,
    "create_many": 1,
    "everywhere": 1,
    "document": 2,
    "backup": 1,
    "list": 3,
    "punches": 1,
    "info": 2,
    "ping": 4,
    "wrong": 1,
}  # fmt: skip - several a line
OK, WAITS, FIRST_ID = 200, 202, 500_000
#: Permission byte of a record, and its bit that keeps a user out.
_PERMISSION, _BLOCKED = 2, 1
#: Users of a terminal that the office keeps when it deletes the others: so that tables do not grow all week.
KEPT = 10
#: Rows of a list.
MOST_ROWS = 100
#: Characters of a reply that a finding shows.
SHOWN = 400
#: Hours after which a user of the office is no longer let in, at most.
MOST_HOURS = 20
#: Simulated seconds after which a date must have been carried out: a terminal may have been away meanwhile.
DATES_WITHIN_S = 4 * 3600.0


@dataclass
class Asked:
    """A request, what a success of it makes of users, and its replies, each once: by its digest, and how it begins."""

    topic: str
    effects: Mapping[Key, State]
    bodies: dict[bytes, str] = field(default_factory=dict)


class Office:
    """Asks for something, and gives each answer to its request. A user is in one request at a time."""

    def __init__(
        self, random: Random, caller: Caller, terminals: Mapping[str, SimulatedTerminal], clock: SharedClock
    ) -> None:
        self.asked: dict[str, Asked] = {}
        self.codes: Counter[str] = Counter()
        self.again = self.read = 0
        self._random = random
        self._caller = caller
        self._terminals = terminals
        self._clock = clock
        self._known: dict[Key, State] = {}
        self._busy: set[Key] = set()
        self._until: dict[Key, datetime] = {}
        self._versions = Counter(dict.fromkeys(terminals, 0))
        self._next = FIRST_ID

    @property
    def answered(self) -> int:
        """Requests that have a reply."""
        return sum(bool(each.bodies) for each in self.asked.values())

    def ask(self) -> None:
        """Ask for something."""
        kind = self._random.choices(list(MIX), weights=list(MIX.values()))[0]
        make: Callable[[str], None] = getattr(self, f"_ask_{kind}")
        make(self._random.choice(list(self._terminals)))

    def set_clocks(self) -> str:
        """Have all terminals show the bridge's time; the request's id."""
        return self._send(ALL, "time/sync", {}, {})

    def hear(self, message: Message) -> None:
        """A reply, or the plan of a document."""
        body = message.json
        is_plan = message.topic.endswith("/plan")
        name = body.get("request_id")
        if is_plan:  # the error of a terminal that failed for good names the version as its request_id alone
            name = f"{message.topic.split('/')[1]} {body.get('version', name)}"
        asked = self.asked.get(str(name))
        if asked is None or not (is_plan or message.topic == f"{asked.topic}/reply"):  # a member's own, later
            return
        body.pop("replayed", None)
        if body.get("status") == WAITS and not is_plan:  # the answer is to come
            return
        told = json.dumps(body, sort_keys=True)
        digest = hashlib.sha256(told.encode()).digest()
        self.again += digest in asked.bodies
        first = not asked.bodies
        asked.bodies[digest] = told[:SHOWN]
        if first:
            self.codes[body.get("code", "plan")] += 1
            self._take(asked, body)

    def _take(self, asked: Asked, body: Mapping[str, Any]) -> None:
        surely = body.get("status") == OK
        for key, state in asked.effects.items():
            self._busy.discard(key)
            if surely:
                self._known[key] = state
                if state == "gone":
                    self._until.pop(key, None)
            else:
                self._known.pop(key, None)
                self._until.pop(key, None)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _send(self, where: str, command: str, body: Mapping[str, Any], effects: Mapping[Key, State]) -> str:
        request_id = f"soak-{len(self.asked)}"
        self.asked[request_id] = Asked(f"zk/{where}/{command}", effects)
        self._busy.update(effects)
        self._caller.send(f"zk/{where}/{command}", {**body, "request_id": request_id})
        return request_id

    def _new(self) -> dict[str, Any]:
        self._next += 1
        return {
            "user_id": str(self._next),
            "name": f"Alumno {self._next % 1000}",
            "password": "1234",
            "card": self._next,
        }

    def _someone(self, device: str, *states: State) -> str | None:
        found = [
            user_id
            for (where, user_id), state in self._known.items()
            if where == device and state in states and (where, user_id) not in self._busy | self._until.keys()
        ]
        return self._random.choice(found) if found else None

    def _ask_create(self, device: str) -> None:
        row = self._new()
        self._send(device, "users/create", row, {(device, row["user_id"]): "there"})

    def _change(self, device: str, command: str, state: State | None, *states: State, **more: Any) -> None:
        user_id = self._someone(device, *states)
        if user_id is not None:
            key = (device, user_id)
            self._send(device, f"users/{command}", {"user_id": user_id, **more}, {key: state or self._known[key]})

    def _ask_update(self, device: str) -> None:
        self._change(device, "update", None, "there", "blocked", name=f"Alumna {self._random.randrange(1000)}")

    def _ask_block(self, device: str) -> None:
        self._change(device, "block", "blocked", "there")

    def _ask_unblock(self, device: str) -> None:
        self._change(device, "unblock", "there", "blocked")

    def _ask_delete(self, device: str) -> None:
        self._change(device, "delete", "gone", "there", "blocked")

    def _ask_delete_many(self, device: str) -> None:
        """All users of a terminal but a few: whoever has left, and whose date was carried out."""
        late = self._late
        gone = [
            key
            for key, state in self._known.items()
            if key[0] == device and state != "gone" and key not in self._busy and self._until.get(key, late) <= late
        ][KEPT:][:MOST_ROWS]
        if gone:
            rows = [{"user_id": user_id} for _, user_id in gone]
            self._send(device, "users/delete-many", {"users": rows}, dict.fromkeys(gone, "gone"))

    def _ask_dated(self, device: str) -> None:
        row = self._new()
        until = self._clock.local() + timedelta(hours=self._random.uniform(1, MOST_HOURS))
        key = (device, row["user_id"])
        self._until[key] = until
        self._send(device, "users/create", {**row, "valid_until": until.isoformat()}, {key: "there"})

    def _ask_copy(self, device: str) -> None:
        user_id = self._someone(device, "there")
        to = self._random.choice([name for name in self._terminals if name != device])
        if user_id is not None and (to, user_id) not in self._busy | self._known.keys() | self._until.keys():
            self._busy.add((device, user_id))
            effects: dict[Key, State] = {(to, user_id): "there", (device, user_id): "there"}
            self._send(device, "users/copy", {"user_id": user_id, "to": [to]}, effects)

    def _ask_create_many(self, device: str) -> None:
        rows = [self._new() for _ in range(10)]
        self._send(device, "users/create-many", {"users": rows}, {(device, row["user_id"]): "there" for row in rows})

    def _ask_everywhere(self, _device: str) -> None:
        row = self._new()
        until = datetime.fromtimestamp(self._clock.true() + 6 * 3600, UTC)
        body = {**row, "catch_up": True, "expires_at": until.isoformat()}
        self._send(ALL, "users/create", body, {(name, row["user_id"]): "there" for name in self._terminals})

    def _ask_document(self, device: str) -> None:
        """A terminal's next document, with five of eight people; whoever is not in it any more is blocked."""
        self._versions[device] += 1
        version = self._versions[device]
        rows = [{"user_id": f"40{number}", "name": "Profesor"} for number in self._random.sample(range(8), 5)]
        topic = f"zk/{device}/users/desired"
        self.asked[f"{device} {version}"] = Asked(topic, {})
        body = {"version": version, "users": rows, "apply": True, "delete": "block", "delete_limit": 100}
        self._caller.send(topic, body, retain=True)

    def _ask_backup(self, device: str) -> None:
        self._send(device, "device/backup", {}, {})

    def _ask_list(self, device: str) -> None:
        self._send(device, "users/list", {"limit": 50}, {})

    def _ask_punches(self, device: str) -> None:
        self._send(device, "attendance/list", {"limit": 50}, {})

    def _ask_info(self, device: str) -> None:
        self._send(device, "info", {}, {})

    def _ask_ping(self, device: str) -> None:
        self._send(device, "ping", {}, {})

    def _ask_wrong(self, device: str) -> None:
        self._send(device, "users/create", {"user_id": "7" * 40, "name": ""}, {})

    # -- the end -----------------------------------------------------------------------------------------------------

    def findings(self) -> list[str]:
        """Requests that were not answered once, and users who are not what the answers have said."""
        found = []
        for request_id, asked in self.asked.items():
            if not asked.bodies:
                found.append(f"{request_id} on {asked.topic} was never answered")
            elif len(asked.bodies) > 1 and not asked.topic.endswith("/desired"):
                told = " and ".join(asked.bodies.values())
                found.append(f"{request_id} on {asked.topic} was answered in {len(asked.bodies)} ways: {told}")
        return found + self._users_that_differ()

    @property
    def _late(self) -> datetime:
        """Dates before this must have been carried out."""
        return self._clock.local() - timedelta(seconds=DATES_WITHIN_S)

    def _users_that_differ(self) -> list[str]:
        late = self._late
        soon = self._clock.local()
        found = []
        for device, terminal in self._terminals.items():
            held = {view.user_id: bool(view.raw[_PERMISSION] & _BLOCKED) for view in terminal.users()}
            for (where, user_id), state in self._known.items():
                if where != device or (where, user_id) in self._busy:
                    continue
                until = self._until.get((where, user_id))
                if until is not None and late < until <= soon:
                    continue
                wanted: State = "blocked" if until is not None and until <= late else state
                seen: State = "gone" if user_id not in held else "blocked" if held[user_id] else "there"
                if seen != wanted:
                    found.append(f"user {user_id} of {device} is {seen} and was to be {wanted}, until {until}")
        return found
