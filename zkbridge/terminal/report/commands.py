"""Which commands and settings a terminal knows, and what it answers to the others."""

from __future__ import annotations

from typing import Any

from zkbridge.terminal.protocol.codes import Code
from zkbridge.terminal.report import options
from zkbridge.terminal.report.recording import Recording

#: Switches of the simulator by their names; it checks their values, and knows nothing of this package.
Switches = dict[str, Any]

#: Commands that a report asks for, by their names in the simulator; those of access control have a switch of their own.
NAMES = {
    9: "USERTEMP_RRQ",
    13: "ATTLOG_RRQ",
    19: "DELETE_USERTEMP",
    21: "USERGRP_RRQ",
    64: "STATE_RRQ",
    69: "GET_PINWIDTH",
    75: "DOORSTATE_RRQ",
    80: "VERIFY_RRQ",
    87: "TMP_WRITE",
    88: "GET_USERTEMP",
    119: "CHECKSUM_BUFFER",
    1100: "GET_VERSION",
    1503: "PREPARE_BUFFER",
}
ACCESS = (23, 25, 27, 29)
_UNDOCUMENTED_STATE = 2


def known_commands(recording: Recording) -> Switches:
    """The findings, by the names of the simulator's switches."""
    return _unknown(recording) | _user_ids(recording) | _lacking(recording)


def _unknown(recording: Recording) -> Switches:
    found: Switches = {}
    unknown = next((each for each in recording.exchanges if each.asks(Code.UNKNOWN)), None)
    if unknown is not None and unknown.code is not None:
        found["unknown_command"] = unknown.code
    option = recording.find(f"option {options.UNKNOWN}")
    if option is not None and option.code not in (None, Code.OK):
        found["unknown_option"] = option.code
    width = recording.find("pin width")
    if width is not None and width.code == Code.OK and width.data in (b"", b"\0"):
        found["pin_width_reply"] = "zero" if width.data else "empty"
    return found


def _user_ids(recording: Recording) -> Switches:
    option = recording.find("option ~PIN2Width")
    if option is None or option.code is None:
        return {}
    if option.code != Code.OK:
        width = recording.find("pin width")
        told = {} if width is None or len(width.data) != 1 or not width.data[0] else {"user_id_width": width.data[0]}
        return {"tells_user_id_width": False} | told
    told_width = option.data.split(b"\0")[0].rpartition(b"=")[2]
    return {"user_id_width": int(told_width)} if told_width.isdigit() and int(told_width) else {}


def _lacking(recording: Recording) -> Switches:
    """Which commands the firmware does not know, and what it says of its door."""
    unknown = _unknown(recording).get("unknown_command")
    known: dict[int, int] = {}
    for each in recording.exchanges:
        if each.ask is not None and each.code:
            known.setdefault(each.ask.command, each.code)  # a command that is known may not know each request
    found: Switches = {}
    lacks = [name for command, name in NAMES.items() if unknown is not None and known.get(command) == unknown]
    if lacks:
        found["lacks"] = ",".join(lacks)
    access = [known[command] for command in ACCESS if command in known]
    if access and unknown is not None:
        found["access_control"] = any(code != unknown for code in access)
    door = recording.find("door")
    if door is not None and door.code == Code.OK:
        found["door_state"] = "none" if not door.data else "2" if door.data[0] == _UNDOCUMENTED_STATE else "byte"
    return found
