"""Documents that are kept as they came and read in turn: order, groups, PINs, limits, and a kill after each commit."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.full_disk import full
from tests.support.ports import StubPorts
from zkbridge.bridge import reception
from zkbridge.bridge.reception import Reception
from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.contract.messages import Message, succeeded
from zkbridge.contract.topics import Topics
from zkbridge.intake import intake as intake_module
from zkbridge.intake.documents import DocumentReader
from zkbridge.intake.intake import Intake
from zkbridge.intake.keeper import Keeper
from zkbridge.intake.set_aside import SetAside
from zkbridge.ledger.database import Database
from zkbridge.ledger.documents import Documents
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Finish
from zkbridge.ledger.unread import UnreadDocuments

DESIRED, PART = "users/desired", "users/desired/part/{}"
ANA, EVA, ZOE = ([{"user_id": str(n), "name": name}] for n, name in enumerate(("Ana", "Eva", "Zoe"), start=1))


def config(**desired: Any) -> Config:
    devices = {name: {"host": "192.0.2.1"} for name in ("p", "q")}
    return Config.model_validate(
        {"devices": devices, "groups": {"g": ["p", "q"]}, "desired": {"enabled": True, **desired}}
    )


class Jobs:
    """Stands for the upkeep: notes the job, and runs it until it does not want to run again."""

    def __init__(self) -> None:
        self.job: Callable[[], float | None] | None = None

    def later(self, _key: object, _seconds: float, job: Callable[[], float | None]) -> None:
        self.job = job

    def run(self) -> None:
        while self.job is not None and self.job() is not None:
            pass
        self.job = None


class Desk:
    """A reception with a ledger, and no terminal; what it has kept is read from the ledger."""

    def __init__(self, folder: Path, settings: Config | None = None) -> None:
        self.folder = folder
        self.ledger = Ledger(folder)
        self.intake = Intake(
            settings or config(),
            self.ledger,
            commands(),
            subscribed=[],
            ports=StubPorts(),
            keeper=Keeper(SetAside(folder), Topics()),
        )
        self.jobs: Any = Jobs()
        self.reception = Reception(self.intake, self.jobs)
        self.unread = UnreadDocuments(self.ledger.database)

    def hear(self, *messages: Message) -> None:
        """Receive messages and read the documents among them."""
        self.reception.receive(messages)
        self.jobs.run()

    def restart(self) -> None:
        """Read what an earlier run has left."""
        self.reception.start()
        self.jobs.run()

    def outcome(self) -> dict[str, Any]:
        """What has become of every message: requests and the number of their answers, answers at once, what is left."""
        with closing(sqlite3.connect(self.ledger.path)) as db:
            requests = db.execute(
                "SELECT r.device, r.request_id, count(a.id) FROM requests r LEFT JOIN answers a ON a.request = r.id"
                " GROUP BY r.id"
            ).fetchall()
            answers = db.execute("SELECT topic, code FROM answers WHERE request IS NULL").fetchall()
            waiting = db.execute("SELECT subject FROM facts WHERE name = 'document manifest'").fetchall()
        return {
            "requests": sorted(requests),
            "answers": Counter(answers),
            "waiting": waiting,
            "unread": self.unread.size(),
            "last": {device: Documents(self.ledger.facts).last(device).version for device in ("p", "q")},
        }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "state")
    yield desk
    desk.ledger.close()


def part(rows: Any) -> bytes:
    return json.dumps({"users": rows}).encode()


def to(device: str, command: str, payload: bytes, mid: int = 0, *, retain: bool = True) -> Message:
    return Message(f"zk/{device}/{command}", payload, qos=1, retain=retain, mid=mid, connection=1)


def whole(version: int, rows: Any, **more: Any) -> bytes:
    return json.dumps({"version": version, "users": rows, **more}).encode()


def manifest(version: int, *parts: bytes) -> bytes:
    return json.dumps({"version": version, "parts": [hashlib.sha256(each).hexdigest() for each in parts]}).encode()


#: A document for a group whose parts and manifest come in turn, one that is whole, refused ones, and one not retained.
LIFE = [
    to("g", PART.format(1), part(ANA), 1),
    to("g", DESIRED, manifest(1, part(ANA), part(EVA)), 2),
    to("g", PART.format(3), part([{"user_id": "1", "name": ""}]), 3),
    to("g", PART.format(2), part(EVA), 4),
    to("g", DESIRED, whole(2, ZOE), 5),
    to("p", DESIRED, whole(3, [{**ANA[0], "password": "4711"}]), 6),
    to("g", DESIRED, whole(4, EVA), 7, retain=False),
    to("q", DESIRED, b"[]", 8, retain=False),
]


@contextmanager
def images(monkeypatch: pytest.MonkeyPatch, taken: list[tuple[bytes, int]], acknowledged: list[int]) -> Iterator[None]:
    """Note what the ledger holds after each commit, and how many messages the broker would not bring again then."""
    commit = Database._commit

    def noted(database: Database, changed: bool) -> None:
        commit(database, changed)
        image = database._db.serialize()
        if not taken or taken[-1] != (image, acknowledged[0]):
            taken.append((image, acknowledged[0]))

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_commit", noted)
        yield


@pytest.mark.parametrize(
    ("batches", "first"),
    [
        ([LIFE], "what comes again"),
        ([[each] for each in LIFE], "what was left"),
        ([LIFE[:3], LIFE[3:]], "what comes again"),
    ],
    ids=["one", "each", "two"],
)
def test_a_kill_after_any_commit_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: list[list[Message]], first: str
) -> None:
    desk, taken, acknowledged = Desk(tmp_path / "whole"), list[tuple[bytes, int]](), [0]
    with images(monkeypatch, taken, acknowledged):
        for batch in batches:
            desk.reception.receive(batch)
            acknowledged[0] += len(batch)
            taken.append((taken[-1][0], acknowledged[0]))
            desk.jobs.run()
    wanted = desk.outcome()
    desk.ledger.close()

    assert wanted["requests"] == sorted((device, str(version), 1) for device in "pq" for version in (1, 2, 4))
    assert wanted["answers"].total() == 5  # the manifest that waits, for each member; three that are refused
    assert (wanted["waiting"], wanted["unread"], wanted["last"]) == ([], 0, {"p": 4, "q": 4})
    assert len(taken) > len(LIFE)
    for number, (image, known) in enumerate(taken):
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o700)
        (folder / "ledger.db").write_bytes(image)
        (folder / "ledger.key").write_bytes((tmp_path / "whole/ledger.key").read_bytes())
        again = [message._replace(dup=True, connection=2) for message in LIFE[known:]]
        desk = Desk(folder)
        if first == "what was left":
            desk.restart()
        desk.hear(*again)
        desk.restart()
        assert desk.outcome() == wanted, f"killed after commit {number}, {known} messages acknowledged"
        desk.ledger.close()


def test_a_document_for_a_group_is_read_for_one_member_a_turn(desk: Desk) -> None:
    desk.reception.receive([to("g", DESIRED, whole(1, ANA))])

    assert desk.reception.read_document()
    one = [request.device for request in desk.ledger.unfinished()]
    assert desk.reception.read_document()

    assert one == ["p"]
    assert [request.device for request in desk.ledger.unfinished()] == ["p", "q"]
    assert not desk.reception.read_document()


def test_the_last_of_a_parts_contents_counts_however_they_come(desk: Desk) -> None:
    one, other = to("p", PART.format(1), part(ANA)), to("p", PART.format(1), part(EVA))
    desk.hear(one)

    desk.hear(one, other, one)

    kept = Documents(desk.ledger.facts).parts("p")[1].sha256
    assert kept == hashlib.sha256(one.payload).hexdigest()


def test_a_part_that_is_kept_already_counts_again_behind_another_that_is_unread(desk: Desk) -> None:
    one, other = to("p", PART.format(1), part(ANA)), to("p", PART.format(1), part(EVA))
    desk.hear(one)

    desk.reception.receive([other])
    desk.reception.receive([one])
    desk.jobs.run()

    assert Documents(desk.ledger.facts).parts("p")[1].sha256 == hashlib.sha256(one.payload).hexdigest()


def test_a_part_that_is_kept_already_is_not_kept_again_to_be_read(desk: Desk) -> None:
    parts = [to("p", PART.format(number), part(ANA)) for number in (1, 2)]
    desk.hear(*parts)

    desk.reception.receive(parts)

    assert desk.unread.is_empty()
    assert desk.jobs.job is None


def test_versions_that_were_answered_are_free_after_a_higher_one_was_replaced(desk: Desk) -> None:
    for version, rows in ((1, ANA), (2, EVA), (4_294_967_295, ZOE)):
        desk.hear(to("p", DESIRED, whole(version, rows)))
        answer = succeeded({}, code="planned", request_id=str(version))
        desk.ledger.finish([Finish(request, answer) for request in desk.ledger.unfinished()])
    refused = whole(1, ZOE)

    desk.hear(to("p", DESIRED, refused))
    codes = [answer.code for answer in desk.ledger.replies.unsent(10) if answer.code != "planned"]
    for version, rows in ((1, EVA), (2, EVA)):
        desk.hear(to("p", DESIRED, whole(version, rows, replaces=4_294_967_295)))

    assert codes == ["document_outdated"]
    assert [request.request_id for request in desk.ledger.unfinished()] == ["1", "2"]


def test_a_part_for_which_a_manifest_waits_is_read(desk: Desk) -> None:
    desk.hear(to("p", PART.format(1), part(ANA)))
    desk.hear(to("p", DESIRED, manifest(1, part(ANA), part(EVA))))
    again = to("p", PART.format(1), part(ANA))

    desk.reception.receive([again])

    assert desk.unread.oldest() is not None


def test_no_pin_of_a_document_stays_in_the_ledger(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    rows = [{"user_id": str(number), "name": "Ana", "password": "47114712"} for number in range(1, 300)]

    desk.reception.receive([to("p", DESIRED, whole(1, rows)), to("q", DESIRED, whole(1, rows))])
    unread = _holds(tmp_path, b"47114712")
    desk.jobs.run()
    desk.ledger.scrub()

    assert unread
    assert not _holds(tmp_path, b"47114712")
    desk.ledger.close()


def _holds(folder: Path, what: bytes) -> bool:
    return any(what in file.read_bytes() for file in folder.glob("ledger.db*"))


def test_what_waits_to_be_read_is_bounded_and_the_oldest_are_read_at_once_then(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [to("p", PART.format(number), part(ANA)) for number in range(1, 6)]
    monkeypatch.setattr(intake_module, "MAX_BYTES", 2 * len(messages[0].payload))

    desk.reception.receive(messages)

    assert desk.unread.size() == 2 * len(messages[0].payload)
    assert sorted(Documents(desk.ledger.facts).parts("p")) == [1, 2, 3]


def test_unread_documents_take_a_quarter_of_the_ledgers_bytes_at_most(tmp_path: Path) -> None:
    settings = config().model_dump() | {"ledger": {"max_bytes": 1_048_576}}
    desk = Desk(tmp_path, Config.model_validate(settings))
    large = part([{"user_id": "1", "name": "Ana", "nothing": None}]) + b" " * 60_000

    desk.reception.receive([to("p", PART.format(number), large) for number in range(1, 9)])

    assert desk.unread.size() == 4 * len(large)
    desk.ledger.close()


def test_what_was_read_by_another_configuration_is_read_again(desk: Desk) -> None:
    desk.reception.receive([to("p", DESIRED, whole(1, [{**ANA[0], "password": "4711"}]))])
    read = desk.intake.read_document()
    assert read is not None

    desk.intake.reload(config(secrets=True), subscribed=[])

    assert desk.intake.take_document(*read)
    assert not desk.unread.is_empty()
    desk.jobs.run()
    assert [request.request_id for request in desk.ledger.unfinished()] == ["1"]


def test_a_document_stays_unread_while_the_bridge_stops(desk: Desk) -> None:
    desk.reception.receive([to("p", DESIRED, whole(1, ANA))])

    desk.intake.stop()
    desk.jobs.run()

    assert not desk.unread.is_empty()
    assert desk.ledger.replies.unsent(10) == []


def test_a_document_is_read_again_a_while_after_the_ledger_could_not_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.reception.receive([to("p", DESIRED, whole(1, ANA))])
    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "draft", full)
        pause_s = desk.jobs.job()
    desk.jobs.run()

    assert pause_s == reception.AGAIN_S
    assert [request.request_id for request in desk.ledger.unfinished()] == ["1"]


def test_a_response_topic_that_is_no_text_costs_no_other_message(desk: Desk) -> None:
    odd = to("p", DESIRED, whole(1, ANA))._replace(response_topic="zk/\udcff", correlation_data=b"\xff\0")

    desk.hear(odd, to("q", DESIRED, whole(1, ANA)))

    assert [request.device for request in desk.ledger.unfinished()] == ["p", "q"]


def test_a_neighbours_request_is_kept_while_a_document_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[int] = []
    draft = DocumentReader.draft

    def watched(reader: DocumentReader, *what: Any) -> Any:
        ping = Message("zk/q/ping", b'{"request_id": "1"}')
        neighbour = threading.Thread(target=desk.reception.receive, args=([ping],))
        neighbour.start()
        neighbour.join(30)
        received.extend(request.id for request in desk.ledger.unfinished())
        return draft(reader, *what)

    monkeypatch.setattr(DocumentReader, "draft", watched)
    desk.hear(to("p", DESIRED, whole(1, ANA)))

    assert len(received) == 1
    assert [request.command for request in desk.ledger.unfinished()] == ["ping", DESIRED]
