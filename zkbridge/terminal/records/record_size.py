"""Which record size a table of users has: by its length and content, the terminal's count, and earlier readings."""

from __future__ import annotations

import itertools

from zkbridge.port.users import User
from zkbridge.terminal.records.layout import SIZES, RecordSize
from zkbridge.terminal.records.numbers import uids_of
from zkbridge.terminal.records.users import decode

#: Records whose texts are looked at, spread over the table: enough for a majority, and no dearer in a large table.
_SAMPLE = 256
#: Permissions use the low four bits: disabled, and three for the role.
_MAX_PRIVILEGE = 15


def record_size_of(records: bytes, *, count: int | None, known: RecordSize | None, encoding: str) -> RecordSize | None:
    """The size of the records that a table is made of, None where it is of neither size.

    It is decided by three signs: how the records look in that size, the terminal's own count, and what was seen before.
    The count of some terminals differs from the table (fananimi/pyzk#88), so it cannot decide alone.
    """
    possible = [size for size in SIZES if not len(records) % size]
    if len(possible) == 1 and count == len(records) // possible[0]:
        return possible[0]
    if known in possible and count == len(records) // known and is_plausible(records, known, encoding=encoding):
        return known  # all three agree
    best: RecordSize | None = None
    most = 0
    for size in possible:
        fits = count is not None and count * size == len(records)
        looks = is_plausible(records, size, encoding=encoding)
        votes = 3 * looks + fits + (known == size)
        # What was seen before says nothing where length and content speak against it: the terminal is another one.
        if votes > most and (looks or fits or count is None):
            best, most = size, votes
    return best


def in_order(records: bytes, *, record_size: RecordSize) -> bool:
    """Whether the uids of a table only rise: then no part of it has changed places with another."""
    uids = uids_of(records, record_size)
    return all(uid < following for uid, following in itertools.pairwise(uids))


def is_plausible(records: bytes, record_size: RecordSize, *, encoding: str) -> bool:
    """Whether the bytes look like user records of this size: no uid is 0 or twice, most texts can be read."""
    count = len(records) // record_size
    uids = set(uids_of(records, record_size))
    if 0 in uids or len(uids) != count:
        return False
    step = max(1, -(-count // _SAMPLE)) * record_size
    sample = [records[start : start + record_size] for start in range(0, len(records), step)]
    return 2 * sum(_is_plausible(decode(raw, encoding=encoding)) for raw in sample) >= len(sample)


def _is_plausible(user: User) -> bool:
    # Half of the records may fail this: one terminal kept 0x31 in every privilege byte (fananimi/pyzk#41).
    texts = (user.user_id, user.name, user.password)
    return bool(user.user_id) and user.privilege <= _MAX_PRIVILEGE and all(map(str.isprintable, texts))
