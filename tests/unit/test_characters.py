"""Which characters ids and names may have, and how they are spelled."""
# ruff: noqa: RUF001 - letters that look like others are what is tested

import sys
import unicodedata

import pytest

from zkbridge.contract.characters import (
    ascii_digits,
    for_encoding,
    for_search,
    id_spelling,
    one_spelling,
    unseen_in_id,
    unseen_in_name,
)

#: What makes a twin of 1002 that looks the same.
UNSEEN = {
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "left-to-right mark": "\u200e",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "word joiner": "\u2060",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "Arabic letter mark": "\u061c",
    "variation selector": "\ufe0f",
    "ideographic variation selector": "\U000e0100",
    "Mongolian variation selector": "\u180b",
    "grapheme joiner": "\u034f",
    "Hangul choseong filler": "\u115f",
    "Hangul jungseong filler": "\u1160",
    "Khmer inherent vowel": "\u17b4",
    "Khmer inherent vowel aa": "\u17b5",
    "Hangul filler": "\u3164",
    "halfwidth Hangul filler": "\uffa0",
    "Braille blank": "\u2800",
    "tag": "\U000e0031",
    "interlinear annotation": "\ufff9",
    "musical format": "\U0001d173",
    "unassigned": "\u0378",
    "unassigned ignorable": "\u2065",
    "noncharacter": "\ufffe",
    "private use": "\ue000",
    "surrogate": "\ud800",
    "control": "\x85",
    "line separator": "\u2028",
    "no-break space": "\u00a0",
    "ideographic space": "\u3000",
}
SEEN = ["1002", "AB-12", "ñandú", "10 02", "李", "علي", "Ω", "🙂", "e\u0301", "%"]


@pytest.mark.parametrize("sign", UNSEEN.values(), ids=UNSEEN.keys())
@pytest.mark.parametrize("place", [0, 1, 4])
def test_an_unseen_character_is_found_in_an_id(sign: str, place: int) -> None:
    found = unseen_in_id("1002"[:place] + sign + "1002"[place:])

    assert found == (sign, place + 1)


@pytest.mark.parametrize("text", SEEN)
def test_what_people_see_may_stand_in_an_id_and_a_name(text: str) -> None:
    assert unseen_in_id(text) is None
    assert unseen_in_name(text) is None


@pytest.mark.parametrize(
    "name",
    ["می\u200cخواهم", "क्\u200dष", "a\u200eb\u200f", "\ue000", "Ana\u00a0María", "林\u3000森", "\u0600", "\u06dd"],
)
def test_a_name_may_have_what_its_script_needs(name: str) -> None:
    assert unseen_in_name(name) is None


@pytest.mark.parametrize(
    "sign", ["\u200b", "\u00ad", "\ufeff", "\u202e", "\ufe0f", "\u034f", "\u3164", "\u0378", "\U000e0041", "\u2028"]
)
def test_a_name_has_nothing_that_no_terminal_can_show(sign: str) -> None:
    assert unseen_in_name(f"Ana{sign}") == (sign, 4)


def test_every_category_is_decided_for_every_code_point() -> None:
    refused = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
    for sign in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(sign) in refused:
            assert unseen_in_id(sign), hex(ord(sign))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("١٢٣", "123"),
        ("۱۲۳", "123"),
        ("१२३", "123"),
        ("１２３", "123"),
        ("𝟏𝟐𝟑", "123"),
        ("A٣", "A3"),
        ("²③Ⅷ", "²③Ⅷ"),
        ("123", "123"),
        ("", ""),
    ],
)
def test_decimal_digits_of_any_script_become_ascii(text: str, spelled: str) -> None:
    assert ascii_digits(text) == spelled


def test_a_text_in_two_spellings_becomes_one() -> None:
    assert one_spelling("Jose\u0301") == "José"
    assert id_spelling("e\u0301١") == "é1"


def test_the_time_for_a_hostile_text_stays_small() -> None:
    marks = "\u0300\u0316" * 32_000

    assert one_spelling(marks) == marks


@pytest.mark.parametrize(
    ("sought", "name"),
    [("jose\u0301", "JOSÉ"), ("JOSÉ", "Jose\u0301"), ("علی", "علي"), ("كريم", "کریم"), ("STRASSE", "Straße")],
)
def test_a_search_finds_either_spelling(sought: str, name: str) -> None:
    assert for_search(sought) in for_search(name)


@pytest.mark.parametrize(
    ("name", "encoding", "spelled"),
    [
        ("علی", "cp1256", "علي"),
        ("کریمی", "cp1256", "کريمي"),
        ("کریمی", "iso8859-6", "كريمي"),
        ("علی", "utf-8", "علی"),
        ("پژمان", "iso8859-6", "پژمان"),
        ("Nguyễn", "cp1258", "Nguyê\u0303n"),
        ("Nguyễn", "cp1252", "Nguyễn"),
        ("José", "cp1252", "José"),
        ("ﬁ", "cp1252", "ﬁ"),
    ],
)
def test_what_an_encoding_lacks_is_spelled_otherwise_where_it_can_be(name: str, encoding: str, spelled: str) -> None:
    assert for_encoding(name, encoding) == spelled


def test_what_the_page_says_of_cp1256_is_true() -> None:
    for letter in "پچژگکٹڈڑںھہے" + "ابتثجحخدذرزسشصضطظعغفقكلمنهويىءآأإؤئة":
        assert letter.encode("cp1256")
    for letter in "یۀۂۃۓەڕڵڤۆێ" + "٠١۰۱":
        with pytest.raises(UnicodeEncodeError):
            letter.encode("cp1256")
    for encoding in ("iso8859-6", "cp720"):
        for letter in "یکپچژگ":
            with pytest.raises(UnicodeEncodeError):
                letter.encode(encoding)
