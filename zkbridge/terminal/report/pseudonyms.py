"""Replace what names a person or a terminal by something of the same length and kind.

The same value gets the same replacement within one report. What it becomes follows from a random key that is thrown
away, so nobody can go back, or compare two reports.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable

from zkbridge.terminal.protocol.wire import decode_time

#: The highest user_id and card that 32 bits hold.
_MOST_NUMBER = 0xFFFFFFFF
_TRIES = 1000
_DAY = 86_400
#: What of a template decides what it becomes.
_STREAM_SEED = 64
#: A noon of March 2010 and one of 31 February 2010 as a terminal counts seconds, every month having 31 slots. The byte
#: before the highest is no high byte of a time of our years, so that 8-byte records show where their time stands.
_FIRST, _NO_DATE = 0x13800000, (121 * 31 + 30) * _DAY + _DAY // 2


class Pseudonyms:
    """The replacements of one report; `key` is its secret."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given: dict[str, dict[str, str]] = {}
        self._used: dict[str, set[str]] = {}
        self._uids: dict[int, int] = {0: 0}
        self._moments: dict[int, int] = {0: 0}
        self._avoided: set[str] = set()
        self._texts: dict[bytes, bytes] = {}

    def avoid(self, values: Iterable[bytes]) -> None:
        """Let nothing become one of these values, as far as there are others of its kind."""
        self._avoided.update(value.decode("latin-1") for value in values)

    def originals(self) -> set[bytes]:
        """Everything that was replaced, as bytes of a text; of templates the whole."""
        return set(self.replacements())

    def replacements(self) -> dict[bytes, bytes]:
        """What became what, as bytes of a text."""
        unique = {old.encode(): new.encode() for given in self._given.values() for old, new in given.items()}
        return self._texts | unique

    # Single values

    def user_id(self, value: str) -> str:
        """A text with a digit for each digit and a letter for each letter; a first digit 0 stays 0. Needs ASCII."""
        if not value:
            return value
        most = _MOST_NUMBER if value.isdecimal() and not value.startswith("0") else None
        return self._unique("user_id", value, lambda turn: self._user_id(value, turn), most=most)

    def user_number(self, value: int) -> int:
        """A user_id that the terminal keeps as a number."""
        return int(self.user_id(str(value))) if value else 0

    def card(self, value: int) -> int:
        """A card's number, with as many digits; 0 is none and stays so."""
        if value == 0:
            return 0
        return int(self._unique("card", str(value), lambda turn: self._digits(str(value), turn), most=_MOST_NUMBER))

    def uid(self, uid: int) -> int:
        """Uids become 1, 2, 3 … in the order in which they are met; 0 stays 0."""
        return self._uids.setdefault(uid, len(self._uids))

    def moment(self, value: int) -> int:
        """Times become minutes of March 2010, one after the other; one that is no date becomes 31 February.

        `value` counts as the terminal's clock does; 0 stays 0.
        """
        if value == 0:
            return 0
        if decode_time(value) is None:
            return _NO_DATE + value % 24
        return self._moments.setdefault(value, _FIRST + 60 * len(self._moments))

    def text(self, value: bytes, salt: str = "") -> bytes:
        """Bytes of the same kinds: digits, small and capital letters, ends of multi-byte characters, zeros.

        UTF-8 stays UTF-8 and keeps its lengths; in other encodings each byte stays one that is no ASCII.
        """
        noise = self._noise(salt.encode() + b"|" + value, len(value))
        free = _utf8_free(value)
        made = bytes(
            _another(byte, *free[at], noise[at]) if at in free else _of_kind(byte, noise[at], multi_byte=bool(free))
            for at, byte in enumerate(value)
        )
        return self._texts.setdefault(value, made) if len(value) > 1 and not salt.startswith("user_id ") else made

    def raw(self, value: bytes, salt: str = "") -> bytes:
        """Any bytes but zeros, each replaced by any but zero; zeros stay."""
        noise = self._noise(salt.encode() + b"|" + value, len(value))
        return bytes(1 + fresh % 255 if byte else 0 for byte, fresh in zip(value, noise, strict=True))

    def stream(self, value: bytes) -> bytes:
        """The same for a template: what its first bytes become does not depend on how it ends."""
        noise = self._noise(b"stream|" + value[:_STREAM_SEED], len(value))
        made = bytes(1 + fresh % 255 if byte else 0 for byte, fresh in zip(value, noise, strict=True))
        return self._texts.setdefault(value, made)

    def address(self, value: str) -> str:
        """An IP address with as many digits in each place, or a MAC address; 0 and 255 stay."""
        if value.count(".") != 3:
            return self._unique("address", value, lambda turn: self._hex(value, turn))
        return self._unique(
            "address",
            value,
            lambda turn: ".".join(
                self._octet(each, f"{turn} {place} {value}") for place, each in enumerate(value.split("."))
            ),
        )

    # How

    def _unique(self, kind: str, value: str, make: Callable[[int], str], most: int | None = None) -> str:
        given = self._given.setdefault(kind, {})
        used = self._used.setdefault(kind, set())
        if value not in given:
            fallback = None
            for turn in range(_TRIES):
                made = make(turn)
                if made in used or (most is not None and len(value) <= 10 and int(made) > most):
                    continue
                if made not in self._avoided and made != value:
                    break
                fallback = fallback or made
            else:
                made = fallback or value
            given[value] = made
            used.add(made)
        return given[value]

    def _user_id(self, value: str, turn: int) -> str:
        made = self.text(value.encode(), f"user_id {turn}").decode()
        if not value[0].isdecimal():
            return made
        first = "0" if value[0] == "0" else str(1 + int(made[0]) % 9)
        return first + made[1:]

    def _digits(self, value: str, turn: int) -> str:
        noise = self._noise(f"digits {turn}|{value}".encode(), len(value))
        first = str(1 + noise[0] % 9)
        return first + "".join(str(byte % 10) for byte in noise[1:])

    def _hex(self, value: str, turn: int) -> str:
        noise = self._noise(f"hex {turn}|{value}".encode(), len(value))
        letters = "0123456789ABCDEF" if value == value.upper() else "0123456789abcdef"
        return "".join(
            letters[fresh % 16] if sign in "0123456789abcdefABCDEF" else sign
            for sign, fresh in zip(value, noise, strict=True)
        )

    def _octet(self, octet: str, salt: str) -> str:
        if not octet.isdecimal() or int(octet) in (0, 255) or len(octet) > 3:
            return octet
        low, high = {1: (1, 9), 2: (10, 99), 3: (100, 254)}[len(octet)]
        return str(low + self._noise(salt.encode(), 1)[0] % (high - low + 1))

    def _noise(self, value: bytes, size: int) -> bytes:
        made = b""
        while len(made) < size:
            made += hmac.new(self._key, len(made).to_bytes(4, "big") + value, hashlib.sha256).digest()
        return made[:size]


def _of_kind(byte: int, fresh: int, *, multi_byte: bool) -> int:
    if 0x30 <= byte <= 0x39:
        return 0x30 + fresh % 10
    if 0x61 <= byte <= 0x7A:
        return 0x61 + fresh % 26
    if 0x41 <= byte <= 0x5A:
        return 0x41 + fresh % 26
    if byte < 0x80 or multi_byte:
        return byte  # punctuation, and the first byte of a character of UTF-8, which says its script
    return 0xC0 + fresh % 0x1A  # a letter in the code pages of one byte, and half a character in those of two


def _utf8_free(value: bytes) -> dict[int, tuple[int, int]]:
    """Which bytes of multi-byte characters may be which others; empty where the text is not UTF-8, if perhaps cut.

    Of each character the last byte, or the last two of three and four; U+0080 to U+009F are controls, not letters.
    """
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return {}
        text = value[: error.start].decode("utf-8")
    free: dict[int, tuple[int, int]] = {}
    at = 0
    for sign in text:
        size = len(sign.encode())
        if size > 1:
            free[at + size - 1] = (0xA0 if value[at] == 0xC2 else 0x80, 0xBF)
        if size == 3:
            free[at + 1] = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F)}.get(value[at], (0x80, 0xBF))
        elif size == 4:
            free[at + 2] = (0x80, 0xBF)
        at += size
    return free


def _another(byte: int, low: int, high: int, fresh: int) -> int:
    """Another byte of this range."""
    made = low + fresh % (high - low + 1)
    return made if made != byte else low + (made - low + 1) % (high - low + 1)
