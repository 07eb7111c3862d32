"""What callers want, and when: drawn from a seed."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from torture.history import Inquiry, Kind, User, Wish

#: Of a hundred wishes, so many of each kind; wishes with rivals come in pairs.
MIX: dict[Kind, float] = {
    Kind.UNIQUE: 68,
    Kind.COPIES: 10,
    Kind.CONFLICT: 8,
    Kind.REUSED: 2,
    Kind.SOON: 3,
    Kind.INVALID: 4,
    Kind.EXPIRED: 3,
    Kind.UNKNOWN: 1.6,
    Kind.RETAINED: 0.4,
}
UNKNOWN_DEVICE = "nadie"
#: Cards have ten digits and passwords begin like this, so that each can be found in any file.
FIRST_CARD, LAST_CARD = 1_000_000_000, 4_294_967_295
PASSWORD_MARK = "$"
NAMES = ("Ana", "Zoë", "Ñandú", "Juan P", "李雷", "Łucja", "O'Neill")
#: What a request may hear that has to wait for a terminal in trouble.
TROUBLE = frozenset({"device_timeout", "device_unreachable", "device_rejected", "device_auth_failed", "busy"})


@dataclass(frozen=True)
class Message:
    """One message to be published `at` seconds after the start; `caller` chooses who does it.

    `correlated` ones go out by MQTT 5 with a Response Topic and `correlation` data.
    """

    at: float
    wish: Wish
    inquiry: Inquiry
    payload: bytes
    caller: int
    correlation: bytes | None = None
    retain: bool = False


@dataclass(frozen=True)
class Place:
    """What a caller must know of a device."""

    device: str
    record: int


class Plan:
    """All wishes of a run, with the messages that ask for them first."""

    def __init__(self, random: Random, places: list[Place], *, requests: int, seconds: float, start: float) -> None:
        self.wishes: list[Wish] = []
        self.messages: list[Message] = []
        self._random = random
        self._places = places
        self._seconds = seconds
        self._start = start
        self._tag = f"{random.getrandbits(32):08x}"
        makers: dict[Kind, Callable[[], None]] = {
            Kind.UNIQUE: self._unique,
            Kind.COPIES: self._copies,
            Kind.CONFLICT: self._conflict,
            Kind.REUSED: self._reused,
            Kind.SOON: self._soon,
            Kind.INVALID: self._invalid,
            Kind.EXPIRED: self._expired,
            Kind.UNKNOWN: self._unknown,
            Kind.RETAINED: self._retained,
        }
        for kind, make in makers.items():  # each kind at least once, also in a short run
            make()
            assert self.wishes[-1].kind is kind
        while len(self.messages) < requests:
            makers[random.choices(list(MIX), weights=list(MIX.values()))[0]]()
        self.messages.sort(key=lambda message: message.at)

    def one_more(self, place: Place) -> Message:
        """A last wish, for now."""
        wish = self._wish(Kind.UNIQUE, place)
        self._ask(wish, self._with_id(wish), self._seconds)
        return self.messages[-1]

    # -- kinds -----------------------------------------------------------------------------------------------------

    def _unique(self) -> None:
        wish = self._wish(Kind.UNIQUE, self._place())
        if self._random.random() < 0.8:
            self._ask(wish, self._with_id(wish), self._moment())
        else:
            self._ask(wish, self._without_id(wish), self._moment())

    def _copies(self) -> None:
        """Several at once from several callers, or one after the other."""
        wish = self._wish(Kind.COPIES, self._place())
        inquiry, at = self._with_id(wish), self._moment()
        for _ in range(self._random.randint(2, 4)):
            self._ask(wish, inquiry, at)
            at += self._random.choice([0.0, 0.0, 0.01, 0.5, 3.0])

    def _conflict(self) -> None:
        place, at = self._place(), self._moment()
        one = self._wish(Kind.CONFLICT, place)
        other = self._wish(Kind.CONFLICT, place, user_id=one.user.user_id)
        one.rivals, other.rivals = (other.number,), (one.number,)
        self._ask(one, self._with_id(one), at)
        if self._random.random() < 0.7:
            self._ask(other, self._with_id(other), at + self._random.choice([0.0, 0.0, 0.05, 2.0]))
        else:
            self._ask(other, self._without_id(other), at + self._random.choice([0.0, 0.05, 2.0]), correlated=True)

    def _reused(self) -> None:
        """One request_id for two contents; only correlation data tells whose answer is whose."""
        place, at = self._place(), self._moment()
        one, other = self._wish(Kind.REUSED, place), self._wish(Kind.REUSED, place)
        one.rivals, other.rivals = (other.number,), (one.number,)
        inquiry = self._with_id(one)
        other.inquiries.append(Inquiry(inquiry.request_id))
        self._ask(one, inquiry, at, correlated=True)
        self._ask(other, other.inquiries[0], at + self._random.choice([0.0, 0.05, 2.0]), correlated=True)

    def _soon(self) -> None:
        wish = self._wish(Kind.SOON, self._place(), expected=TROUBLE | {"created", "expired"})
        at = self._moment()
        self._ask(wish, self._with_id(wish), at, expires_in_s=self._random.uniform(0.5, 4))

    def _expired(self) -> None:
        wish = self._wish(Kind.EXPIRED, self._place(), expected=frozenset({"expired"}))
        self._ask(wish, self._with_id(wish), self._moment(), expires_in_s=-60)

    def _unknown(self) -> None:
        place = Place(UNKNOWN_DEVICE, 72)
        wish = self._wish(Kind.UNKNOWN, place, expected=frozenset({"device_not_found"}))
        self._ask(wish, self._with_id(wish), self._moment())

    def _retained(self) -> None:
        wish = self._wish(Kind.RETAINED, self._place(), expected=frozenset({"retained_refused"}))
        self._ask(wish, self._with_id(wish), self._moment(), retain=True)

    def _invalid(self) -> None:
        """Wrong at first sight, or only for the terminal: its records have no place for it."""
        random = self._random
        place = self._place()
        wish = self._wish(Kind.INVALID, place, expected=frozenset({"invalid_field"}))
        body: dict[str, Any] = json.loads(request(wish.user, None))
        spoilt: list[dict[str, Any]] = [
            body | {"privilege": 7},
            body | {"privilegio": 0},
            body | {"name": "N" * 25},
            body | {"password": PASSWORD_MARK + "x" * 8},
            body | {"card": LAST_CARD + 1},
            body | {"name": True},
            body | {"name": "tab\tbed"},
        ]
        choice = random.randrange(len(spoilt) + 3)
        if choice < len(spoilt):
            inquiry = self._with_id(wish)
            self._publish(wish, inquiry, self._moment(), _json(spoilt[choice] | {"request_id": inquiry.request_id}))
            return
        if choice == len(spoilt):
            # A terminal may only say so once it is asked: the record's size, or the width of its user ids.
            wish = self._renamed(wish, replace(wish.user, user_id=f"no-{wish.user.user_id}-fits"))
            wish.expected = TROUBLE | {"invalid_field"}
            self._ask(wish, self._with_id(wish), self._moment())
            return
        payload, code = random.choice(
            [(b"{}", "missing_fields"), (b"\xff\xfe", "body_required"), (b"[1", "body_required")]
        )
        wish.expected = frozenset({code})
        self._publish(wish, self._without_id(wish), self._moment(), payload, correlated=True)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _place(self) -> Place:
        return self._random.choice(self._places)

    def _moment(self) -> float:
        return self._random.uniform(0, self._seconds)

    def _wish(
        self, kind: Kind, place: Place, *, user_id: str | None = None, expected: frozenset[str] = frozenset()
    ) -> Wish:
        number = len(self.wishes)
        wish = Wish(number, kind, place.device, self._user(number, place, user_id), expected)
        self.wishes.append(wish)
        return wish

    def _renamed(self, wish: Wish, user: User) -> Wish:
        self.wishes[wish.number] = renamed = replace(wish, user=user)
        return renamed

    def _user(self, number: int, place: Place, user_id: str | None) -> User:
        random = self._random
        word = "".join(random.choices(string.ascii_letters + string.digits, k=7 if place.record == 72 else 4))
        name = random.choice(NAMES)
        return User(
            user_id=user_id or str(1_000_000 + number),
            name=name if place.record == 28 else f"{name} {number}",
            password=PASSWORD_MARK + word if random.random() < 0.8 else "",
            privilege=random.choice([0, 0, 0, 14]),
            card=random.randint(FIRST_CARD, LAST_CARD) if random.random() < 0.8 else 0,
        )

    def _with_id(self, wish: Wish) -> Inquiry:
        return self.next_inquiry(wish)

    def _without_id(self, wish: Wish) -> Inquiry:
        inquiry = Inquiry(None)
        wish.inquiries.append(inquiry)
        return inquiry

    def repeated(self, wish: Wish, inquiry: Inquiry) -> Message:
        """The message of an inquiry once more, as it was."""
        first = next((message for message in self.messages if message.inquiry is inquiry), None)
        return first or Message(0.0, wish, inquiry, request(wish.user, inquiry.request_id), caller=wish.number)

    def next_inquiry(self, wish: Wish) -> Inquiry:
        """One more request_id for a wish."""
        inquiry = Inquiry(f"t{self._tag}-{wish.number}-{len(wish.inquiries)}")
        wish.inquiries.append(inquiry)
        return inquiry

    def _ask(
        self,
        wish: Wish,
        inquiry: Inquiry,
        at: float,
        *,
        correlated: bool | None = None,
        retain: bool = False,
        expires_in_s: float | None = None,
    ) -> None:
        expires_at = None if expires_in_s is None else self._start + at + expires_in_s
        payload = request(wish.user, inquiry.request_id, expires_at=expires_at)
        self._publish(wish, inquiry, at, payload, correlated=correlated, retain=retain)

    def _publish(
        self,
        wish: Wish,
        inquiry: Inquiry,
        at: float,
        payload: bytes,
        *,
        correlated: bool | None = None,
        retain: bool = False,
    ) -> None:
        if correlated is None:
            correlated = not retain and self._random.random() < 0.4
        correlation = self._random.randbytes(12) if correlated else None
        caller = self._random.randrange(1000)
        self.messages.append(Message(at, wish, inquiry, payload, caller, correlation, retain))


def request(user: User, request_id: str | None, *, expires_at: float | None = None) -> bytes:
    """The payload of a request for a user; `expires_at` in seconds since the epoch."""
    body: dict[str, Any] = {"user_id": user.user_id, "name": user.name}
    if user.password:
        body["password"] = user.password
    if user.privilege:
        body["privilege"] = user.privilege
    if user.card:
        body["card"] = user.card
    if request_id is not None:
        body["request_id"] = request_id
    if expires_at is not None:
        body["expires_at"] = datetime.fromtimestamp(expires_at, UTC).isoformat()
    return _json(body)


def secrets(wishes: list[Wish]) -> Iterator[str]:
    """Every password and card that any wish has used."""
    for wish in wishes:
        if wish.user.password:
            yield wish.user.password
        if wish.user.card:
            yield str(wish.user.card)


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
