"""People at many doors while everything breaks: a run, and the judge on its own; `make torture` has the long run."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from torture import people_state as effect
from torture.people import Torture
from torture.people_alone import Alone
from torture.people_keypad import Keypad
from torture.people_oracle import Book
from torture.people_plan import Town
from torture.people_state import Held, Outcome, Print, Request, State
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

ANA, EVA = Held("Ana", card=77), Held("Eva")
THUMB, OTHER = Print(0, 1, b"M a thumb"), Print(0, 1, b"M of somebody else")
KEY = ("p", "7")
FINE: dict[str, Any] = {"success": True, "status": 200}
LOST: dict[str, Any] = {"success": False, "status": 500, "code": "device_timeout", "effect": "unknown"}


@pytest.mark.slow
def test_no_user_is_lost_doubled_or_given_a_foreign_finger_during_faults(tmp_path: Path) -> None:
    torture = Torture(tmp_path, seed=1, people=60, terminals=4, requests=120, kills=5, tell=lambda _: None)
    verdict = torture.go()

    told = [line for finding in verdict.findings[:5] for line in torture.story(finding)]
    assert not verdict.findings, "\n".join([*told, str(verdict)])
    assert torture.broken["kill -9"] >= 5
    assert {"created", "copied", "blocked", "deleted", "user_exists"} <= set(verdict.codes)


@pytest.fixture
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig())


def asked(outcome: Outcome, command: str = "users/create") -> Request:
    return Request(1, f"zk/p/{command}", {}, {KEY: outcome}, published=[0.0], answered={0})


def judged(before: State, outcome: Outcome, *bodies: dict[str, Any]) -> tuple[frozenset[State], list[str]]:
    """What may be there after a request with these answers, and what is wrong about them."""
    book = Book()
    book.set(KEY, {before}, "before")
    request = asked(outcome)
    for body in bodies:
        book.hear(request, body)
    book.close(request)
    return book.states(KEY), [finding.kind for finding in book.findings]


@pytest.mark.parametrize(
    ("before", "outcome", "code", "after"),
    [
        (None, effect.create({"name": "Eva"}), "created", EVA),
        (ANA, effect.create({"name": "Eva"}), "user_exists", ANA),
        (ANA, effect.update({"name": "Eva", "card": 0}), "updated", EVA),
        (None, effect.update({"name": "Eva"}), "user_not_found", None),
        (EVA, effect.block(True), "blocked", Held("Eva", privilege=1)),
        (Held("Eva", privilege=15), effect.block(False), "unblocked", Held("Eva", privilege=14)),
        (EVA, effect.delete(), "deleted", None),
        (EVA.with_prints([THUMB]), effect.delete_finger(0), "finger_deleted", EVA),
        (EVA, effect.delete_finger(0), "finger_not_found", EVA),
        (
            None,
            effect.copy(EVA.with_prints([THUMB]), fingers=True, overwrite=False),
            "copied",
            EVA.with_prints([THUMB]),
        ),
        (None, effect.copy(EVA.with_prints([THUMB]), fingers=False, overwrite=False), "copied", EVA),
        (EVA, effect.copy(EVA.with_prints([THUMB]), fingers=True, overwrite=False), "copied", EVA.with_prints([THUMB])),
        (ANA, effect.copy(EVA, fingers=True, overwrite=False), "user_exists", ANA),
        (
            ANA.with_prints([OTHER]),
            effect.copy(EVA.with_prints([THUMB]), fingers=True, overwrite=True),
            "copied",
            EVA.with_prints([THUMB]),
        ),
        (EVA.with_prints([OTHER]), effect.copy(EVA, fingers=True, overwrite=True), "copied", EVA),
        (EVA.with_prints([OTHER]), effect.copy(EVA, fingers=False, overwrite=True), "copied", EVA.with_prints([OTHER])),
    ],
)
def test_a_correct_answer_gives_the_state_at_the_terminal(
    before: State, outcome: Outcome, code: str, after: State
) -> None:
    assert judged(before, outcome, {**FINE, "code": code}) == (frozenset({after}), [])


def test_an_answer_that_cannot_be_true_is_found() -> None:
    assert judged(ANA, effect.create({"name": "Eva"}), {**FINE, "code": "created"})[1] == ["untrue"]
    assert judged(None, effect.delete(), {**FINE, "code": "deleted"})[1] == ["untrue"]


def test_a_second_answer_that_differs_is_found() -> None:
    bodies = ({**FINE, "code": "created"}, {**FINE, "status": 409, "code": "user_exists"})

    assert judged(None, effect.create({"name": "Eva"}), *bodies)[1] == ["untrue"]


def test_an_effect_that_is_unknown_leaves_both_and_a_later_answer_settles_it() -> None:
    create = effect.create({"name": "Eva"})

    assert judged(None, create, LOST) == (frozenset({None, EVA}), [])
    assert judged(None, create, LOST, {**FINE, "code": "created"}) == (frozenset({EVA}), [])
    assert judged(None, create, {**LOST, "effect": "none"}) == (frozenset({None}), [])


def test_a_copy_that_broke_off_may_have_left_a_part_of_the_fingers() -> None:
    second = Print(1, 1, b"M an index")
    copied = EVA.with_prints([THUMB, second])

    states, _ = judged(None, effect.copy(copied, fingers=True, overwrite=False), LOST)

    assert states == {None, EVA, EVA.with_prints([THUMB]), EVA.with_prints([second]), copied}


def found(book: Book, terminal: SimulatedTerminal) -> list[str]:
    book.compare("p", terminal, when="at the end")
    return [finding.kind for finding in book.findings]


def expecting(*states: State) -> Book:
    book = Book()
    book.set(KEY, states, "asked for")
    return book


def test_a_user_who_is_as_recorded_is_not_reported(terminal: SimulatedTerminal) -> None:
    terminal.add_user("7", "Eva")
    terminal.add_template("7", 0, THUMB.template)

    assert found(expecting(EVA.with_prints([THUMB])), terminal) == []


def test_a_missing_doubled_changed_or_unrequested_user_is_found(terminal: SimulatedTerminal) -> None:
    assert found(expecting(EVA), terminal) == ["lost"]
    terminal.add_user("7", "Eva")
    assert found(expecting(EVA.with_prints([THUMB])), terminal) == ["fingers"]
    assert found(expecting(ANA), terminal) == ["wrong"]
    assert found(expecting(None), terminal) == ["foreign"]
    assert found(Book(), terminal) == ["foreign"]
    terminal.add_template("7", 0, OTHER.template)
    assert found(expecting(EVA.with_prints([THUMB])), terminal) == ["fingers"]
    terminal.machine.terminal.users.write(b"\x09\0" + terminal.users()[0].raw[2:])
    assert found(expecting(EVA.with_prints([OTHER])), terminal) == ["doubled"]


@pytest.mark.parametrize(
    ("kept", "before", "said", "after"),
    [
        (EVA, None, "copied", EVA),
        (EVA, EVA, None, EVA),
        (EVA, ANA.with_prints([THUMB]), "copied", EVA),
        (EVA, EVA.with_prints([THUMB]), "copied", EVA),
        (None, ANA, "deleted", None),
        (None, None, None, None),
    ],
)
def test_a_restore_names_whom_it_changed(kept: State, before: State, said: str | None, after: State) -> None:
    book = expecting(before)
    request = asked(effect.restore(kept), "device/restore")
    results = [{"user_id": "7", "status": 200, "code": said}] if said else []
    book.hear_lists(request, {**FINE, "code": said or "compared", "results": results})
    book.close_lists(request)

    assert (book.states(KEY), book.findings) == (frozenset({after}), [])


def test_a_document_that_leaves_a_user_out_is_found() -> None:
    book = expecting(None)
    request = asked(effect.row({"name": "Eva"}), "users/desired")
    book.hear_lists(request, {**FINE, "code": "planned", "version": 1, "added": []})
    book.close_lists(request)

    assert [finding.kind for finding in book.findings] == ["untrue"]


def test_every_document_has_a_user_because_an_empty_one_is_refused() -> None:
    town = Town(Random(1), Book(), ["p", "q"], people=60)
    assert town.document("p", []) is not None

    town.take(town.populate("q", town.people))  # everybody is busy

    assert town.document("p", []) is None
    told = town.document("p", ["9000001"] * 9)
    assert told is None or told.body["users"]


class ClerkWhoRefusesOnce:
    """A desk that answers at once: the first backup with a refusal."""

    def __init__(self) -> None:
        self.active: list[Request] = []
        self.backups: dict[int, str] = {}
        self.asked: list[str] = []

    def ask(self, request: Request) -> None:
        self.asked.append(f"{request.request_id} {request.command}")
        refused = len(self.asked) == 1
        request.code, request.is_whole = ("device_rejected", False) if refused else ("backed_up", True)
        self.backups[request.number] = "a backup"

    def close(self, request: Request) -> None:
        assert request.command == "device/restore"


def test_a_backup_that_was_refused_is_asked_for_by_another_request(terminal: SimulatedTerminal) -> None:
    random, desk, book, terminals = Random(1), ClerkWhoRefusesOnce(), Book(), {"p": terminal}
    town = Town(random, book, ["p"], people=1)
    alone = Alone(random, town, desk, Keypad(random, town, terminals), terminals)  # type: ignore[arg-type] # a double

    alone.begin("restore", "p")
    while alone:
        alone.step()

    assert desk.asked == ["p1 device/backup", "p2 device/backup", "p3 device/restore"]
    assert book.findings == []
