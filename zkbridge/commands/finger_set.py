"""The fingers that a user is to have on a terminal: which differ there, and how they are made equal."""

from __future__ import annotations

from collections.abc import Sequence

from zkbridge.contract.errors import DeviceRejected
from zkbridge.port.capabilities import Terminal
from zkbridge.port.fingers import Finger
from zkbridge.port.users import User

#: The terminal's indexes of a user's fingers.
FINGERS = range(10)


class FingerSet:
    """The fingers of one user as they are to be; `exact`: and no others."""

    def __init__(self, fingers: Sequence[Finger], *, exact: bool) -> None:
        self.fingers = list(fingers)
        self._exact = exact
        self._wanted = {each.index for each in fingers}

    def missing(self, session: Terminal, user: User) -> list[Finger]:
        """Those that the terminal does not hold as they are to be."""
        return [each for each in self.fingers if not _holds(session, user, each)]

    def surplus(self, session: Terminal, user: User) -> list[int]:
        """The indexes of those that are to be deleted."""
        others = [index for index in FINGERS if index not in self._wanted] if self._exact else []
        return [index for index in others if session.has_finger(user, index)]

    def are_held(self, session: Terminal, user: User) -> bool:
        """Whether the terminal holds them as they are to be."""
        return not self.missing(session, user) and not self.surplus(session, user)

    def write(self, session: Terminal, user: User, missing: Sequence[Finger], extra: Sequence[int]) -> None:
        """Delete what is extra and write what is missing. What the terminal refuses is left: look at the result.

        Finger 0 is deleted last: some firmware takes the others along, and they are written again then.
        """
        for index in sorted(extra, reverse=True):
            _delete(session, user, index)
        for finger in self.fingers:
            if finger in missing or (extra and not _holds(session, user, finger)):
                _put(session, user, finger)


def _delete(session: Terminal, user: User, index: int) -> None:
    try:
        session.delete_finger(user, index)
    except DeviceRejected as refusal:
        if refusal.ends_session:
            raise


def _put(session: Terminal, user: User, finger: Finger) -> None:
    """Write a finger; where the terminal keeps the old one instead, after deleting that."""
    try:
        if not session.put_finger(user, finger, keep_flag=True) and session.has_finger(user, finger.index):
            session.delete_finger(user, finger.index, spare_others=True)
            session.put_finger(user, finger, keep_flag=True)
    except DeviceRejected as refusal:
        if refusal.ends_session:
            raise


def _holds(session: Terminal, user: User, finger: Finger) -> bool:
    """Whether the terminal holds just this template."""
    return finger.is_template(session.template(user, finger.index))
