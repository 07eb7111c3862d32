"""Records of users: what fits, what is written, and what a table says."""

import struct
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captures import captured
from zkbridge.contract.errors import DeviceFull, InvalidField
from zkbridge.port.fit import fit, surely_unfit
from zkbridge.port.users import User, UserChanges, UserFields
from zkbridge.terminal.records.layout import LAYOUTS, SIZES
from zkbridge.terminal.records.record import record_in
from zkbridge.terminal.records.record_size import record_size_of
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.terminal.records.users import decode, encode, rewrite

#: An ordinary record of a 28-byte terminal.
OLD = struct.pack("<HB5s8sIxBHI", 7, 14, b"123", b"Ana", 99, 1, 0, 1001)

JUAN = UserFields("123", "Juan Perez", "1234", 0, 12345)


def fitted(
    fields: UserFields = JUAN, *, size: Any = 72, encoding: str = "utf-8", width: int = 9, name_overflow: Any = "refuse"
) -> UserFields:
    limits = LAYOUTS[size].limits._replace(user_id_bytes=width)
    return fit(fields, limits, encoding=encoding, name_overflow=name_overflow)


def faults(*args: Any, **settings: Any) -> dict[str, tuple[str, Mapping[str, object]]]:
    with pytest.raises(InvalidField) as caught:
        fitted(*args, **settings)
    return {fault.name: (fault.rule, fault.facts) for fault in caught.value.faults}


def table(*users: Any, size: Any = 72, **settings: Any) -> RecordTable:
    records = b"".join(
        encode(UserFields(user_id, f"User {uid}"), uid=uid, group=1, record_size=size, encoding="utf-8")
        for uid, user_id in users
    )
    return RecordTable(records, record_size=size, encoding="utf-8", **settings)


def same(user: User, fields: UserFields, *, group: int, encoding: str) -> bool:
    """Whether the user is what a terminal holds that was sent these fields."""
    return encode(fields, uid=9, group=group, record_size=record_in(user).size, encoding=encoding).is_held_by(user)


def changes_to(fields: UserFields | User) -> UserChanges:
    return UserChanges(fields.name, fields.password, fields.privilege, fields.card)


class TestRecords:
    def test_a_captured_record_is_read(self) -> None:
        ned = decode(captured.NED, encoding="utf-8")

        assert (ned.uid, ned.user_id, ned.name, ned.password) == (13, "555", "Ned", "444")
        assert (ned.privilege, ned.card, ned.group) == (0, 0xDE, 2)
        assert ned.record == captured.NED  # type: ignore[comparison-overlap]  # opaque to all but the terminal room

    def test_a_captured_write_is_made_byte_for_byte(self) -> None:
        nuevo = UserFields("11224488", "Nuevo", "123456", 6, 0x198F)

        raw = encode(nuevo, uid=14, group=1, record_size=72, encoding="utf-8")

        assert raw[:11] == bytes.fromhex("0e 00 06") + b"123456\0\0"
        assert raw[11:35] == b"Nuevo".ljust(24, b"\0")
        assert raw[35:40] == bytes.fromhex("8f 19 00 00 01")
        assert raw[40:48] == bytes(8)
        assert raw[48:] == b"11224488".ljust(24, b"\0")

    def test_an_old_record_is_read(self) -> None:
        ana = decode(OLD, encoding="utf-8")

        assert (ana.uid, ana.user_id, ana.name, ana.password) == (7, "1001", "Ana", "123")
        assert (ana.privilege, ana.card, ana.group) == (14, 99, 1)

    def test_an_old_record_is_written(self) -> None:
        assert encode(UserFields("1001", "Ana", "123", 14, 99), uid=7, group=1, record_size=28, encoding="utf-8") == OLD

    @given(
        size=st.sampled_from(SIZES),
        encoding=st.sampled_from(["utf-8", "cp1252", "cp1256", "gbk"]),
        fields=st.builds(
            UserFields,
            user_id=st.integers(0, 0xFFFFFFFF).map(str),
            name=st.text(min_size=1, max_size=12).filter(lambda name: "\0" not in name),
            password=st.text("0123456789abcXYZ", max_size=8),
            privilege=st.sampled_from([0, 14]),
            card=st.integers(0, 0xFFFFFFFF),
        ),
        place=st.tuples(st.integers(1, 65535), st.integers(0, 255)),
    )
    def test_whatever_fits_is_read_back_as_it_was_written(
        self, size: Any, encoding: str, fields: UserFields, place: tuple[int, int]
    ) -> None:
        uid, group = place
        try:
            fields = fitted(fields, size=size, encoding=encoding, width=10)
        except InvalidField:
            return

        raw = encode(fields, uid=uid, group=group, record_size=size, encoding=encoding)
        user = decode(raw, encoding=encoding)

        assert len(raw) == size
        assert (user.uid, user.group) == (uid, group)
        assert same(user, fields, group=group, encoding=encoding)
        assert rewrite(user, changes_to(fields), encoding=encoding) == raw

    def test_secrets_are_not_shown(self) -> None:
        shown = repr(JUAN) + repr(
            decode(encode(JUAN, uid=1, group=1, record_size=72, encoding="utf-8"), encoding="utf-8")
        )

        assert "1234" not in shown
        assert "raw" not in shown


class TestRewriting:
    def test_only_what_was_named_changes(self) -> None:
        ned = decode(captured.NED, encoding="utf-8")

        raw = rewrite(ned, UserChanges(name="Eddard"), encoding="utf-8")

        assert raw == captured.NED[:11] + b"Eddard".ljust(24, b"\0") + captured.NED[35:]

    def test_the_rubbish_after_a_password_stays_unless_the_password_changes(self) -> None:
        ned = decode(captured.NED, encoding="utf-8")

        assert rewrite(ned, changes_to(ned), encoding="utf-8") == captured.NED
        assert rewrite(ned, UserChanges(password="9"), encoding="utf-8")[3:11] == b"9".ljust(8, b"\0")

    def test_a_name_in_another_encoding_is_left_alone_when_only_the_card_changes(self) -> None:
        raw = captured.NED[:11] + "李明".encode("gbk").ljust(24, b"\0") + captured.NED[35:]
        user = decode(raw, encoding="utf-8")

        changed = rewrite(user, UserChanges(card=7), encoding="utf-8")

        assert changed == raw[:35] + (7).to_bytes(4, "little") + raw[39:]

    def test_an_old_record_is_changed_in_its_own_places(self) -> None:
        ana = decode(OLD, encoding="utf-8")

        raw = rewrite(ana, UserChanges("Bea", "9", 0, 0x01020304), encoding="utf-8")

        assert raw == struct.pack("<HB5s8sIxBHI", 7, 0, b"9", b"Bea", 0x01020304, 1, 0, 1001)


class TestFitting:
    @pytest.mark.parametrize(("size", "limit"), [(72, 24), (28, 8)])
    def test_a_name_is_measured_in_bytes(self, size: Any, limit: int) -> None:
        accented = "ñ" * (limit // 2)

        assert fitted(JUAN._replace(name=accented), size=size).name == accented
        assert faults(JUAN._replace(name=accented + "x"), size=size) == {
            "name": ("bytes", {"size": limit + 1, "encoding": "utf-8", "limit": limit})
        }

    def test_the_encoding_decides_how_many_bytes_a_name_takes(self) -> None:
        assert fitted(JUAN._replace(name="ñ" * 24), encoding="cp1252").name == "ñ" * 24

    @pytest.mark.parametrize(("size", "limit"), [(72, 8), (28, 5)])
    def test_a_password_is_measured_in_bytes(self, size: Any, limit: int) -> None:
        assert fitted(JUAN._replace(name="J", password="1" * limit), size=size).password == "1" * limit
        assert faults(JUAN._replace(name="J", password="1" * (limit + 1)), size=size) == {
            "password": ("bytes", {"size": limit + 1, "encoding": "utf-8", "limit": limit})
        }

    def test_a_user_id_is_as_wide_as_the_terminal_reports(self) -> None:
        assert fitted(JUAN._replace(user_id="123456789"), width=9).user_id == "123456789"
        assert faults(JUAN._replace(user_id="1234567890"), width=9) == {
            "user_id": ("bytes", {"size": 10, "encoding": "utf-8", "limit": 9})
        }

    @pytest.mark.parametrize("user_id", ["A1", "-1", "1.5", "4294967296", "9" * 5000, "٣", " 1"])
    def test_an_old_terminal_takes_numbers_only(self, user_id: str) -> None:
        assert faults(JUAN._replace(name="J", user_id=user_id), size=28) == {"user_id": ("number_id", {})}

    def test_an_old_terminal_would_lose_leading_zeros(self) -> None:
        assert faults(JUAN._replace(name="J", user_id="001"), size=28) == {
            "user_id": ("leading_zero", {"text": "001", "number": "1"})
        }

    @pytest.mark.parametrize("user_id", ["0", "1", "4294967295"])
    def test_an_old_terminal_takes_every_number_of_32_bits(self, user_id: str) -> None:
        assert fitted(JUAN._replace(name="J", user_id=user_id), size=28).user_id == user_id

    @pytest.mark.parametrize("field", ["name", "password"])
    def test_a_character_that_the_encoding_lacks_is_refused(self, field: str) -> None:
        assert faults(JUAN._replace(**{field: "李"}), encoding="cp1252") == {  # type: ignore[arg-type]  # a plain number or text stands for the name
            field: ("encoding", {"encoding": "cp1252"})
        }

    def test_all_faults_are_named_at_once(self) -> None:
        wrong = UserFields("x" * 25, "n" * 25, "p" * 9)

        assert set(faults(wrong)) == {"user_id", "name", "password"}

    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("a" * 30, "a" * 24),
            ("x" + "ñ" * 20, "x" + "ñ" * 11),
            ("x" + "€" * 20, "x" + "€" * 7),
            ("x" + "😀" * 20, "x" + "😀" * 5),
            ("ñ" * 12, "ñ" * 12),
        ],
    )
    def test_a_name_is_cut_at_a_character_with_truncate(self, name: str, kept: str) -> None:
        assert fitted(JUAN._replace(name=name), name_overflow="truncate").name == kept

    def test_a_very_long_name_is_cut_at_once(self) -> None:
        assert fitted(JUAN._replace(name="ñ" * 100_000), name_overflow="truncate").name == "ñ" * 12

    def test_cutting_does_not_excuse_characters_that_the_encoding_lacks(self) -> None:
        assert faults(JUAN._replace(name="a" * 30 + "李"), encoding="cp1252", name_overflow="truncate") == {
            "name": ("encoding", {"encoding": "cp1252"})
        }

    def test_what_fits_no_terminal_is_known_before_any_is_asked(self) -> None:
        wrong = UserFields("1" * 25, "n" * 25, "p" * 9)

        assert {fault.name for fault in surely_unfit(wrong, encoding="utf-8", name_overflow="refuse")} == {
            "user_id",
            "name",
            "password",
        }
        assert {fault.name for fault in surely_unfit(wrong, encoding="utf-8", name_overflow="truncate")} == {
            "user_id",
            "password",
        }
        assert surely_unfit(UserFields("A" * 24, "n" * 24, "p" * 8), encoding="utf-8", name_overflow="refuse") == ()


class TestSameness:
    def user(self, fields: UserFields = JUAN, **settings: Any) -> User:
        return decode(encode(fields, uid=1, group=1, record_size=72, encoding="utf-8", **settings), encoding="utf-8")

    def test_a_user_is_the_same_field_for_field(self) -> None:
        assert same(self.user(), JUAN, group=1, encoding="utf-8")

    @pytest.mark.parametrize(
        "other",
        [
            JUAN._replace(user_id="124"),
            JUAN._replace(name="Juan"),
            JUAN._replace(password=""),
            JUAN._replace(privilege=14),
            JUAN._replace(card=0),
        ],
    )
    def test_one_other_field_is_another_user(self, other: UserFields) -> None:
        assert not same(self.user(), other, group=1, encoding="utf-8")

    def test_another_group_is_another_user(self) -> None:
        assert not same(self.user(), JUAN, group=2, encoding="utf-8")

    @pytest.mark.parametrize("name", ["n" * 24, "x" + "ñ" * 11 + "y", "ñ" * 12])
    def test_a_name_that_lost_its_last_byte_to_the_terminal_s_nul_is_the_same(self, name: str) -> None:
        raw = record_in(self.user(JUAN._replace(name=name)))
        cut = decode(raw[:34] + b"\0" + raw[35:], encoding="utf-8")

        assert cut.name != name
        assert same(cut, JUAN._replace(name=name), group=1, encoding="utf-8")

    def test_a_shorter_name_is_another_user(self) -> None:
        assert not same(
            self.user(JUAN._replace(name="n" * 22)), JUAN._replace(name="n" * 24), group=1, encoding="utf-8"
        )

    def test_bytes_after_a_nul_and_time_zones_do_not_count(self) -> None:
        raw = record_in(self.user())
        other = raw[:8] + b"\0xx" + raw[11:22] + b"\0junk" + raw[27:40] + b"\1" * 8 + raw[48:]

        assert same(decode(other, encoding="utf-8"), JUAN, group=1, encoding="utf-8")

    def test_texts_are_compared_as_the_terminal_holds_them(self) -> None:
        """A byte that no encoding reads, and the character that stands for such a byte, are not the same."""
        raw = record_in(self.user(JUAN._replace(name="\ufffd")))
        other = raw[:11] + b"\xff".ljust(24, b"\0") + raw[35:]

        assert decode(other, encoding="utf-8").name == "\ufffd"
        assert not raw.is_held_by(decode(other, encoding="utf-8"))

    def test_a_user_whose_user_id_was_cut_off_is_known_by_the_rest(self) -> None:
        raw = encode(JUAN._replace(user_id="1234567890"), uid=1, group=1, record_size=72, encoding="utf-8")
        cut = decode(raw[:57] + bytes(15), encoding="utf-8")
        elsewhere = decode(b"\2" + record_in(cut)[1:], encoding="utf-8")
        renamed = decode(record_in(cut)[:11] + b"Eva".ljust(24, b"\0") + record_in(cut)[35:], encoding="utf-8")

        assert raw.is_cut_off_in(cut)
        assert not raw.is_held_by(cut)
        assert [raw.is_cut_off_in(user) for user in (elsewhere, renamed, decode(raw, encoding="utf-8"))] == [False] * 3


class TestCharacters:
    #: Python writes these as a byte or two that it reads as something else.
    @pytest.mark.parametrize(
        ("encoding", "name"),
        [
            ("shift_jis", "A\N{YEN SIGN}B"),
            ("cp950", "\N{BULLET}"),
            ("shift_jis", "\N{OVERLINE}"),
            ("cp932", "A\N{WAVE DASH}B"),
        ],
    )
    @pytest.mark.parametrize("field", ["name", "password", "user_id"])
    def test_a_character_that_would_come_back_as_another_is_refused(self, encoding: str, name: str, field: str) -> None:
        fields = JUAN._replace(**{field: name})  # type: ignore[arg-type]  # one of its texts

        assert name.encode(encoding, "replace").decode(encoding, "replace") != name
        assert [
            (fault.name, fault.rule) for fault in surely_unfit(fields, encoding=encoding, name_overflow="refuse")
        ] == [(field, "encoding")]

    @pytest.mark.parametrize("encoding", ["utf-8", "shift_jis", "cp950", "euc_kr"])
    def test_every_character_that_is_taken_is_read_back(self, encoding: str) -> None:
        for number in [*range(0x20, 0xD800, 5), *range(0xE000, 0x10000, 5), 0xA5, 0x203E, 0x2022]:
            try:
                fields = fitted(UserFields("1", chr(number)), encoding=encoding)
            except InvalidField:
                continue
            raw = encode(fields, uid=1, group=1, record_size=72, encoding=encoding)
            assert decode(raw, encoding=encoding).name == fields.name


class TestTables:
    def test_users_are_found_by_user_id_and_uid(self) -> None:
        users = table((3, "77"), (9, "A5"))

        assert len(users) == 2
        assert users.by_user_id("A5").uid == 9
        assert users.by_uid(3).user_id == "77"
        assert users.by_user_id("7") is None
        assert users.by_uid(4) is None
        assert [user.uid for user in users] == [3, 9]

    def test_a_user_id_is_found_by_its_text_not_by_its_number(self) -> None:
        assert table((1, "0042")).by_user_id("42") is None

    @pytest.mark.parametrize("user_id", ["0042", "x", "-1", "²", ""])
    def test_an_old_terminal_holds_no_such_user_id(self, user_id: str) -> None:
        assert table((1, "42"), size=28).by_user_id(user_id) is None

    def test_an_old_terminal_s_users_are_found_by_number(self) -> None:
        assert table((1, "42"), size=28).by_user_id("42").uid == 1

    def test_a_user_id_that_cannot_be_encoded_is_not_there(self) -> None:
        users = RecordTable(captured.NED, record_size=72, encoding="ascii")

        assert users.by_user_id("ñ") is None

    def test_of_two_users_with_one_user_id_the_first_counts(self) -> None:
        assert table((5, "1"), (6, "1")).by_user_id("1").uid == 5

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("searched", [0, 20], ids=["searched for", "looked up"])
    def test_all_users_with_one_user_id_are_found(self, size: Any, searched: int) -> None:
        users = table((5, "1"), (6, "11"), (7, "1"), (8, "2"), (9, "1"), size=size)
        for _ in range(searched):
            users.by_user_id("9")

        assert [user.uid for user in users.all_by_user_id("1")] == [5, 7, 9]
        assert [user.uid for user in users.all_by_user_id("2")] == [8]
        assert users.all_by_user_id("3") == users.all_by_user_id("") == []

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("lookups_before", [0, 20], ids=["searched for", "looked up"])
    def test_an_index_finds_the_user_who_is_searched_for(self, size: Any, lookups_before: int) -> None:
        """Digits stand in names, passwords and other user_ids too; and the first of two counts."""
        pins = ["1", "11", "111", "21", "12", "2", "4294967295", "11", "3", "1"]
        users = table(*((uid, pin) for uid, pin in enumerate(pins, 1)), size=size)
        for _ in range(lookups_before):
            users.by_user_id("9")
            users.by_uid(999)

        assert {pin: users.by_user_id(pin).uid for pin in pins} == {
            pin: place for place, pin in reversed(list(enumerate(pins, 1)))
        }
        assert [users.by_user_id(pin) for pin in ("0", "13", "1111", "")] == [None] * 4
        assert [users.by_uid(uid) and users.by_uid(uid).user_id for uid in (1, 7, 11)] == ["1", "4294967295", None]

    @pytest.mark.parametrize("lookups_before", [0, 20], ids=["searched for", "looked up"])
    def test_a_user_id_ends_at_its_nul_or_with_its_field(self, lookups_before: int) -> None:
        wide = "x" * 24
        records = bytearray(table((1, "7"), (2, wide))._records)
        records[48 + 2 : 48 + 5] = b"xyz"  # garbage after the NUL
        users = RecordTable(bytes(records), record_size=72, encoding="utf-8")
        for _ in range(lookups_before):
            users.by_user_id("9")

        assert users.by_user_id("7").uid == 1
        assert users.by_user_id(wide).uid == 2
        assert [users.by_user_id(pin) for pin in ("xyz", "x" * 23, "x" * 25, "7\0xyz")] == [None] * 4

    def test_the_next_uid_is_one_above_the_highest(self) -> None:
        assert table((3, "a"), (17, "b"), (5, "c")).next_uid() == 18
        assert table().next_uid() == 1

    def test_a_reserved_uid_is_not_offered_again(self) -> None:
        users = table((3, "a"))
        users.reserve(users.next_uid(), "b")

        assert users.next_uid() == 5

    def test_past_65535_the_lowest_free_uid_is_next(self) -> None:
        users = table((1, "a"), (2, "b"), (4, "c"), (65535, "d"))

        offered = []
        for _ in range(3):
            offered.append(users.next_uid())
            users.reserve(offered[-1], str(offered[-1]))

        assert offered == [3, 5, 6]

    def test_the_last_uid_is_used(self) -> None:
        assert table((65534, "a")).next_uid() == 65535

    def test_a_table_without_a_free_uid_is_full(self) -> None:
        keys = b"".join(struct.pack("<H22xI", uid, uid) for uid in range(1, 65536))
        users = RecordTable(keys, record_size=28, encoding="utf-8", host="10.0.0.5", port=4370)

        with pytest.raises(DeviceFull) as caught:
            users.next_uid()
        assert caught.value.sentence("en") == "Device 10.0.0.5:4370 has no room for one more user."

    def test_a_user_with_uid_0_does_not_make_0_free(self) -> None:
        assert table((0, "a")).next_uid() == 1

    def test_an_empty_table_learns_its_record_size(self) -> None:
        users = RecordTable(b"", record_size=72, encoding="utf-8", guessed=True)
        users.reserve(1, "a")

        users.settle(28)

        assert (users.record_size, users.guessed, len(users), users.next_uid()) == (28, False, 0, 2)


class TestRecordSize:
    def records(self, size: Any, count: int) -> bytes:
        return b"".join(
            encode(UserFields(str(uid), f"U {uid}"), uid=uid, group=1, record_size=size, encoding="utf-8")
            for uid in range(1, count + 1)
        )

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("count", [1, 2, 7, 18, 36, 100])
    def test_the_record_size_follows_from_table_and_count(self, size: Any, count: int) -> None:
        assert record_size_of(self.records(size, count), count=count, known=None, encoding="utf-8") == size

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("known", [None, 28, 72])
    @pytest.mark.parametrize("lie", [None, 0, 1, 3, 7, 18, 500])
    def test_a_count_that_lies_does_not_mislead(self, size: Any, known: Any, lie: int | None) -> None:
        """504 bytes are 7 records of 72 or 18 of 28."""
        records = self.records(size, 504 // size)

        assert record_size_of(records, count=lie, known=known, encoding="utf-8") == size

    def test_records_of_another_size_are_not_read_as_one_of_ours(self) -> None:
        """3 records of 120 bytes (fananimi/pyzk#240) have the length of 5 of 72."""
        records = b"".join(struct.pack("<HB", uid, 0) + b"x" * 117 for uid in (1, 2, 3))

        for known in (None, 72, 28):
            assert record_size_of(records, count=3, known=known, encoding="utf-8") is None

    def test_a_length_that_is_no_multiple_is_of_neither_size(self) -> None:
        assert record_size_of(bytes(73), count=1, known=72, encoding="utf-8") is None

    def test_records_that_look_strange_are_believed_where_the_count_agrees(self) -> None:
        """An AK3750 kept 0x31 in every privilege byte (fananimi/pyzk#41)."""
        records = b"".join(self.records(72, 3)[at : at + 72] for at in (0, 72, 144))
        strange = b"".join(records[at : at + 2] + b"\x31" + records[at + 3 : at + 72] for at in (0, 72, 144))

        assert record_size_of(strange, count=3, known=None, encoding="utf-8") == 72
