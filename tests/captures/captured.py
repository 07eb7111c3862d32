"""Bytes of real terminals and of the clients that spoke to them, typed from where they were published.

Each name says what the bytes are; the comment above a group says whose they are. "F19" is the terminal of
adrobinoga/zk-protocol; issue numbers are fananimi/pyzk's unless another repository is named.
Whatever could name a person is left out: the tables have contents of our own, in the captured frames.
"""

# ruff: noqa: DTZ001  a terminal knows no time zone

from __future__ import annotations

import struct
from datetime import datetime


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


#: Whole packets without the TCP top.
PACKETS = {
    # adrobinoga/zk-protocol protocol.md, terminal.md, data-user.md, realtime.md (F19).
    "F19: read ZKFaceVersion": _bytes("0b 00 5a 17 f3 8d 03 00") + b"ZKFaceVersion\0",
    "F19: PIN width, odd length": _bytes("d0 07 29 6a f3 8d 0a 00 09"),
    "F19: ~Platform": _bytes("d0 07 71 4c f3 8d 0c 00") + b"~Platform=ZEM760_TFT\0",
    "F19: read ~OS": _bytes("0b 00 58 ef c5 c0 05 00 7e 4f 53 00"),
    "F19: write LockOn": _bytes("0c 00 eb bb 84 c5 47 00") + b"LockOn=5\0",
    "F19: verify mode of uid 13": _bytes("4f 00 ea 79 e7 84 45 00 0d 00 8d") + bytes(21),
    "F19: write user 14": _bytes("08 00 fc 57 9d 8a 5c 00 0e 00 06 31 32 33 34 35 36 00 7c 4e 75 65 76 6f")
    + bytes(19)
    + _bytes("8f 19 00 00 01 00 00 00 00 00 00 00 00 31 31 32 32 34 34 38 38")
    + bytes(16),
    "F19: finger score 100": _bytes("f4 01 a7 fc 00 01 00 00 64"),
    "F19: punch": _bytes("f4 01 ac 12 01 00 00 00") + b"999111333".ljust(24, b"\0") + _bytes("01 00 12 06 19 11 29 05"),
    # srikirank/js_zklib issue 53 (K40).
    "K40: CONNECT": _bytes("e8 03 16 fc 00 00 01 00"),
    "K40: answer to CONNECT": _bytes("d0 07 8e 8c a0 6b 01 00"),
    # Issue 41 (AK3750).
    "AK3750: answer to CONNECT": _bytes("d0 07 f2 7a 3d 7d 00 00"),
    "AK3750: unknown command": _bytes("ff ff b8 82 3d 7d 0a 00"),
    # pyzk test.py (a Z40 with 70 users; others).
    "Z40: answer to CONNECT": _bytes("d0 07 ff fc 2f fb 00 00"),
    "Z40: unauthorised": _bytes("d5 07 5b b2 cf 45 00 00"),
    "Z40: AUTH of key 12": _bytes("4e 04 4e 2c cf 45 01 00 61 4d 32 3c"),
    "Z40: PIN width": _bytes("d0 07 ba bb 5c 3c 10 00 09"),
    "Z40: read users": _bytes("df 05 b3 cb 58 20 14 00 01 09 00 05 00 00 00 00 00 00 00"),
    "Z40: 5044 bytes are ready": _bytes("d0 07 a7 62 5c 3c 15 00 00 b4 13 00 00 b4 13 00 00 cd ef 23 00"),
    "Z40: 5044 bytes in frames of 1008": _bytes("dc 05 0d a6 5c 3c 16 00 b4 13 00 00 f0 03 00 00"),
    "Z40: the sixth frame": _bytes("dd 05 07 fa 05 00 16 00 00 00 00 00"),
    "newer: 7572 bytes are ready": _bytes("d0 07 ac f9 30 64 16 00 00 94 1d 00 00 94 1d 00 00 b4 00 be 00"),
    "newer: 7572 bytes in frames of 65536": _bytes("dc 05 47 78 30 64 17 00 94 1d 00 00 00 00 01 00"),
    "Z40: a template of 1244 bytes in frames of 1008": _bytes("dc 05 55 58 d0 98 32 00 dc 04 00 00 f0 03 00 00"),
    "Z40: the end of two frames": _bytes("d0 07 fc f7 01 00 32 00"),
    "Z40: FREE_DATA": _bytes("de 05 ae bd 5c 3c 17 00"),
}

#: zk-protocol access.md (F19): what 27, 25 and 29 answered, and the data in it.
ACCESS_PACKETS = {
    "F19: time zone 48": _bytes("d0 07 2f a5 12 63 27 00 30 00 11 0c 11 0d" + " 11 25" * 10 + " 11 23 11 24 a7 1c"),
    "F19: group 77": _bytes("d0 07 79 f1 12 63 56 00 4d 08 00 07 00 06 00 8e"),
    "F19: unlock combination 7": _bytes("d0 07 b5 93 12 63 5d 00 07 01 02 00 00 00 02 00"),
}
PACKETS |= ACCESS_PACKETS
#: Packets that pyzk 0.9 makes.
PACKETS |= {
    "pyzk: CONNECT": _bytes("e8 03 17 fc 00 00 00 00"),
    "pyzk: EXIT": _bytes("e9 03 e6 dc 2e 1f 02 00"),
    "pyzk: GET_FREE_SIZES": _bytes("32 00 9d e0 2e 1f 02 00"),
    "pyzk: an event is acknowledged": _bytes("d0 07 01 d9 2e 1f 00 00"),
    "pyzk: read ~SerialNumber": _bytes("0b 00 c2 97 2e 1f 01 00") + b"~SerialNumber\0",
}
ZONE_48, GROUP_77, COMBINATION_7 = (packet[8:] for packet in ACCESS_PACKETS.values())

#: First bytes of DATA frames whose contents are people's: command, checksum, frame's index, reply id.
DATA_HEADS = {
    # pyzk test.py.
    "Z40": ["dd05d05800001600", "dd0520b601001600", "dd059a2102001600", "dd053da903001600", "dd05037d04001600"],
    # srikirank/js_zklib issue 53.
    "K40": ["dd05942600000200"],
}

#: zk-protocol data-user.md: uid 13, "Ned", rubbish after the NUL of the password, own time zones 1 and 2.
NED = _bytes("0d 00 00 34 34 34 00 c6 9a 80 7c 4e 65 64").ljust(35, b"\0") + (
    _bytes("de 00 00 00 02 01 00 01 00 02 00 00 00") + b"555".ljust(24, b"\0")
)
#: zk-protocol data-user.md: the record in "write user 14".
NUEVO = PACKETS["F19: write user 14"][8:]

#: zk-protocol data-record.md: a row of the attendance log and one of the operation log.
PUNCH = _bytes("0d 00") + b"999111333".ljust(24, b"\0") + _bytes("01 6b b3 68 23 00 00 00 00 00 ff 00 00 00")
PUNCHED_AT = datetime(2018, 6, 25, 17, 50, 35)
OPERATION = _bytes("00 00 06 2a c2 9b 68 23 03 00 00 00 07 00 02 05")
#: Issues 166, 174, 236: what follows each row on a SpeedFace, an MB560-VL, a ProFace.
TAIL_OF_49 = _bytes("ff 32 35 35 00 00 00 00 00")

#: zk-protocol data-user.md: how an entry of the table of templates begins: 1220 bytes, uid 14, finger 4, valid.
TEMPLATE_ENTRY = _bytes("c4 04 0e 00 04 01 4d fd 53 53 32 31 00 00 04 be be 04 08 05 07 09 ce d0")
#: pyzk test.py: sizes of templates that command 88 read, and their last bytes, of which 01 is the terminal's.
TEMPLATE_ENDS = {1243: _bytes("4c cc c1 01"), 1010: _bytes("a0 57 01")}

#: Issue 111 (F18): the answer to GET_FREE_SIZES, in words.
F18_SIZES = struct.pack(
    "<23i", 0, 0, 0, 0, 3, 0, 3, 0, 0x3A, 0, 0x5A, 0, 2, 2, 3000, 5000, 100_000, 2997, 4997, 99_942, 0, 0, 0
)

#: srikirank/js_zklib issue 7: how much came by UDP, and in datagrams of how many bytes.
UDP_PREPARE = _bytes("a0 26 00 00 00 04 00 00")
#: What newer firmware announces as the size of its frames.
FRAMES = {"1008": _bytes("f0 03 00 00"), "65528": _bytes("f8 ff 00 00"), "65536": _bytes("00 00 01 00")}

#: pyzk 0.9's MakeKey, and "AUTH of key 12": key, session, four bytes.
KEYS = [
    (12, 0x45CF, "61 4d 32 3c"),
    (0, 0x1F2E, "61 7d 32 66"),
    (0, 0x0001, "61 7d 32 79"),
    (1234, 0x1F2E, "41 36 32 66"),
    (1234, 0x1F99, "41 36 32 66"),
    (1234, 0x2E2E, "41 36 32 57"),
    (5678, 0x1F2E, "09 09 32 66"),
    (123456, 0x6BA0, "26 7f 32 92"),
    (999999, 0xFFFF, "22 81 32 96"),
]

#: zk-protocol terminal.md and data-record.md, and what pyzk makes of others.
TIMES = [
    (datetime(2000, 1, 1), "00 00 00 00"),
    (datetime(2018, 6, 25, 17, 41, 5), "31 b1 68 23"),
    (datetime(2018, 6, 25, 17, 50, 35), "6b b3 68 23"),
    (datetime(2026, 2, 28, 23, 59, 59), "7f f4 1c 32"),
    (datetime(2099, 12, 31, 23, 59, 59), "ff f7 92 bf"),
]

#: zk-protocol realtime.md: EF_VERIFY of an unknown person; alarms of duress and passback of uid 5, matched in way 1.
UNKNOWN_PERSON = _bytes("ff ff ff ff 01")
ALARMS = {
    "duress": _bytes("ff ff ff ff 20 00 05 00 01 00 00 00"),
    "passback": _bytes("ff ff ff ff 22 00 05 00 01 00 00 00"),
}
#: The manual of 2006: STARTENROLL of user 1, finger 7.
ENROL_OF_THE_MANUAL = _bytes("01 00 07 00")
