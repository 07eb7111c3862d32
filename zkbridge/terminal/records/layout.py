"""Where a user record of 72 or 28 bytes has what.

Sources: adrobinoga/zk-protocol `data-user.md` (72 bytes), the ZKSoftware manual of 2006 and pyzk 0.9 (28 bytes).
"""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from zkbridge.port.fit import Limits

RecordSize = Literal[72, 28]
SIZES: tuple[RecordSize, ...] = (72, 28)
#: Bytes of the field in a 72-byte record; the documented 9 are followed by zeros that newer terminals use.
WIDEST_USER_ID = 24
#: Where either record has its permission byte: bit 0 keeps a user out, the next three say what somebody is.
PERMISSION_AT = 2
BLOCKED = 0b0001
ROLE = 0b1110


class Layout(NamedTuple):
    """Where a record has what. `fields` reads uid, privilege, password, name, card, group, time zones, user id.

    `pins` reads user ids alone.
    """

    fields: struct.Struct
    pins: struct.Struct
    limits: Limits
    name: slice
    password: slice
    card: slice


LAYOUTS: dict[int, Layout] = {
    72: Layout(
        struct.Struct("<HB8s24sIB8s24s"),
        struct.Struct("<48x24s"),
        Limits(user_id_bytes=WIDEST_USER_ID, name_bytes=24, password_bytes=8),
        name=slice(11, 35),
        password=slice(3, 11),
        card=slice(35, 39),
    ),
    28: Layout(
        struct.Struct("<HB5s8sIxBHI"),
        struct.Struct("<24xI"),
        Limits(user_id_bytes=4, name_bytes=8, password_bytes=5, number_ids=True),
        name=slice(8, 16),
        password=slice(3, 8),
        card=slice(16, 20),
    ),
}


def up_to_nul(data: bytes) -> bytes:
    """The bytes of a text field before its first NUL."""
    return data.split(b"\0", 1)[0]
