"""The numbers of the protocol, with their names.

Source: command manual of 2006 (fananimi/pyzk, docs/_static), constants of pyzk 0.9, adrobinoga/zk-protocol.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Command(IntEnum):
    """What a client may ask; a few numbers are also used by the terminal (500, 1500, 1501)."""

    DB_RRQ = 7
    USER_WRQ = 8
    USERTEMP_RRQ = 9
    USERTEMP_WRQ = 10
    OPTIONS_RRQ = 11
    OPTIONS_WRQ = 12
    ATTLOG_RRQ = 13
    CLEAR_DATA = 14
    CLEAR_ATTLOG = 15
    DELETE_USER = 18
    DELETE_USERTEMP = 19
    CLEAR_ADMIN = 20
    USERGRP_RRQ = 21
    USERGRP_WRQ = 22
    USERTZ_RRQ = 23
    USERTZ_WRQ = 24
    GRPTZ_RRQ = 25
    GRPTZ_WRQ = 26
    TZ_RRQ = 27
    TZ_WRQ = 28
    ULG_RRQ = 29
    ULG_WRQ = 30
    UNLOCK = 31
    CLEAR_OPLOG = 33
    OPLOG_RRQ = 34
    GET_FREE_SIZES = 50
    ENABLE_CLOCK = 57
    STARTVERIFY = 60
    STARTENROLL = 61
    CANCELCAPTURE = 62
    STATE_RRQ = 64
    WRITE_LCD = 66
    CLEAR_LCD = 67
    GET_PINWIDTH = 69
    DOORSTATE_RRQ = 75
    VERIFY_WRQ = 79
    VERIFY_RRQ = 80
    TMP_WRITE = 87
    GET_USERTEMP = 88
    SAVE_USERTEMPS = 110
    CHECKSUM_BUFFER = 119
    DEL_USER_TEMP = 134
    GET_TIME = 201
    SET_TIME = 202
    REG_EVENT = 500
    CONNECT = 1000
    EXIT = 1001
    ENABLE = 1002
    DISABLE = 1003
    RESTART = 1004
    POWEROFF = 1005
    SLEEP = 1006
    RESUME = 1007
    TEST_TEMP = 1011
    REFRESHDATA = 1013
    REFRESHOPTION = 1014
    TESTVOICE = 1017
    GET_VERSION = 1100
    AUTH = 1102
    PREPARE_DATA = 1500
    DATA = 1501
    FREE_DATA = 1502
    PREPARE_BUFFER = 1503
    READ_BUFFER = 1504


class Code(IntEnum):
    """How a terminal answers."""

    OK = 2000
    ERROR = 2001
    UNAUTH = 2005
    UNKNOWN = 65535


class Event(IntFlag):
    """Real-time events: the bit of the mask is also the code in the event's session field."""

    ATTLOG = 1
    FINGER = 2
    NEW_USER = 4
    ENROLLED = 8
    BUTTON = 16
    UNLOCK = 32
    VERIFY = 128
    FINGER_SCORE = 256
    ALARM = 512


#: What the terminal says aloud (command 1017), by index; other indexes are silent.
VOICES = {
    0: "Thank you",
    1: "Incorrect password",
    2: "Access denied",
    3: "Invalid ID",
    4: "Please try again",
    5: "Duplicate ID",
    6: "The clock is flow",
    7: "The clock is full",
    8: "Duplicate finger",
    9: "Duplicated punch",
    10: "Cuckoo",
    11: "Siren",
    13: "Bell",
    18: "Windows sound",
    20: "Fingerprint not enrolled",
    21: "Password not enrolled",
    22: "Badge not enrolled",
    23: "Face not enrolled",
    24: "Beep",
    30: "Invalid user",
    31: "Invalid time period",
    32: "Invalid combination",
    33: "Illegal access",
    34: "Disk full",
    35: "Duplicate fingerprint",
    36: "Finger not registered",
    51: "Focus eyes on the green box",
}


def command_number(command: int | str) -> int:
    """The number of a command given as a number, its digits or its name, in any case.

    Raises ValueError for a name that is none.
    """
    if isinstance(command, int):
        return int(command)
    if command.isdigit():
        return int(command)
    try:
        return Command[command.upper()]
    except KeyError:
        raise ValueError(f"{command!r} is not a command of the protocol") from None


def command_name(number: int) -> str:
    """The name of a command or an answer, or its number as text."""
    for names in (Command, Code):
        try:
            return names(number).name
        except ValueError:
            continue
    return str(number)
