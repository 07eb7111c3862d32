"""A person at the terminal: whether they are let in, and what is logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import VOICES
from zkbridge.simulator.wire.records import Punch

if TYPE_CHECKING:
    from datetime import datetime

    from zkbridge.simulator.device.terminal import Terminal

#: The way to verify that is a finger.
BY_FINGER = 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a person did at an enabled terminal.

    `uid` is None where the terminal does not know them, `punch` where it does not let them in.
    """

    verify: int
    uid: int | None
    punch: Punch | None


def punch(
    terminal: Terminal, user_id: str, *, verify: int = BY_FINGER, state: int = 0, when: datetime | None = None
) -> Attempt | None:
    """Try to punch in; None where the terminal is disabled. The front says why a person is not let in.

    `verify` is 0 password, 1 finger, 2 card, 15 face; `state` 0 in, 1 out, 2 to 5 break and overtime, up to 250 where
    the keys can be given any value (manual of the P160).
    """
    with terminal.lock:
        if terminal.disabled:
            return None
        uid = terminal.users.find(user_id)
        try:
            _check(terminal, uid)
            punched = Punch(uid or 0, user_id, verify, state, wire.encode_time(when or terminal.clock.now()))
            terminal.logs.add_punch(punched)
        except Refused as refusal:
            terminal.front.say(str(refusal))
            return Attempt(verify, uid, None)
        terminal.front.say(VOICES[0])
        return Attempt(verify, uid, punched)


def _check(terminal: Terminal, uid: int | None) -> None:
    """Raise Refused, with the sentence that the terminal says, when it does not let this user in."""
    if uid is None:
        raise Refused(VOICES[3])
    user = records.view_user(terminal.users.stored[uid], terminal.switches.encoding)
    if user.privilege & 1 and terminal.switches.honour_disabled_bit:
        raise Refused(VOICES[2])
    if user.group == 0 and terminal.switches.group_zero_locks_out:
        raise Refused(VOICES[31])
