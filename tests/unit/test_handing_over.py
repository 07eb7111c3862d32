"""Requests that take another one's place are kept in pieces: others go on in between, and a kill loses none of it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.full_disk import full
from tests.support.judging import create_draft
from tests.support.judging import keep_or_refuse as keep
from zkbridge.bridge.handover import RequestHandOver
from zkbridge.bridge.reception import Reception
from zkbridge.commands.api.context import HandOver, Onward
from zkbridge.config.models import Config
from zkbridge.contract.messages import Reply
from zkbridge.contract.topics import Topics
from zkbridge.ledger import handing_over
from zkbridge.ledger.database import Database
from zkbridge.ledger.handing_over import PIECE
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Finish, Part, Request, State

USERS = [str(number) for number in range(2 * PIECE + 10)]
PATIENCE_S = 30


def whole_of(ledger: Ledger) -> Request:
    draft = create_draft(ledger, "whole", content=b"x", params=b"<whole>", device="p", command="users/desired")
    [kept] = keep(ledger, draft)
    request = kept.request
    assert request is not None
    return request


def parts(users: list[str]) -> list[Part]:
    return [Part("p", "plan", None, "users/create", f"<{user}>".encode(), user) for user in users]


def left_in(ledger: Ledger) -> list[bytes]:
    return [each.params for each in ledger.unfinished()]


class House:
    """What a RequestHandOver is made of: `receive` keeps a neighbour's request, `submit` notes what is begun."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.config = Config.model_validate({"devices": {"p": {"host": "127.0.0.1"}, "q": {"host": "127.0.0.1"}}})
        self.topics = Topics("zk")
        self.begun: dict[str, list[Request]] = {}
        intake: Any = SimpleNamespace(receive=self.keep_neighbour)
        unused: Any = None  # no document comes
        self.reception = Reception(intake, unused)
        house: Any = self  # stands for CurrentConfig, Probes and ReplyDispatch
        self.handover = RequestHandOver(house, ledger, self.reception, house, house)

    def keep_neighbour(self, _: object) -> bool:
        keep(self.ledger, create_draft(self.ledger, "ping", device="q"))
        return False

    def submit(self, device: str, requests: list[Request]) -> None:
        self.begun[device] = requests

    def note_answers(self) -> None:
        pass


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House(ledger)


def what(users: list[str], to: tuple[str, ...] = ("p",)) -> HandOver:
    return HandOver("users/desired", to, tuple(Onward(user, b"{}", "users/create") for user in users))


def test_a_neighbours_request_is_kept_before_the_last_of_many_is(
    house: House, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, pieces = threading.Event(), []
    keep_piece = ledger.handing_over._keep

    def receive() -> None:
        house.reception.receive([])
        kept.set()

    def watched(request: Request, draft: Any, piece: list[Part]) -> list[Request]:
        pieces.append(len(piece))
        if len(pieces) == 1:
            threading.Thread(target=receive).start()
        elif len(pieces) == 3:
            assert kept.wait(PATIENCE_S), "the neighbour's request waits for the whole"
        return keep_piece(request, draft, piece)

    monkeypatch.setattr(ledger.handing_over, "_keep", watched)
    house.handover.hand_over(whole_of(ledger), what(USERS))

    assert pieces == [PIECE, PIECE, 10]
    assert len(house.begun["p"]) == len(USERS)


def test_what_was_prepared_before_a_kill_is_dropped_and_the_request_stands_for_all_of_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    request = whole_of(ledger)
    ledger.handing_over.prepare(request, parts(USERS), catch_up=False)
    assert left_in(ledger) == [b"<whole>"]
    assert ledger.stats().unfinished == 1
    ledger.close()

    again = Ledger(tmp_path)
    assert left_in(again) == [b"<whole>"]
    assert again.database.read("SELECT count(*) FROM requests")[0][0] == 1
    assert again.database.read("SELECT count(*) FROM asked")[0][0] == 1
    made = again.handing_over.prepare(request, parts(USERS), catch_up=False)
    again.handing_over.begin(request)

    assert [each.id for each in again.unfinished()] == [each.id for each in made]
    assert left_in(again) == [each.params for each in parts(USERS)]
    assert {each.shares for each in again.unfinished()} == {len(USERS)}
    again.close()


def test_what_has_begun_outlives_a_kill_and_the_answer_comes_after_the_last(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    request = whole_of(ledger)
    made = ledger.handing_over.prepare(request, parts(USERS[:3]), catch_up=False)
    ledger.handing_over.begin(request)
    ledger.close()

    again = Ledger(tmp_path)
    done = Reply(200, "created", b'{"success":true,"status":200,"code":"created"}')
    for each in made[:2]:
        assert again.finish([Finish(each, done)]).groups == []
    assert [each.request.id for each in again.finish([Finish(made[2], done)]).groups] == [request.id]
    again.close()


def test_a_piece_that_could_not_be_kept_is_made_anew_and_none_is_doubled(ledger: Ledger) -> None:
    request = whole_of(ledger)
    ledger.handing_over.prepare(request, parts(USERS[:300]), catch_up=False)

    made = ledger.handing_over.prepare(request, parts(USERS[100:105]), catch_up=False)
    ledger.handing_over.begin(request)

    assert [each.params for each in made] == left_in(ledger) == [each.params for each in parts(USERS[100:105])]


def test_nothing_is_done_of_what_was_prepared_for_a_request_that_ended_otherwise(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    request = whole_of(ledger)
    ledger.handing_over.prepare(request, parts(USERS), catch_up=False)
    ledger.finish([Finish(request, Reply(500, "internal", b"{}"))])
    assert left_in(ledger) == []
    ledger.close()

    again = Ledger(tmp_path)
    assert left_in(again) == []
    assert again.database.read("SELECT count(*) FROM asked")[0][0] == 0
    again.close()


def test_a_device_that_leaves_meanwhile_is_not_asked(
    house: House, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_over, "PIECE", 1)
    keep_piece, fewer = ledger.handing_over._keep, Config.model_validate({"devices": {"p": {"host": "127.0.0.1"}}})

    def reload(request: Request, draft: Any, piece: list[Part]) -> list[Request]:
        house.config = fewer
        return keep_piece(request, draft, piece)

    monkeypatch.setattr(ledger.handing_over, "_keep", reload)
    request = whole_of(ledger)
    house.handover.hand_over(request, what(["1"], to=("p", "q")))

    assert list(house.begun) == ["p"]
    assert [each.device for each in ledger.unfinished()] == ["p"]
    assert ledger.database.read("SELECT device, code FROM requests WHERE state = ?", State.DONE)[0][:] == (
        "q",
        "device_not_found",
    )


def test_a_start_with_nothing_to_drop_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(tmp_path).close()

    monkeypatch.setattr(Database, "write", full)

    Ledger(tmp_path).close()
