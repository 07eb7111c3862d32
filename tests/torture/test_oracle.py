"""The torture's oracle catches every kind of broken promise, and lets an honest bridge pass."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from torture.diary import Diary
from torture.history import (
    Answer,
    Ask,
    Delivery,
    Held,
    History,
    Inquiry,
    Kind,
    LedgerEnd,
    Span,
    TerminalEnd,
    User,
    Wish,
)
from torture.oracle import judge
from torture.remains import secrets_in

DEVICE = "puerta"
TOPIC = f"zk/{DEVICE}/users/create/reply"
ANA = User("1", "Ana", "$1234", 0, 1_234_567_890)
EVA = User("1", "Eva", "$5678", 14, 0)
GUARD = User("900", "Guardia")


def created(at: float = 2.0, **more: Any) -> Answer:
    return answer(at, success=True, status=200, code="created", data={"user_id": "1", "name": "Ana"}, **more)


def exists(at: float = 2.0) -> Answer:
    return answer(at, success=False, error="user_id '1' ya existe.", status=409, code="user_exists")


def timed_out(effect: str, at: float = 2.0, **more: Any) -> Answer:
    return answer(at, success=False, status=500, code="device_timeout", retryable=True, effect=effect, **more)


def refused(code: str, status: int, at: float = 2.0) -> Answer:
    return answer(at, success=False, status=status, code=code)


def answer(at: float, *, correlation: bytes | None = None, **body: Any) -> Answer:
    return Answer(at, TOPIC, json.dumps(body, separators=(",", ":")).encode(), correlation)


def asked(*answers: Answer, request_id: str | None = "r-1", asks: tuple[Ask, ...] = (Ask(1.0, "c"),)) -> Inquiry:
    return Inquiry(request_id, list(asks), list(answers))


def wish(*inquiries: Inquiry, number: int = 0, kind: Kind = Kind.UNIQUE, user: User = ANA, **more: Any) -> Wish:
    expected = more.pop("expected", frozenset())
    return Wish(number, kind, DEVICE, user, expected, inquiries=list(inquiries), **more)


def history(
    *wishes: Wish,
    held: tuple[User, ...] = (ANA,),
    own: tuple[User, ...] = (GUARD,),
    deliveries: Sequence[Delivery] = (),
    **more: Any,
) -> History:
    """What honest terminals and ledgers look like, with these users beside the guard."""
    own_held = [Held(user, 1 + number) for number, user in enumerate(own)]
    asked_held = [Held(user, 10 + number) for number, user in enumerate(held)]
    terminal = TerminalEnd(held=[*own_held, *asked_held], own=own_held, longest_allowed_s=6.0)
    ledger = LedgerEnd(deliveries=list(deliveries), modes={"ledger.db": 0o600, "ledger.db-wal": 0o600})
    return History(list(wishes), {DEVICE: terminal}, ledger, **more)


def verdicts(what: History) -> list[str]:
    return [finding.verdict for finding in judge(what)]


def rivals(first: Inquiry, second: Inquiry, *, kind: Kind = Kind.CONFLICT, other: User = EVA) -> tuple[Wish, Wish]:
    return (
        wish(first, number=0, kind=kind, rivals=(1,)),
        wish(second, number=1, kind=kind, user=other, rivals=(0,)),
    )


HONEST = {
    "a success": history(wish(asked(created()))),
    "a stored reply sent again": history(
        wish(asked(created(2), created(5, replayed=True), asks=(Ask(1, "c"), Ask(4, "d"))), kind=Kind.COPIES)
    ),
    "busy first, then done under the same request_id": history(wish(asked(refused("busy", 503), created(5)))),
    "a 409 after an unknown effect": history(
        wish(asked(timed_out("unknown")), asked(exists(9), request_id="r-2", asks=(Ask(8, "c"),)))
    ),
    "no effect, then done under another request_id": history(
        wish(
            asked(timed_out("none")),
            asked(created(9), request_id="r-2", asks=(Ask(8, "c"),)),
            there_when_quiet=False,
        )
    ),
    "no effect, then done under the same request_id": history(
        wish(
            asked(timed_out("none"), timed_out("none", 3), created(9), asks=(Ask(1, "c"), Ask(8, "c", repeats=True))),
            there_when_quiet=False,
        )
    ),
    "an unknown effect that was settled under the same request_id": history(
        wish(asked(timed_out("unknown"), created(9), asks=(Ask(1, "c"), Ask(8, "c", repeats=True))))
    ),
    "a failure that came again before it was done": history(
        wish(
            asked(
                timed_out("unknown"),
                timed_out("none", 5),
                created(9),
                asks=(Ask(1, "c"), Ask(4, "c", repeats=True), Ask(8, "c", repeats=True)),
            )
        )
    ),
    "a message without a request_id that the broker brought twice": history(
        wish(asked(exists(), request_id=None)), broker_losses=[(1.5, 1.9)]
    ),
    "a message without a request_id that the caller's library sent twice": history(
        wish(asked(created(), exists(3), request_id=None, asks=(Ask(1, "c", resent=True),)))
    ),
    "asked again after the broker was killed with the message": history(
        wish(asked(created(9), asks=(Ask(1, "c", None, 2), Ask(8, "c", again=True)))), broker_losses=[(1.5, 3)]
    ),
    "asked again after the broker was killed with the answer": history(
        wish(asked(created(9), asks=(Ask(1, "c", None, 1.1), Ask(8, "c", again=True)))),
        broker_losses=[(5, 6)],
        deliveries=[Delivery(DEVICE, "r-1", None, 2, 5.5), Delivery(DEVICE, "r-1", None, 8, 8.5)],
    ),
    "rivals of whom one wins": history(*rivals(asked(created()), asked(exists(), request_id="r-2"))),
    "a request_id with two contents": history(
        *rivals(
            asked(created()),
            asked(refused("request_id_reused", 409)),
            kind=Kind.REUSED,
            other=replace(EVA, user_id="2"),
        )
    ),
    "an invalid request refused": history(
        wish(asked(refused("invalid_field", 400)), kind=Kind.INVALID, expected=frozenset({"invalid_field"})), held=()
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_a_correct_history_has_no_finding(name: str) -> None:
    assert judge(HONEST[name]) == []


def changed(what: History, **ledger: Any) -> History:
    return replace(what, ledger=replace(what.ledger, **ledger))


def at_the_terminal(what: History, **end: Any) -> History:
    return replace(what, terminals={DEVICE: replace(what.terminals[DEVICE], **end)})


FINE = HONEST["a success"]
TERMINAL = FINE.terminals[DEVICE]

BROKEN = {
    "an answer that never came": (history(wish(asked())), ["lost"]),
    "an answer that only came when asked again": (
        history(wish(asked(created(9), asks=(Ask(1, "c"), Ask(8, "c", again=True))))),
        ["lost"],
    ),
    "an answer that named nobody, heard by two callers, for two requests": (
        history(
            *(
                wish(
                    asked(created(9), request_id=None, asks=(Ask(1, "c"), Ask(8, "c", again=True))),
                    number=number,
                    user=replace(ANA, user_id=str(number)),
                )
                for number in (1, 2)
            ),
            held=(replace(ANA, user_id="1"), replace(ANA, user_id="2")),
            anonymous={DEVICE: [replace(timed_out("none"), caller=caller) for caller in "ab"]},
        ),
        ["lost"],
    ),
    "a broker killed when the answer had long been delivered": (
        history(
            wish(asked(created(9), asks=(Ask(1, "c", None, 1.1), Ask(8, "c", again=True)))),
            broker_losses=[(5, 6)],
            deliveries=[Delivery(DEVICE, "r-1", None, 2, 2.5), Delivery(DEVICE, "r-1", None, 8, 8.5)],
        ),
        ["lost"],
    ),
    "a broker killed too early to be the excuse": (
        history(wish(asked(created(9), asks=(Ask(4, "c"), Ask(8, "c", again=True)))), broker_losses=[(1, 2)]),
        ["lost"],
    ),
    "a copy whose correlation data never came back": (
        history(wish(asked(created(correlation=b"a"), asks=(Ask(1, "c", b"a"), Ask(1, "c", b"b"))))),
        ["lost"],
    ),
    "an unfinished request in the ledger": (changed(FINE, unfinished=["request 1"]), ["lost"]),
    "an answer that is still owed": (changed(FINE, owed=1), ["lost"]),
    "a user who is there twice": (
        at_the_terminal(FINE, held=[*TERMINAL.held, Held(ANA, 11)]),
        ["doubled"],
    ),
    "success without the user": (history(wish(asked(created())), held=()), ["wrong"]),
    "success with another card": (history(wish(asked(created())), held=(replace(ANA, card=1),)), ["wrong", "wrong"]),
    "success in a group that is locked out": (
        at_the_terminal(FINE, held=[*TERMINAL.own, Held(ANA, 10, group=0)]),
        ["wrong"],
    ),
    "two different answers to one request_id": (
        history(wish(asked(created(), timed_out("none", 5)), there_when_quiet=True)),
        ["wrong"],
    ),
    "a failure without effect replayed to a second request": (
        history(
            wish(
                asked(
                    timed_out("none"),
                    timed_out("none", 9, replayed=True),
                    created(12),
                    asks=(Ask(1, "c"), Ask(8, "c", repeats=True), Ask(11, "c", repeats=True)),
                ),
                there_when_quiet=False,
            ),
        ),
        ["wrong"],
    ),
    "a failure of unknown effect replayed to a second request": (
        history(
            wish(
                asked(
                    timed_out("unknown"),
                    timed_out("unknown", 9, replayed=True),
                    created(12),
                    asks=(Ask(1, "c"), Ask(8, "c", repeats=True), Ask(11, "c", repeats=True)),
                ),
            ),
        ),
        ["wrong"],
    ),
    "two successes under one request_id": (
        history(wish(asked(created(), created(9, again=1), asks=(Ask(1, "c"), Ask(8, "c"))))),
        ["wrong"],
    ),
    "a 409 for the request that wrote the user": (history(wish(asked(exists()))), ["wrong"]),
    "a 409 after the restart instead of the stored success": (
        history(wish(asked(created(), exists(5)))),
        ["wrong", "wrong"],
    ),
    "a 409 without a request_id and without an excuse": (
        history(wish(asked(exists(), request_id=None))),
        ["wrong"],
    ),
    "a 409 after an answer that said effect none": (
        history(wish(asked(timed_out("none")), asked(exists(9), request_id="r-2", asks=(Ask(8, "c"),)))),
        ["wrong"],
    ),
    "a 409 for a user who is not there": (history(wish(asked(exists())), held=()), ["wrong"]),
    "effect none, but the user was there": (
        history(wish(asked(timed_out("none")), there_when_quiet=True)),
        ["wrong", "wrong"],  # and it is trouble to the end
    ),
    "a refusal, but the user was there": (
        history(wish(asked(refused("device_rejected", 500)), there_when_quiet=True)),
        ["wrong", "wrong"],
    ),
    "two winners": (history(*rivals(asked(created()), asked(created(), request_id="r-2"))), ["wrong", "wrong"]),
    "a winner who was not told": (
        history(*rivals(asked(refused("device_rejected", 500)), asked(exists(), request_id="r-2"))),
        ["wrong", "wrong"],
    ),
    "no winner": (
        history(*rivals(asked(timed_out("none")), asked(timed_out("none"), request_id="r-2")), held=()),
        ["wrong", "wrong", "wrong", "wrong"],
    ),
    "a request_id that served two contents": (
        history(
            *rivals(asked(created()), asked(created()), kind=Kind.REUSED, other=replace(EVA, user_id="2")),
            held=(ANA, replace(EVA, user_id="2")),
        ),
        ["wrong"],
    ),
    "an expired request carried out": (
        history(wish(asked(created()), kind=Kind.EXPIRED, expected=frozenset({"expired"}))),
        ["wrong", "wrong"],
    ),
    "a retained command carried out": (
        history(
            wish(asked(refused("retained_refused", 409)), kind=Kind.RETAINED, expected=frozenset({"retained_refused"}))
        ),
        ["wrong", "wrong"],
    ),
    "trouble that never ends": (history(wish(asked(timed_out("none"))), held=()), ["wrong"]),
    "a user nobody asked for": (history(held=(ANA,)), ["wrong"]),
    "a user of the keypad who is gone": (
        at_the_terminal(FINE, held=[Held(ANA, 10)]),
        ["wrong"],
    ),
    "a user of the keypad who is overwritten": (
        at_the_terminal(FINE, held=[Held(replace(GUARD, name="x"), 1), Held(ANA, 10)]),
        ["wrong"],
    ),
    "a user of the keypad who has moved": (
        at_the_terminal(FINE, held=[Held(GUARD, 7), Held(ANA, 10)]),
        ["wrong"],
    ),
    "a fault of the bridge's own": (history(wish(asked(refused("internal", 500), created(3)))), ["wrong", "wrong"]),
    "an answer to nobody": (replace(FINE, strays=[created()]), ["wrong"]),
    "a password in a reply": (history(wish(asked(created(hint="$1234")))), ["wrong"]),
    "a card in a reply": (history(wish(asked(created(card=1_234_567_890)))), ["wrong"]),
    "a secret left behind": (changed(FINE, secrets=["ledger.db-wal: 1 x password"]), ["wrong"]),
    "a ledger that others can read": (changed(FINE, modes={"ledger.db": 0o644}), ["wrong"]),
    "a terminal left disabled": (at_the_terminal(FINE, disabled=True), ["left disabled"]),
    "a pending enable left": (changed(FINE, pending_enables=[DEVICE]), ["left disabled"]),
    "a terminal disabled for too long": (at_the_terminal(FINE, spans=[Span(1, 6.5)]), ["wrong"]),
    "a session left open": (at_the_terminal(FINE, sessions_open=1), ["wrong"]),
    "a daemon that ended by itself": (replace(FINE, collapses=["the daemon ended by itself with 1"]), ["wrong"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found(name: str) -> None:
    what, expected = BROKEN[name]

    assert verdicts(what) == expected


def test_a_terminal_may_be_disabled_once_more_by_each_life_of_a_daemon_that_is_killed() -> None:
    spans = [Span(1, 11, lives=2), Span(20, 6, lives=1)]

    assert verdicts(at_the_terminal(FINE, spans=spans)) == []
    assert verdicts(at_the_terminal(FINE, spans=[*spans, Span(40, 19, lives=3)])) == ["wrong"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'{"password":"$abcd123","card":1234567890}', {"$abcd123", "1234567890"}),
        (b"\x00$ab12\x00", {"$ab12"}),
        (b"991234567890", {"1234567890"}),
        (b'{"password":"$zzzz","card":2234567890}', set()),
    ],
)
def test_a_secret_is_found_wherever_it_stands(content: bytes, found: set[str]) -> None:
    assert secrets_in(content, {"$abcd123", "$ab12", "1234567890"}) == found


def test_the_history_of_a_user_has_the_users_with_the_same_uid() -> None:
    diary = Diary()
    for at, text in enumerate(
        [
            "user 9000003 added at the keypad as uid 11",
            "user 17 written as uid 111",
            "user 17 written as uid 11",
            "user with uid 11 deleted",
            "user 18 written as uid 1",
        ]
    ):
        diary.note(DEVICE, text, at=float(at))

    assert diary.about_user(DEVICE, "9000003") == [0.0, 2.0, 3.0]
    assert diary.about_user("otra", "9000003") == []
