"""Documents of desired users in files: when one counts as changed, what is refused, and which version it gets."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zkbridge.bridge.vetting import remarks
from zkbridge.commands.desired.refusals import Refused
from zkbridge.config.models import Config
from zkbridge.contract.errors import BridgeError, InvalidField
from zkbridge.contract.messages import Message
from zkbridge.intake import document_files
from zkbridge.intake.document_files import FileWatch, file_of, read_file
from zkbridge.intake.documents import DocumentReader
from zkbridge.ledger.documents import Documents
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft
from zkbridge.machine.clock import SYSTEM

ANA, EVA = {"user_id": "1", "name": "Ana"}, {"user_id": "2", "name": "Eva"}


def test_a_file_counts_once_when_two_looks_show_the_same_and_again_when_it_is_replaced(tmp_path: Path) -> None:
    watch, path = FileWatch(), tmp_path / "p.json"
    assert watch.changed(tmp_path, ["p"]) == []
    path.write_text("{")
    assert watch.changed(tmp_path, ["p"]) == []
    path.write_text('{"users": []}')  # it grew meanwhile
    assert watch.changed(tmp_path, ["p"]) == []
    assert watch.changed(tmp_path, ["p"]) == [("p", path)]
    assert watch.changed(tmp_path, ["p"]) == []

    other = tmp_path / "p.json.new"
    other.write_text('{"users": [1]}')
    other.replace(path)
    assert watch.changed(tmp_path, ["p"]) == []
    assert watch.changed(tmp_path, ["p"]) == [("p", path)]
    path.unlink()
    assert watch.changed(tmp_path, ["p"]) == []


def test_a_json_file_comes_before_a_table_and_other_names_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("")
    assert file_of(tmp_path, "p") == tmp_path / "p.csv"
    (tmp_path / "p.json").write_text("")
    (tmp_path / "q.json.part").write_text("")

    assert file_of(tmp_path, "p") == tmp_path / "p.json"
    assert file_of(tmp_path, "q") is None
    assert file_of(None, "p") is None


@pytest.mark.parametrize("comma", [",", ";"])
def test_a_table_has_a_user_a_line_and_an_empty_cell_is_not_named(tmp_path: Path, comma: str) -> None:
    path = tmp_path / "p.csv"
    lines = ["user_id,name,card,blocked", "0010,Ana,77,FALSE", "2,Eva,,true", "", "3,Zoe,,maybe"]
    path.write_text("\ufeff" + "".join(f"{line}\r\n" for line in lines).replace(",", comma))

    assert read_file(path) == {
        "users": [
            {"user_id": "0010", "name": "Ana", "card": "77", "blocked": False},
            {"user_id": "2", "name": "Eva", "blocked": True},
            {"user_id": "3", "name": "Zoe", "blocked": "maybe"},
        ]
    }


@pytest.mark.parametrize(
    ("name", "content", "why", "sentence"),
    [
        ("p.csv", b"user_id,name\n1,An", "file_cut_off", "The file does not end with a line end: it may be cut off."),
        ("p.csv", b"user_id,name\n1\n", "file_row", "Line 2 has 1 cells, the first one 2."),
        ("p.csv", b"user_id,name\n1,Ana,7\n", "file_row", "Line 2 has 3 cells, the first one 2."),
        ("p.csv", b"user_id,name\n1,\xe9\n", "file_no_table", "The file is not a CSV table in UTF-8."),
        ("p.csv", b'user_id,name\n1,"Ana\n', "file_no_table", "The file is not a CSV table in UTF-8."),
        ("p.csv", b'user_id,name\n1,"Ana\nRuiz"\n2\n', "file_row", "Line 4 has 1 cells, the first one 2."),
        ("p.csv", b"user_id,name,name\n1,Ana,Eva\n", "body_required", "JSON body required."),
        ("p.json", b'{"users": [{"user_id": "1", "na', "body_required", "JSON body required."),
        ("p.json", b"[]", "body_required", "JSON body required."),
    ],
)
def test_what_is_cut_off_or_no_document_is_refused(
    tmp_path: Path, name: str, content: bytes, why: str, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BridgeError) as refused:
        read_file(tmp_path / name)

    assert (refused.value.code, refused.value.sentence("en")) == (why, sentence)
    assert refused.value.sentence("es") != sentence


def test_a_line_break_and_other_separators_stay_in_their_cell(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes('user_id,name,,\r\n1,"Ana\r\nRuiz",,\r\n2,Eva\u2028\x85Paz,,\r\n'.encode())

    assert read_file(tmp_path / "p.csv") == {
        "users": [{"user_id": "1", "name": "Ana\r\nRuiz"}, {"user_id": "2", "name": "Eva\u2028\x85Paz"}]
    }


def test_a_directory_that_cannot_be_looked_at_has_no_documents_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_path: Path) -> bool:
        raise OSError(errno.ESTALE, "Stale file handle")

    watch, path = FileWatch(), tmp_path / "p.json"
    path.write_text("{}")
    assert [watch.changed(tmp_path, ["p"]) for _ in range(2)] == [[], [("p", path)]]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_file", away)
        assert watch.changed(tmp_path, ["p"]) == []

    assert [watch.changed(tmp_path, ["p"]) for _ in range(3)] == [[], [], []]


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_files, "MAX_BYTES", 10)
    (tmp_path / "p.json").write_text('{"users": []}')

    with pytest.raises(Refused, match="document_too_large"):
        read_file(tmp_path / "p.json")


def test_a_file_that_has_gone_or_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.json"
    assert read_file(path) is None
    path.write_text("{}")
    monkeypatch.setattr(Path, "read_bytes", lambda each: os.utime(each, ns=(1, 1)))

    assert read_file(path) is None


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "state")
    yield ledger
    ledger.close()


class Place:
    """A reader for the device `p` of the group `g`, with a directory of documents."""

    def __init__(self, ledger: Ledger, directory: Path, **desired: Any) -> None:
        self.documents = Documents(ledger.facts)
        device = {"host": "127.0.0.1", "encoding": "latin-1"}
        values = {"devices": {"p": device}, "groups": {"g": ["p"]}}
        settings = {"enabled": True, "directory": str(directory), **desired}
        self.reader = DocumentReader(Config.model_validate({**values, "desired": settings}), ledger, SYSTEM)
        self.path = directory / "p.json"

    def take(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """What follows from the file with this content."""
        self.path.write_text(json.dumps(body))
        draft = self.reader.draft_of_file("p", self.path, Draft(b"", "", "", device="p"))
        if draft is None:
            return None
        asked: dict[str, Any] = json.loads(draft.params)
        assert draft.request_id == str(asked["version"])
        return asked


def test_new_content_has_the_next_version_and_the_same_content_follows_once(ledger: Ledger, tmp_path: Path) -> None:
    place = Place(ledger, tmp_path)

    versions = [
        asked and asked["version"]
        for asked in map(place.take, [{"users": [ANA]}, {"users": [ANA]}, {"users": [EVA]}, {"users": [ANA]}])
    ]

    assert versions == [1, None, 2, 3]


def test_the_first_version_follows_the_highest(ledger: Ledger, tmp_path: Path) -> None:
    place = Place(ledger, tmp_path)
    place.take({"version": 4_294_967_295, "users": [ANA]})

    taken = [place.take({"users": [name]}) for name in (ANA, EVA, EVA, ANA)]

    assert [asked and asked["version"] for asked in taken] == [None, 1, None, 2]


def test_a_version_of_the_files_own_counts_as_that_of_a_message(ledger: Ledger, tmp_path: Path) -> None:
    place = Place(ledger, tmp_path)
    first = place.take({"version": 7, "users": [ANA]})

    assert first is not None
    assert first["version"] == 7
    assert place.take({"version": 7, "users": [ANA]}) is None
    with pytest.raises(Refused, match="document_changed"):
        place.take({"version": 7, "users": [EVA]})
    with pytest.raises(Refused, match="document_outdated"):
        place.take({"version": 6, "users": [ANA]})


def test_the_configuration_has_the_values_that_a_file_lacks(ledger: Ledger, tmp_path: Path) -> None:
    place = Place(ledger, tmp_path, apply=True, delete="block", delete_limit=50, claim="all")

    said, own = place.take({"users": [ANA]}), place.take({"users": [ANA], "apply": False, "delete": "never"})

    assert said is not None
    assert own is not None
    assert [said[name] for name in ("apply", "delete", "delete_limit", "claim")] == [True, "block", 50, "all"]
    assert [own[name] for name in ("apply", "delete", "delete_limit", "claim")] == [False, "never", 50, "all"]


def test_a_pin_may_stand_in_a_file_and_is_kept_no_longer_than_the_request(ledger: Ledger, tmp_path: Path) -> None:
    place = Place(ledger, tmp_path)

    asked = place.take({"users": [{**ANA, "password": "4711"}]})

    assert asked is not None
    assert asked["users"][0]["password"] == "4711"
    assert b"4711" not in (place.documents.content("p") or b"4711")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"users": [{**ANA, "card": -1}]}, InvalidField),
        ({"users": [ANA, ANA]}, Refused),
        ({"users": []}, Refused),
        ({"parts": ["0" * 64]}, InvalidField),
        ({"version": 0, "users": [ANA]}, InvalidField),
        ({}, BridgeError),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_and_uses_no_version(
    ledger: Ledger, tmp_path: Path, body: dict[str, Any], error: type[BridgeError]
) -> None:
    place = Place(ledger, tmp_path)

    with pytest.raises(error):
        place.take(body)

    assert place.documents.last("p").version == 0


@pytest.mark.parametrize("name", ["p.json", "g.csv"])
def test_a_message_for_a_device_whose_document_is_in_a_file_is_refused(
    ledger: Ledger, tmp_path: Path, name: str
) -> None:
    place = Place(ledger, tmp_path)
    (tmp_path / name).write_text("")
    message = Message("zk/p/users/desired", json.dumps({"version": 9, "users": [ANA]}).encode())

    with pytest.raises(Refused) as refused:
        place.reader.draft(message, "p", "users/desired", Draft(b"", "", ""))

    assert refused.value.sentence("en") == f"The document of this device is in a file of the bridge ({name})."


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "p.json").write_text("{}")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(Refused) as refused:
        read_file(tmp_path / "p.json")

    assert refused.value.sentence("en") == "The file p.json cannot be read: Permission denied."
    assert refused.value.code == "file_unreadable"


def test_a_directory_that_is_not_there_or_not_looked_at_is_remarked(tmp_path: Path) -> None:
    def remarked(directory: Path, *, enabled: bool) -> list[str]:
        desired = {"enabled": enabled, "directory": str(directory)}
        config = Config.model_validate({"devices": {"p": {"host": "127.0.0.1"}}, "desired": desired})
        return [each for each in remarks(config) if each.startswith("desired.directory")]

    missing = f"desired.directory: {tmp_path / 'x'} is no directory: documents are read once it is there"
    assert remarked(tmp_path, enabled=True) == []
    assert remarked(tmp_path / "x", enabled=True) == [missing]
    assert remarked(tmp_path, enabled=False) == [
        "desired.directory: no document is read there unless desired.enabled is true"
    ]
