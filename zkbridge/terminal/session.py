"""A session: all that can be asked of a terminal in one conversation, in the bridge's own types and errors."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from zkbridge.config.models import Device
from zkbridge.contract.errors import TerminalError
from zkbridge.port.facts import Info, Sizes
from zkbridge.terminal.attendance import Attendance
from zkbridge.terminal.copies import Copies
from zkbridge.terminal.known import Known
from zkbridge.terminal.line import PersistentConnection
from zkbridge.terminal.locks import Waiting, ignore
from zkbridge.terminal.protocol.deadline import Deadline

__all__ = ["Info", "Known", "Session", "Sizes", "enable", "open_session", "reach"]


class Session(Attendance, Copies):
    """One conversation. Whatever is asked raises TerminalError when the terminal fails or refuses it."""


def open_session(
    device: Device,
    *,
    deadline: Deadline,
    known: Known,
    disable_for: int | None,
    enable_first: bool = False,
    lock_dir: Path | None = None,
    line: PersistentConnection | None = None,
    waiting: Waiting = ignore,
) -> Session:
    """A session, to be used in a `with`; the terminal is disabled meanwhile if `disable_for` says for how long (s).

    `enable_first`: an earlier one may have left it disabled, and people come before requests. With a `line` the
    session is held over its connection, which stays. `waiting` is called now and then while another process talks to
    the terminal; what it raises ends the waiting.
    """
    return Session(
        device,
        deadline=deadline,
        known=known,
        disable_for=disable_for,
        enable_first=enable_first,
        lock_dir=lock_dir,
        line=line,
        waiting=waiting,
    )


def enable(
    device: Device,
    *,
    deadline: Deadline,
    lock_dir: Path | None = None,
    line: PersistentConnection | None = None,
    waiting: Waiting = ignore,
) -> None:
    """Enable a terminal that an earlier session may have left disabled. Raises TerminalError."""
    with _passing(device, deadline, lock_dir, line, waiting) as session:
        session.enable()


def reach(
    device: Device,
    *,
    deadline: Deadline,
    lock_dir: Path | None = None,
    line: PersistentConnection | None = None,
    waiting: Waiting = ignore,
    ask_clock: bool = False,
) -> Info:
    """Find out whether a terminal answers, without disabling it. Raises TerminalError.

    With `ask_clock` its clock is read last; a terminal that fails at that has answered all the same.
    """
    with _passing(device, deadline, lock_dir, line, waiting) as session:
        info = session.brief()
        if ask_clock:
            with suppress(TerminalError):
                session.time()
            info = session.told
        return info


def _passing(
    device: Device,
    deadline: Deadline,
    lock_dir: Path | None,
    line: PersistentConnection | None,
    waiting: Waiting,
) -> Session:
    """A session that leaves people alone and learns nothing."""
    return open_session(
        device, deadline=deadline, known=Known(), disable_for=None, lock_dir=lock_dir, line=line, waiting=waiting
    )
