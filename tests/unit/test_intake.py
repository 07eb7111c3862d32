"""Where intake lets a reply go, and that it judges anew when what it goes by has changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.full_disk import full
from tests.support.ports import StubPorts
from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.contract.messages import Message
from zkbridge.contract.topics import Topics
from zkbridge.intake.documents import DocumentReader
from zkbridge.intake.intake import Intake
from zkbridge.intake.keeper import Keeper
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.unread import UnreadDocuments

CONFIG = Config.model_validate({"devices": {"p": {"host": "192.0.2.1"}}, "desired": {"enabled": True}})


class Desk:
    """An intake with a ledger, and no terminal that anything could be asked of."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.keeper = Keeper(SetAside(folder), Topics())
        self.intake = Intake(
            CONFIG,
            self.ledger,
            commands(),
            subscribed=["zk/+/users/create"],
            ports=StubPorts(),
            keeper=self.keeper,
        )

    def read(self) -> None:
        """Read every document that is unread."""
        while (read := self.intake.read_document()) is not None:
            assert self.intake.take_document(*read)

    def answer_to(self, response_topic: str) -> tuple[str, bool]:
        """Where the answer to a message with this response topic goes, and whether it says that it was refused."""
        self.intake.receive([Message("zk/p/users/create", b"{}", response_topic=response_topic)])
        answer = self.ledger.replies.unsent(1000)[-1]
        return answer.topic, json.loads(answer.body).get("response_topic_refused", False)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.ledger.close()


def test_commands_are_kept_before_the_documents_that_came_with_them_and_those_are_read_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def read(_: DocumentReader, message: Message) -> Iterator[Message]:
        heard.append(message.topic)
        yield from ()

    monkeypatch.setattr(DocumentReader, "for_each_member", read)
    parts = [Message(f"zk/p/users/desired/part/{number}", b"{}") for number in (1, 2)]

    has_unread = desk.intake.receive([*parts, Message("zk/p/ping", b'{"request_id": "1"}')])
    before = len(desk.ledger.unfinished()), list(heard)
    desk.read()

    assert has_unread
    assert before == (1, [])
    assert heard == [message.topic for message in parts]


def test_a_document_whose_reading_makes_the_bridge_fail_is_set_aside_and_the_others_are_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: DocumentReader, message: Message) -> Iterator[Message]:
        if message.payload == b"odd":
            raise TypeError("a fault of the bridge")
        yield message

    monkeypatch.setattr(DocumentReader, "for_each_member", read)
    topic, whole = "zk/p/users/desired/part/1", json.dumps({"version": 1, "users": [{"user_id": "1", "name": "Ana"}]})

    desk.intake.receive([Message(topic, b"odd"), Message("zk/p/users/desired", whole.encode()), Message(topic, b"odd")])
    desk.read()

    assert [request.command for request in desk.ledger.unfinished()] == ["users/desired"]
    assert desk.keeper.set_aside == 2


def test_a_document_stays_unread_while_the_ledger_cannot_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.intake.receive([Message("zk/p/users/desired", b"{}")])
    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "draft", full)
        with pytest.raises(LedgerUnavailable):
            desk.read()
    answers = desk.ledger.replies.unsent(1000)
    desk.read()

    assert answers == []
    assert [answer.code for answer in desk.ledger.replies.unsent(1000)] == ["missing_fields"]
    assert desk.keeper.set_aside == 0


def test_a_document_that_cannot_be_kept_comes_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UnreadDocuments, "add", full)

    with pytest.raises(LedgerUnavailable):
        desk.intake.receive([Message("zk/p/users/desired", b"{}")])
    assert desk.keeper.set_aside == 0


@pytest.mark.parametrize("length", [20, 490])
def test_a_topic_is_judged_the_same_again_and_again(desk: Desk, length: int) -> None:
    good, bad = "zk/replies/" + "a" * length, "other/" + "a" * length

    for _ in range(2):
        assert desk.answer_to(good) == (good, False)
        assert desk.answer_to(bad) == ("zk/p/users/create/reply", True)


def test_what_a_reload_subscribes_to_is_refused_from_then_on(desk: Desk) -> None:
    topic = "zk/replies/mine"
    assert desk.answer_to(topic) == (topic, False)

    desk.intake.reload(CONFIG, subscribed=["zk/replies/mine"])

    assert desk.answer_to(topic) == ("zk/p/users/create/reply", True)


def test_no_caller_can_fill_the_memory_with_topics(desk: Desk) -> None:
    for number in range(600):
        desk.intake._drafts._addressing.allows(f"zk/replies/{number}", "p")
        desk.intake._drafts._addressing.allows(f"zk/replies/{number}".ljust(10_000, "x"), "p")

    assert desk.intake._drafts._addressing._remembered.cache_info().currsize <= 256
    assert desk.intake._drafts._addressing._remembered.cache_info().misses == 600


@pytest.mark.parametrize(
    ("topic", "correlation", "refused"),
    [
        ("zk/replies/" + "a" * 501, b"c" * 1024, []),
        ("zk/replies/" + "a" * 502, b"c" * 1024, ["response_topic"]),
        ("zk/replies/" + "ñ" * 251, None, ["response_topic"]),
        ("other/" + "a" * 60_000, None, ["response_topic"]),
        ("zk/replies/a", b"c" * 1025, ["correlation_data"]),
        ("zk/replies/" + "a" * 502, b"c" * 1025, ["response_topic", "correlation_data"]),
        (None, b"", []),
    ],
)
def test_what_is_kept_of_an_address_is_bounded_in_bytes_and_longer_ones_are_refused(
    desk: Desk, topic: str | None, correlation: bytes | None, refused: list[str]
) -> None:
    desk.intake.receive(
        [Message("zk/p/users/create", b"[]", response_topic=topic, correlation_data=correlation)],
    )
    answer = desk.ledger.replies.unsent(10)[-1]
    body = json.loads(answer.body)

    assert [fault["field"] for fault in body.get("errors", [])] == refused
    assert body["code"] == ("invalid_field" if refused else "body_required")
    kept = topic is not None and "response_topic" not in refused
    assert answer.topic == (topic if kept else "zk/p/users/create/reply")
    assert answer.correlation == (None if "correlation_data" in refused else correlation)
