"""The data of the event of an alarm.

Source: adrobinoga/zk-protocol, realtime.md, "Alarm". Of the alarms without a user only the first byte and the length
are documented; the rest is zero here.
"""

from __future__ import annotations

import struct

#: The first byte, and the length, of alarms without a user.
_BARE = {"misoperation": (0x3A, 4), "tamper": (0x37, 4), "exit_button": (0x35, 4), "door_closing": (0x54, 8)}
#: The type of alarms that a user causes.
_OF_USERS = {"duress": 0x20, "passback": 0x22}

ALARMS = (*_BARE, *_OF_USERS)


def alarm_data(kind: str, uid: int = 0, match: int = 0) -> bytes:
    """The data of an alarm, 4, 8 or 12 bytes; `match` is the way in which the user was recognised, 0 to 2**32 - 1.

    Raises ValueError for an unknown kind.
    """
    if kind in _OF_USERS:
        return struct.pack("<4sHHI", b"\xff\xff\xff\xff", _OF_USERS[kind], uid, match)
    if kind not in _BARE:
        raise ValueError(f"{kind!r} is not one of {', '.join(ALARMS)}")
    first, size = _BARE[kind]
    return bytes((first,)).ljust(size, b"\0")
