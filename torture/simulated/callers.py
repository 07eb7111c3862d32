"""The callers of a simulated bridge: what they ask for, and what they hear."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from torture.simulated.broker import Broker, Heard, Stored
from torture.simulated.machine import here

#: Few user_ids, so that requests meet; the devices, and the group of all of them.
USER_IDS, DEVICES, GROUP = [str(number) for number in range(1, 9)], ("a", "b", "c"), "all"
#: The devices whose punches are published as they happen; and those that are reached over UDP.
LISTENED, UDP = ("a", "c"), ("c",)
#: Those with a door: not over UDP, where a datagram that comes twice may open it twice, whoever sent it.
DOORS = ("a", "b")
#: Seconds for which some requests are good.
GOOD_FOR_S = (3, 20, 90)
_KINDS = {
    "create": 10,
    "copy": 6,
    "update": 3,
    "delete": 5,
    "list": 2,
    "group": 4,
    "many": 2,
    "dated": 8,
    "door": 5,
    "invalid": 1,
}


@dataclass
class Wish:
    """What a caller wants: one content, under one request_id where it has one. `name` marks what it writes."""

    number: int
    kind: str
    device: str
    command: str
    body: dict[str, Any]
    user_id: str = ""
    name: str = ""
    good_until: float | None = None  #: true time, on the machine's steady clock
    asks: list[Ask] = field(default_factory=list)

    @property
    def has_id(self) -> bool:
        """Whether it has a request_id."""
        return "request_id" in self.body

    @property
    def dated(self) -> bool:
        """Whether it names from when until when the user is let in."""
        return "valid_from" in self.body

    @property
    def devices(self) -> tuple[str, ...]:
        """The terminals that are asked."""
        return DEVICES if self.device == GROUP else (self.device,)


@dataclass
class Ask:
    """One message of a wish."""

    number: int
    wish: Wish
    at: float

    @property
    def correlation(self) -> bytes:
        """What its reply carries."""
        return b"c%d" % self.number


@dataclass
class Told:
    """One reply: `device` is the one whose topic it came on."""

    at: float
    device: str
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The reply as an object."""
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def plain(self) -> bytes:
        """The reply without the flag of one delivery, also where it stands in an entry of a list."""
        return self.raw.replace(b',"replayed":true', b"")


class Callers:
    """All callers. `wishes` (requests) and `asks` (their messages) are in the order in which they were made.

    `correlates`: Correlation Data shows which message a reply answers; otherwise each request has a request_id, and
    a reply answers each earlier message of the request.
    """

    def __init__(self, broker: Broker, tell: Callable[[str], None], *, correlates: bool = True) -> None:
        self.correlates = correlates
        self.wishes: list[Wish] = []
        self.asks: list[Ask] = []
        self._broker = broker
        self._tell = tell

    def ask(self, arg: int) -> Ask | None:
        """Ask for something."""
        random = Random(arg)
        kind = random.choices(list(_KINDS), list(_KINDS.values()))[0]
        if kind == "copy":
            known = [wish for wish in self.wishes[-12:] if wish.has_id]
            return self.send(random.choice(known)) if known else None
        return self.send(self.wish_for(random, kind))

    def wish_for(
        self,
        random: Random,
        kind: str,
        *,
        device: str | None = None,
        user_id: str | None = None,
        good_for_s: int | None = None,
        catch_up: bool = False,
    ) -> Wish:
        """Something to ask for, of a kind; what is not named is drawn. `catch_up`: it may wait for a terminal."""
        number = len(self.wishes)
        user_id, name = user_id or random.choice(USER_IDS), f"n{number}"
        drawn = GROUP if kind == "group" else random.choice(DOORS if kind == "door" else DEVICES)
        command, body = _content(random, kind, user_id, name)
        if kind == "door":
            body["seconds"] = 1 + sum(wish.kind == kind for wish in self.wishes) % 60
        if random.random() < 0.8 or not self.correlates:
            body["request_id"] = f"r{number}"
        if good_for_s is None and kind in ("create", "update", "delete", "group", "door") and random.random() < 0.3:
            good_for_s = random.choice(GOOD_FOR_S)
        good_until = None if good_for_s is None else here().now + good_for_s
        if good_until is not None:
            body["expires_at"] = _stamp(good_until + here().true_offset)
        if kind == "group" and good_until is not None and (catch_up or random.random() < 0.8):
            body["catch_up"] = True
        wish = Wish(number, kind, device or drawn, command, body, user_id, name, good_until)
        self.wishes.append(wish)
        return wish

    def probe(self, device: str) -> Ask:
        """Ask for what a terminal in order answers at once."""
        wish = Wish(len(self.wishes), "list", device, "users/list", {"limit": 1, "request_id": f"p{len(self.wishes)}"})
        self.wishes.append(wish)
        return self.send(wish)

    def mistake(self, device: str) -> Ask:
        """Ask for what is answered without the terminal."""
        number = len(self.wishes)
        body = {"name": "x", "request_id": f"x{number}"}
        wish = Wish(number, "invalid", device, "users/create", body, name=f"x{number}")
        self.wishes.append(wish)
        return self.send(wish)

    def send(self, wish: Wish) -> Ask:
        """Publish a wish, perhaps once more."""
        ask = Ask(len(self.asks), wish, here().now)
        self.asks.append(ask)
        wish.asks.append(ask)
        again = " again" if len(wish.asks) > 1 else ""
        shown = json.dumps(wish.body, ensure_ascii=False)
        self._tell(f"message {ask.number}: {wish.command} for {wish.device}{again}: {shown}")
        payload = json.dumps(wish.body).encode()
        self._broker.publish(Stored(ask.number, f"zk/{wish.device}/{wish.command}", payload, ask.correlation))
        return ask

    def replies(self) -> dict[int, list[Told]]:
        """What came, by the number of the message."""
        found: dict[int, list[Told]] = {}
        for heard in self._broker.heard:
            if heard.topic.endswith("/reply"):
                told = Told(heard.at, heard.topic.split("/")[1], heard.payload)
                for number in self._answered_by(heard, told):
                    found.setdefault(number, []).append(told)
        return found

    def _answered_by(self, heard: Heard, told: Told) -> list[int]:
        if self.correlates:
            return [] if heard.correlation is None else [int(heard.correlation[1:])]
        request_id = told.body.get("request_id")
        return [
            ask.number
            for ask in self.asks
            if request_id is not None and ask.at <= heard.at and ask.wish.body.get("request_id") == request_id
        ]


def _content(random: Random, kind: str, user_id: str, name: str) -> tuple[str, dict[str, Any]]:
    """The command of a wish, and what it asks for."""
    user = {"user_id": user_id, "name": name}
    rows = random.sample(USER_IDS, 3)
    known: dict[str, tuple[str, dict[str, Any]]] = {
        "update": ("users/update", user),
        "delete": ("users/delete", {"user_id": user_id}),
        "list": ("users/list", {}),
        "invalid": ("users/create", {"user_id": user_id}),
        "many": ("users/create-many", {"users": [{"user_id": row, "name": f"{name}-{row}"} for row in rows]}),
        "door": ("door/unlock", {}),
    }
    if kind == "dated":
        command = random.choice(("users/create", "users/update"))
        return command, user | _dates(random, here().now + here().true_offset)
    return known.get(kind, ("users/create", user))


def _dates(random: Random, now: float) -> dict[str, str]:
    """Both dates of a user, one of which may be none."""
    begins, ends = random.choice(((0, 6), (0, 20), (0, 70), (6, 40), (20, 30), (10, 0), (40, 0), (0, 0)))
    moments = {"valid_from": begins, "valid_until": ends}
    return {name: "" if not after else _stamp(now + after)[:19] for name, after in moments.items()}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
