"""Which characters an id or a name may have, and the one spelling that the bridge gives a text."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

#: Longer texts fit no terminal and are left as they are: the time that NFC takes grows with the square of the length.
_MAX_NORMALIZED = 4096
#: Format (Cf), unassigned (Cn), private use (Co), surrogates (Cs), controls (Cc), line and paragraph separators.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
#: Invisible characters of other categories: Default_Ignorable_Code_Point and Variation_Selector of Unicode 15
#: (DerivedCoreProperties.txt, PropList.txt), and the blank of the Braille patterns.
_UNSEEN_RANGES = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian variation selectors
    (0x2800, 0x2800),  # Braille blank
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xE0000, 0xE0FFF),  # tags and more variation selectors
)
#: Format characters that a name needs: joiners (Persian, Indic scripts), direction marks (Arabic, Hebrew), and the
#: Arabic, Syriac and Kaithi number signs, which are visible.
_IN_NAMES = frozenset("\u200c\u200d\u200e\u200f\u061c\u06dd\u070f\u08e2\U000110bd\U000110cd") | {
    chr(point) for point in (*range(0x0600, 0x0606), *range(0x0890, 0x0892))
}
#: Letters of Persian and Urdu, and the Arabic ones that stand in for them where an encoding lacks them.
_ARABIC_FORMS = {"\u06cc": "\u064a", "\u06a9": "\u0643"}
_ARABIC_TABLE = str.maketrans(_ARABIC_FORMS)


class Unseen(NamedTuple):
    """A character that people cannot see, or cannot distinguish from another one, and its place, counted from 1."""

    sign: str
    place: int


def unseen_in_id(text: str) -> Unseen | None:
    """The first character that makes an id look like another one."""
    return next((Unseen(sign, place) for place, sign in enumerate(text, 1) if _is_unseen(sign)), None)


def unseen_in_name(text: str) -> Unseen | None:
    """The first character of a name that no terminal can show.

    Private-use characters pass: a terminal may have the font.
    """
    return next((Unseen(sign, place) for place, sign in enumerate(text, 1) if not _is_shown_in_name(sign)), None)


def one_spelling(text: str) -> str:
    """The text in NFC: `é` as one character, whether it came as one (Windows) or two (macOS)."""
    return unicodedata.normalize("NFC", text) if len(text) <= _MAX_NORMALIZED else text


def ascii_digits(text: str) -> str:
    """The text with the decimal digits of any script as 0 to 9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)


def id_spelling(text: str) -> str:
    """The spelling in which a new user_id is kept: NFC, digits 0 to 9."""
    return ascii_digits(one_spelling(text))


def for_search(text: str) -> str:
    """A key that is equal for texts that people take for the same: lower case, NFC, `ی` as `ي`."""
    return one_spelling(one_spelling(text).casefold()).translate(_ARABIC_TABLE)


def for_encoding(text: str, encoding: str) -> str:
    """The text, with what the encoding lacks spelled otherwise: `ی` and `ک` in the Arabic forms, `ế` as `ê` and a mark.

    A character that has no such spelling stays. cp1256 has no U+06CC, and cp1258 only some of Vietnamese as one
    character.
    """
    if _has(text, encoding):
        return text
    return "".join(sign if _has(sign, encoding) else _spelled(sign, encoding) for sign in text)


def _spelled(sign: str, encoding: str) -> str:
    other = _ARABIC_FORMS.get(sign, "")
    points = unicodedata.decomposition(sign).split()
    if not other and points and not points[0].startswith("<"):
        other = "".join(chr(int(point, 16)) for point in points)
    return other if other and _has(other, encoding) else sign


def _has(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _is_unseen(sign: str) -> bool:
    if " " <= sign <= "~":
        return False
    # Of the separators only the space itself: a no-break space looks the same.
    return unicodedata.category(sign) in _UNSEEN_CATEGORIES or sign.isspace() or _in_ranges(sign)


def _is_shown_in_name(sign: str) -> bool:
    if sign in _IN_NAMES or unicodedata.category(sign) in ("Co", "Zs"):
        return True
    return not _is_unseen(sign)


def _in_ranges(sign: str) -> bool:
    point = ord(sign)
    return any(first <= point <= last for first, last in _UNSEEN_RANGES)
