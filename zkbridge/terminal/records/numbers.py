"""The numbers of a table of user records, read all at once."""

from __future__ import annotations

import sys
from array import array
from typing import Literal

from zkbridge.terminal.records.layout import RecordSize


def uids_of(records: bytes, record_size: RecordSize) -> array[int]:
    """The uid of each record, in the order of the table."""
    return words_of(records, "H")[:: record_size // 2]


def words_of(records: bytes, kind: Literal["H", "I"]) -> array[int]:
    """The records as numbers of 16 or 32 bits."""
    words = array(kind)
    words.frombytes(records)
    if sys.byteorder == "big":
        words.byteswap()
    return words
