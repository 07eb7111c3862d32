"""Storage that loses what was not synced: what each model leaves, on journals written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from torture.disk import FOLDER, MODELS, SECTOR, Disk, Image, Model, Stored, with_mapped
from torture.journal import Kind, Operation

CREATED = 1
DRAWS = 300


def opened(name: str, *, created: bool = False, descriptor: int = 5) -> Operation:
    return Operation(Kind.OPEN, descriptor, CREATED if created else 0, 0o600, name.encode(), "")


def write(offset: int, data: bytes, descriptor: int = 5) -> Operation:
    return Operation(Kind.WRITE, descriptor, offset, 0, data, "")


def size(count: int) -> Operation:
    return Operation(Kind.SIZE, 5, count, 0, b"", "")


def rename(name: str, other: str) -> Operation:
    return Operation(Kind.RENAME, -1, 0, 0, name.encode(), other)


def unlink(name: str) -> Operation:
    return Operation(Kind.UNLINK, -1, 0, 0, name.encode(), "")


SYNC = Operation(Kind.SYNC, 5, 0, 0, b"", "")
SYNC_FOLDER = (opened(FOLDER, descriptor=6), Operation(Kind.SYNC, 6, 0, 0, b"", ""))
OLD: Image = {"a": Stored(b"o" * 4 * SECTOR, 0o600)}


def left(operations: Sequence[Operation], model: Model, image: Image = OLD) -> list[dict[str, bytes]]:
    """What many cuts leave."""
    disk = Disk(image, model=model)
    disk.do(operations)
    images = [disk.cut(Random(number)) for number in range(DRAWS)]
    return [{name: stored.content for name, stored in each.items()} for each in images]


def names(operations: Sequence[Operation], model: Model) -> set[str]:
    return {" ".join(sorted(each)) for each in left(operations, model)}


@pytest.mark.parametrize("model", MODELS)
def test_what_was_synced_is_there_after_every_cut(model: Model) -> None:
    written = [opened("a"), write(SECTOR, b"n" * SECTOR), size(3 * SECTOR), SYNC]

    assert {each["a"] for each in left(written, model)} == {b"o" * SECTOR + b"n" * SECTOR + b"o" * SECTOR}


@pytest.mark.parametrize("model", MODELS)
def test_of_a_write_that_was_not_synced_each_sector_may_be_there_or_not(model: Model) -> None:
    written = [opened("a"), write(0, b"n" * 3 * SECTOR)]

    found = {each["a"][: 3 * SECTOR] for each in left(written, model)}

    assert found == {
        b"".join(bytes([letter]) * SECTOR for letter in letters)
        for letters in ((x, y, z) for x in b"on" for y in b"on" for z in b"on")
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_later_write_may_be_there_without_an_earlier_one_but_no_sector_is_torn(model: Model) -> None:
    written = [opened("a"), write(0, b"1" * SECTOR), write(SECTOR, b"2" * 9), write(SECTOR + 9, b"3" * 9)]

    found = {each["a"] for each in left(written, model)}

    assert any(content[:SECTOR] == b"o" * SECTOR and b"3" in content for content in found)
    assert {content[SECTOR : SECTOR + 18] for content in found} == {
        b"o" * 18,
        b"2" * 9 + b"o" * 9,
        b"2" * 9 + b"3" * 9,
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_size_may_be_there_without_the_data_and_the_data_never_without_it(model: Model) -> None:
    written = [opened("a"), write(4 * SECTOR, b"n" * SECTOR)]

    found = {each["a"][4 * SECTOR :] for each in left(written, model)}

    assert found == {b"", b"\0" * SECTOR, b"n" * SECTOR}


def test_in_the_ordered_model_a_sync_of_a_new_file_keeps_its_name_and_every_change_before() -> None:
    written = [unlink("a"), opened("b", created=True), SYNC, rename("b", "c")]

    assert names(written, "ordered") == {"b", "c"}
    assert names(written, "strict") == {"", "a", "a b", "a c", "b", "c"}


def test_in_the_ordered_model_the_first_changes_of_names_survive() -> None:
    assert names([opened("b", created=True), unlink("a")], "ordered") == {"a", "a b", "b"}


@pytest.mark.parametrize("model", MODELS)
def test_a_sync_of_the_folder_keeps_all_names(model: Model) -> None:
    assert names([unlink("a"), opened("b", created=True), *SYNC_FOLDER], model) == {"b"}


@pytest.mark.parametrize("model", MODELS)
def test_a_rename_is_lost_whole_or_there_whole(model: Model) -> None:
    assert names([rename("a", "b")], model) == {"a", "b"}


def test_syncs_of_an_ignored_file_do_nothing() -> None:
    disk = Disk(OLD, model="strict", ignored=["a"])
    disk.do([opened("a"), write(0, b"n"), SYNC])

    assert {disk.cut(Random(number))["a"].content[:1] for number in range(DRAWS)} == {b"o", b"n"}


def test_a_folder_in_the_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="a folder in the folder: sub"):
        Disk({}, model="strict").do([Operation(Kind.MKDIR, -1, 0, 0, b"sub", "")])


def test_of_a_mapped_file_some_sectors_are_there() -> None:
    image: Image = {"a-shm": Stored(bytes(4 * SECTOR), 0o600)}

    found = {
        with_mapped(image, {"a-shm": b"m" * 4 * SECTOR}, Random(number))["a-shm"].content for number in range(DRAWS)
    }

    assert {bytes(4 * SECTOR), b"m" * 4 * SECTOR} < found
