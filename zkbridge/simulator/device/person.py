"""A person punches in: whether the terminal lets them, and what it logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import VOICES
from zkbridge.simulator.wire.records import Punch

if TYPE_CHECKING:
    from datetime import datetime

    from zkbridge.simulator.device.terminal import Terminal


def punch(
    terminal: Terminal, user_id: str, *, verify: int = 1, state: int = 0, when: datetime | None = None
) -> Punch | None:
    """Punch in: a line of the log, or None when the terminal does not let this person in and says why.

    `verify` is 0 password, 1 finger, 2 card, 15 face; `state` 0 in, 1 out, 2 to 5 break and overtime.
    """
    with terminal.lock:
        if terminal.disabled:
            return None
        try:
            punched = _entitled(terminal, user_id, verify, state, when or terminal.clock.now())
            terminal.logs.add_punch(punched)
        except Refused as refusal:
            terminal.front.say(str(refusal))
            return None
        terminal.front.say(VOICES[0])
        return punched


def _entitled(terminal: Terminal, user_id: str, verify: int, state: int, when: datetime) -> Punch:
    uid = terminal.users.find(user_id)
    if uid is None:
        raise Refused(VOICES[3])
    user = records.view_user(terminal.users.stored[uid], terminal.switches.encoding)
    if user.privilege & 1 and terminal.switches.honour_disabled_bit:
        raise Refused(VOICES[2])
    if user.group == 0 and terminal.switches.group_zero_locks_out:
        raise Refused(VOICES[31])
    return Punch(uid, user_id, verify, state, wire.encode_time(when))
