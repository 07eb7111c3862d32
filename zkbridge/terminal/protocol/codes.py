"""The numbers of the protocol: commands, reply codes, events.

Sources: adrobinoga/zk-protocol (sections terminal, data, realtime, other), pyzk 0.9 `const`, the ZKSoftware command
manual of 2006.
"""

from __future__ import annotations

from enum import IntEnum


class Command(IntEnum):
    """What is asked of a terminal."""

    DB_RRQ = 7
    USER_WRQ = 8
    USERTEMP_RRQ = 9
    OPTIONS_RRQ = 11
    ATTLOG_RRQ = 13
    CLEAR_ATTLOG = 15
    DELETE_USER = 18
    DELETE_USERTEMP = 19
    UNLOCK = 31
    GET_FREE_SIZES = 50
    STARTVERIFY = 60
    STARTENROLL = 61
    CANCELCAPTURE = 62
    DOORSTATE_RRQ = 75
    WRITE_TEMPLATE = 87
    READ_TEMPLATE = 88
    SAVE_USERTEMPS = 110
    CHECKSUM_BUFFER = 119
    DELETE_TEMPLATE = 134
    GET_TIME = 201
    SET_TIME = 202
    EVENT = 500
    CONNECT = 1000
    EXIT = 1001
    ENABLE = 1002
    DISABLE = 1003
    RESTART = 1004
    REFRESHDATA = 1013
    GET_VERSION = 1100
    AUTH = 1102
    PREPARE_DATA = 1500
    DATA = 1501
    FREE_DATA = 1502
    PREPARE_BUFFER = 1503
    READ_BUFFER = 1504


class Code(IntEnum):
    """How a terminal answers; it may answer other numbers too."""

    OK = 2000
    ERROR = 2001
    UNAUTH = 2005
    UNKNOWN = 65535


#: pyzk's idea of a good answer.
GOOD = frozenset({Code.OK, Command.PREPARE_DATA, Command.DATA})


class Event(IntEnum):
    """What a terminal sends unasked, and the bits to register for it."""

    PUNCH = 1
    FINGER = 2
    ENROLLED = 8
    SAMPLE = 256
