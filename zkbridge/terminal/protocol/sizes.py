"""The answer to GET_FREE_SIZES: a terminal's own counts."""

from __future__ import annotations

import struct

from zkbridge.port.facts import Sizes

#: Which of the 32-bit words in the answer to GET_FREE_SIZES (pyzk 0.9 `read_sizes`; a capture in fananimi/pyzk#111).
_PLACES = {
    "users": 4,
    "fingers": 6,
    "records": 8,
    "fingers_capacity": 14,
    "users_capacity": 15,
    "records_capacity": 16,
    "fingers_free": 17,
    "users_free": 18,
    "records_free": 19,
    "faces": 20,
    "faces_capacity": 22,
}


def parse_sizes(answer: bytes) -> Sizes:
    """What an answer holds: None for what it is too short to hold (fananimi/pyzk#76, #170, #215), or negative."""
    count = len(answer) // 4
    words = struct.unpack_from(f"<{count}i", answer)
    return Sizes(**{name: words[at] for name, at in _PLACES.items() if at < count and words[at] >= 0})
