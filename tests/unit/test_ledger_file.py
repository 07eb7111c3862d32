"""The ledger's file written anew: a power cut at any step loses nothing and leaves no second copy."""

from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.test_budget import Site
from zkbridge.ledger import file


class Cut(BaseException):
    """The power is cut here."""


def cut_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the step-th change of a name or sync of the folder not happen, nor what comes after it."""
    left = iter(range(step))

    def changing(name: str) -> None:
        real = getattr(Path, name)

        def change(path: Path, *args: object, **more: object) -> object:
            if next(left, None) is None:
                raise Cut
            return real(path, *args, **more)

        monkeypatch.setattr(Path, name, change)

    changing("replace")
    changing("unlink")


@pytest.mark.parametrize("case", ["aside", "in place", "removed"])
@pytest.mark.parametrize("step", range(4, 9))
def test_a_power_cut_while_the_ledger_is_written_anew_loses_nothing_and_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, case: str
) -> None:
    site = Site(tmp_path)
    site.do(3, sent=False)
    before = site.count()
    if case == "removed":
        for path in tmp_path.glob("ledger.db*"):
            path.unlink()
    with monkeypatch.context() as patch:
        cut_at(step, patch)  # the first four delete an older new file; the copy follows
        with suppress(Cut):
            site.ledger.rebuild(aside=case == "aside")
    site.ledger.database.close()

    again = Site(tmp_path)

    assert again.count() == before
    assert list(tmp_path.glob("ledger.db.new*")) == []
    again.ledger.close()


def test_a_part_of_a_new_file_is_deleted_and_not_used(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.do(3)
    before = site.count()
    site.ledger.close()
    for content in (b"", (tmp_path / "ledger.db").read_bytes()[:1500], b"not a database" * 99):
        (tmp_path / "ledger.db.new").write_bytes(content)
        (tmp_path / "ledger.db.new-journal").write_bytes(b"half")
        again = Site(tmp_path)
        assert again.count() == before
        again.ledger.close()
        assert list(tmp_path.glob("ledger.db.new*")) == []

    (tmp_path / "ledger.db").unlink()
    (tmp_path / "ledger.db.new").write_bytes(b"")
    empty = Site(tmp_path)
    assert empty.count() != before
    assert not file._is_whole(tmp_path / "ledger.db.new")
    empty.ledger.close()
