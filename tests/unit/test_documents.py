"""Documents in parts: which parts are kept, when a document is whole, and what is refused, without a daemon."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.project.tree import ROOT
from zkbridge.commands.api.command import Command
from zkbridge.commands.desired.document import part_number, read_part
from zkbridge.commands.desired.refusals import Refused
from zkbridge.config.models import Config
from zkbridge.contract.errors import (
    BodyRequired,
    BridgeError,
    DeviceNotFound,
    Forbidden,
    InvalidField,
    MissingFields,
    PayloadTooLarge,
)
from zkbridge.contract.messages import Message
from zkbridge.intake import documents
from zkbridge.intake.documents import DocumentReader
from zkbridge.ledger.documents import Documents
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft
from zkbridge.ledger.unread import ReadStep, UnreadDocuments
from zkbridge.machine.clock import SYSTEM

PART, DESIRED = "users/desired/part/{}", "users/desired"
ANA, EVA, ZOE = ([{"user_id": str(n), "name": name}] for n, name in enumerate(("Ana", "Eva", "Zoe"), start=1))


def part(rows: Any) -> bytes:
    return json.dumps({"users": rows}).encode()


def manifest(*parts: bytes, version: int = 1, **more: Any) -> bytes:
    digests = [hashlib.sha256(each).hexdigest() for each in parts]
    return json.dumps({"version": version, "parts": digests, **more}).encode()


class Reader:
    """A reader of documents for `p` and `q`, which are the group `g`, and its ledger."""

    def __init__(self, ledger: Ledger, **more: Any) -> None:
        device = {"host": "127.0.0.1", "encoding": "latin-1", "timezone": "UTC"}
        values = {"devices": {"p": device, "q": device}, "groups": {"g": ["p", "q"]}, "desired": {"enabled": True}}
        self.ledger = ledger
        self.reader = DocumentReader(Config.model_validate(values | more), ledger, SYSTEM)

    def hear(self, to: str, command: str, payload: bytes) -> list[Draft]:
        """The drafts that follow from one message. Raises the refusal."""
        unread = UnreadDocuments(self.ledger.database)
        unread.add([Message(f"zk/{to}/{command}", payload, qos=1, retain=True)])
        drafts = []
        while (oldest := unread.oldest()) is not None:
            left = [each for each in self.reader.for_each_member(oldest.message) if _device(each) not in oldest.done]
            device = _device(left[0]) if left else ""
            completes = command != DESIRED and bool(left) and left[0].topic.endswith(f"/{DESIRED}")
            unread.note(ReadStep(oldest, device, is_last=len(left) < 2, completes=completes))
            if left:
                asked = left[0].topic.split("/", 2)[2]
                address = Draft(b"", "", "", device=device, command=DESIRED)
                drafts.append(self.reader.draft(left[0], device, asked, address))
        return drafts

    def rows(self, draft: Draft) -> Sequence[Any] | None:
        """The rows that the worker will find for a draft."""
        asked = json.loads(draft.params)
        return Documents(self.ledger.facts).rows(asked["source"], asked["parts"])


def _device(message: Message) -> str:
    return message.topic.split("/")[1]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    ledger = Ledger(tmp_path)
    yield Reader(ledger)
    ledger.close()


def test_a_number_with_a_fraction_in_an_ignored_field_of_a_part_is_kept_as_text(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reader = Reader(ledger, strict=False)
    one = part([{**ANA[0], "height": 1.75}])

    assert reader.hear("p", PART.format(1), one) == []
    (draft,) = reader.hear("p", DESIRED, manifest(one))

    assert reader.rows(draft) == [{**ANA[0], "height": "1.75"}]
    ledger.close()


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_a_document_is_taken_on_with_the_last_that_comes_of_manifest_and_parts(
    reader: Reader, order: tuple[int, ...]
) -> None:
    one, two = part(ANA), part(EVA)
    messages = [(DESIRED, manifest(one, two)), (PART.format(1), one), (PART.format(2), two)]

    found: list[list[Draft]] = []
    waiting: list[Refused] = []
    for place in order:
        try:
            found.append(reader.hear("p", *messages[place]))
        except Refused as refusal:
            found.append([])
            waiting.append(refusal)

    told = [(each.why, each.status, each.details("en")) for each in waiting]
    assert told == [("document_incomplete", 409, {"state": "waiting"})] * (order.index(0) < 2)
    assert found[:-1] == [[], []]
    [draft] = found[-1]
    assert (draft.device, draft.request_id, draft.catch_up) == ("p", "1", True)
    assert reader.rows(draft) == [*ANA, *EVA]


def test_a_document_in_parts_replaces_a_higher_version_that_it_names(reader: Reader) -> None:
    reader.hear("p", DESIRED, json.dumps({"version": 4_294_967_295, "users": ZOE}).encode())
    with pytest.raises(Refused, match="document_incomplete"):
        reader.hear("p", DESIRED, manifest(part(ANA), version=9, replaces=4_294_967_295))

    [draft] = reader.hear("p", PART.format(1), part(ANA))

    assert draft.request_id == "9"
    assert "replaces" not in json.loads(draft.params)


@pytest.mark.parametrize("replaces", [0, -1, 4_294_967_296, "x", 1.5])
def test_what_a_document_replaces_is_a_version(reader: Reader, replaces: Any) -> None:
    with pytest.raises(InvalidField) as refused:
        reader.hear("p", DESIRED, json.dumps({"version": 1, "users": ANA, "replaces": replaces}).encode())

    assert [fault.name for fault in refused.value.faults] == ["replaces"]


def test_missing_parts_are_named(reader: Reader) -> None:
    parts = [part([{"user_id": str(n), "name": "A"}]) for n in range(1, 26)]
    reader.hear("p", PART.format(2), parts[1])

    with pytest.raises(Refused) as refused:
        reader.hear("p", DESIRED, manifest(*parts))

    named = ", ".join(str(n) for n in range(1, 22) if n != 2)
    assert refused.value.sentence("en") == f"Parts of the document are missing: {named}, …."


def test_old_parts_beside_a_new_manifest_change_nothing(reader: Reader) -> None:
    old, new = part(ANA), part(EVA)
    reader.hear("p", PART.format(1), old)
    assert len(reader.hear("p", DESIRED, manifest(old))) == 1

    with pytest.raises(Refused, match="document_incomplete"):
        reader.hear("p", DESIRED, manifest(new, version=2))
    assert reader.hear("p", PART.format(1), old) == []
    [draft] = reader.hear("p", PART.format(1), new)

    assert draft.request_id == "2"
    assert reader.rows(draft) == EVA


def test_an_old_manifest_whose_parts_come_again_stays_outdated(reader: Reader) -> None:
    old, new = part(ANA), part(EVA)
    with pytest.raises(Refused, match="document_incomplete"):
        reader.hear("p", DESIRED, manifest(old, version=1))
    reader.hear("p", DESIRED, json.dumps({"version": 2, "users": ZOE}).encode())
    reader.hear("p", PART.format(1), new)

    with pytest.raises(Refused, match="document_outdated"):
        reader.hear("p", PART.format(1), old)
    assert reader.hear("p", PART.format(1), old) == []


def test_parts_that_were_replaced_before_the_terminals_turn_are_not_read(reader: Reader) -> None:
    reader.hear("p", PART.format(1), part(ANA))
    [draft] = reader.hear("p", DESIRED, manifest(part(ANA)))

    reader.hear("p", PART.format(1), part(EVA))

    assert reader.rows(draft) is None


def test_a_part_that_is_cleared_is_missing(reader: Reader) -> None:
    reader.hear("p", PART.format(1), part(ANA))
    assert reader.hear("p", PART.format(1), b"") == []

    with pytest.raises(Refused, match="document_incomplete"):
        reader.hear("p", DESIRED, manifest(part(ANA)))


def test_parts_of_a_group_serve_each_member_and_a_members_own_come_first(reader: Reader) -> None:
    reader.hear("g", PART.format(1), part(ANA))
    drafts = reader.hear("g", DESIRED, manifest(part(ANA)))
    assert [(each.device, json.loads(each.params)["source"]) for each in drafts] == [("p", "g"), ("q", "g")]

    reader.hear("p", PART.format(1), part(EVA))
    [draft] = reader.hear("p", DESIRED, manifest(part(EVA), version=2))
    assert json.loads(draft.params)["source"] == "p"

    with pytest.raises(Refused, match="document_incomplete"):
        reader.hear("q", DESIRED, manifest(part(ZOE), version=2))
    [draft] = reader.hear("g", PART.format(1), part(ZOE))
    assert (draft.device, draft.request_id) == ("q", "2")


def test_a_manifest_that_waits_and_its_parts_survive_a_restart(tmp_path: Path) -> None:
    one, two = part(ANA), part(EVA)
    ledger = Ledger(tmp_path)
    Reader(ledger).hear("p", PART.format(1), one)
    with pytest.raises(Refused, match="document_incomplete"):
        Reader(ledger).hear("p", DESIRED, manifest(one, two))
    ledger.close()

    ledger = Ledger(tmp_path)
    [draft] = Reader(ledger).hear("p", PART.format(2), two)
    assert draft.request_id == "1"
    ledger.close()


def test_a_document_that_followed_from_a_part_follows_again_until_it_is_kept(reader: Reader) -> None:
    with pytest.raises(Refused, match="document_incomplete"):
        reader.hear("p", DESIRED, manifest(part(ANA)))
    message = Message(f"zk/p/{PART.format(1)}", part(ANA), qos=1, retain=True)

    first = list(reader.reader.for_each_member(message))
    again = list(Reader(reader.ledger).reader.for_each_member(message))  # a crash came before the commit

    assert [each.topic for each in first] == [each.topic for each in again] == ["zk/p/users/desired"]


@pytest.mark.parametrize(
    ("payload", "error", "where"),
    [
        (b"[]", BodyRequired, []),
        (b"{}", MissingFields, []),
        (part([]), Refused, []),
        (part("x"), InvalidField, ["part[3].users"]),
        (part([{"user_id": "1", "name": "Ana", "card": -1}]), InvalidField, ["part[3].users[0].card"]),
        (part([{"user_id": "a b", "name": ""}]), InvalidField, ["part[3].users[0].name"]),
        (json.dumps({"users": ANA, "version": 1}).encode(), InvalidField, ["part[3].version"]),
        (part([*ANA, *ANA]), Refused, []),
        (part([{**ANA[0], "password": "4711"}]), Refused, []),
        (b" " * 65_537, PayloadTooLarge, []),
    ],
)
def test_a_part_that_breaks_a_rule_is_not_kept_and_the_rule_is_named(
    reader: Reader, payload: bytes, error: type[BridgeError], where: list[str]
) -> None:
    with pytest.raises(error) as refused:
        reader.hear("p", PART.format(3), payload)

    assert sorted(fault.name for fault in getattr(refused.value, "faults", ())) == where
    assert Documents(reader.ledger.facts).parts("p") == {}


def test_a_part_that_is_refused_is_read_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def noted(payload: bytes, *how: Any, **more: Any) -> Any:
        read.append(payload)
        return read_part(payload, *how, **more)

    monkeypatch.setattr(documents, "read_part", noted)
    bad, worse = part([{"user_id": "1", "name": ""}]), part([{"user_id": "2", "name": ""}])
    for payload in (bad, worse):
        with pytest.raises(InvalidField, match=r"part\[1\]"):
            reader.hear("p", PART.format(1), payload)

    assert read == [bad, worse]
    assert reader.reader._refused is None


def test_a_part_has_no_password_whatever_the_configuration_says(reader: Reader) -> None:
    reader = Reader(reader.ledger, desired={"enabled": True, "secrets": True})

    with pytest.raises(Refused, match="document_secret"):
        reader.hear("p", PART.format(1), part([{**ANA[0], "password": "4711"}]))


def test_a_part_is_refused_where_the_policy_forbids_a_row(reader: Reader) -> None:
    reader = Reader(reader.ledger, policy={"administrators": False})

    with pytest.raises(Forbidden):
        reader.hear("p", PART.format(1), part([{**ANA[0], "privilege": 14}]))


@pytest.mark.parametrize("number", ["0", "01", "501", "1000", "-1", "x", "", "1/2", "\u0661"])
def test_a_part_of_no_number_is_refused(reader: Reader, number: str) -> None:
    assert part_number(f"users/desired/part/{number}") is None
    with pytest.raises(Refused, match="part_unknown"):
        reader.hear("p", f"users/desired/part/{number}", part(ANA))


def test_a_part_for_no_device_is_refused(reader: Reader) -> None:
    with pytest.raises(DeviceNotFound):
        reader.hear("nowhere", PART.format(1), part(ANA))


@pytest.mark.parametrize("parts", [[], ["x"], "x", ["A" * 64], [None], ["0" * 64] * 501])
def test_a_manifest_names_digests_in_hexadecimal(reader: Reader, parts: Any) -> None:
    with pytest.raises(InvalidField) as refused:
        reader.hear("p", DESIRED, json.dumps({"version": 1, "parts": parts}).encode())

    assert [fault.name for fault in refused.value.faults] == ["parts"]
    assert all(refused.value.sentence(language) for language in ("es", "en"))


def test_a_document_has_users_or_parts_and_not_both(reader: Reader) -> None:
    with pytest.raises(InvalidField) as refused:
        reader.hear("p", DESIRED, manifest(part(ANA), users=ANA))

    assert [fault.name for fault in refused.value.faults] == ["users"]


def test_no_more_bytes_and_rows_are_kept_than_the_limits_allow(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = part(ANA), part(EVA)
    monkeypatch.setattr(documents, "MAX_BYTES", len(one) + len(two) - 1)
    reader.hear("p", PART.format(1), one)
    with pytest.raises(Refused, match="document_too_large"):
        reader.hear("p", PART.format(2), two)

    monkeypatch.setattr(documents, "MAX_BYTES", len(one) + len(two))
    reader.hear("p", PART.format(2), two)
    monkeypatch.setattr(documents, "MAX_USERS", 1)
    with pytest.raises(Refused, match="document_too_large"):
        reader.hear("p", DESIRED, manifest(one, two))


def test_the_example_of_a_manifest_fits_the_examples_of_its_parts(reader: Reader) -> None:
    page = (ROOT / "docs/contract.md").read_text()
    mark = "test_documents.py::test_the_example_of_a_manifest_fits_the_examples_of_its_parts -->\n```json\n"
    one, two, whole = page.split(mark)[1].split("\n```")[0].encode().splitlines()

    reader.hear("p", PART.format(1), one)
    reader.hear("p", PART.format(2), two)
    [draft] = reader.hear("p", DESIRED, whole)

    assert [row["user_id"] for row in reader.rows(draft) or ()] == ["123", "124"]


def test_a_part_for_many_devices_is_read_once_and_checked_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"host": "127.0.0.2", "encoding": "cp1251", "timezone": "UTC"}
    same = {"host": "127.0.0.1", "encoding": "latin-1", "timezone": "UTC"}
    ledger = Ledger(tmp_path)
    reader = Reader(ledger, devices={"p": same, "q": same, "r": other}, groups={"g": ["p", "q", "r"]})
    read: list[Any] = []
    parse = Command.parse

    def counted(command: Command, body: Any, *, strict: bool) -> Any:
        read.append(body)
        return parse(command, body, strict=strict)

    monkeypatch.setattr(Command, "parse", counted)
    reader.hear("g", PART.format(1), part(ANA + EVA))
    rows = [body for body in read if "user_id" in body]
    with pytest.raises(InvalidField) as refused:
        reader.hear("g", PART.format(2), part([{"user_id": "7", "name": "Zo\u00eb"}]))

    assert len(rows) == 2
    assert [fault.name for fault in refused.value.faults] == ["part[2].users[0].name"]
    ledger.close()
