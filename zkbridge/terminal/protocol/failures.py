"""Turns the system's errors of a broken conversation into the contract's."""

from __future__ import annotations

import errno
import socket

from zkbridge.contract.errors import DeviceRejected, DeviceTimeout, DeviceUnreachable, TerminalError
from zkbridge.machine.limits import SHORTAGES
from zkbridge.terminal.protocol.wire import Garbled, TooMuch

#: Each kind of error with its reason; the first that fits counts.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (Garbled, "garbled"),
    (EOFError, "closed"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),  # reset, aborted, broken pipe: the terminal has dropped the connection
    (UnicodeError, "unknown_host"),  # a label that no name server can be asked for
)
_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_UNKNOWN_HOST = frozenset({socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL, getattr(socket, "EAI_NODATA", None)})

#: The errors that `failure` turns; any other is a fault of this program.
BREAKS = (OSError, EOFError, Garbled, UnicodeError)


def failure(error: Exception, host: str, port: int) -> TerminalError:
    """The contract's error for one that broke a conversation: of the connection, or DeviceRejected for TooMuch."""
    if isinstance(error, TimeoutError):
        return DeviceTimeout(host=host, port=port)
    if isinstance(error, TooMuch):
        rejected = DeviceRejected("too_much", host=host, port=port, detail=str(error))
        rejected.ends_session = True
        return rejected
    if isinstance(error, socket.gaierror):
        reason = "unknown_host" if error.errno in _UNKNOWN_HOST else "failed"
    elif isinstance(error, OSError) and error.errno in _NO_ROUTE:
        reason = "no_route"
    else:
        reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), "failed")
    if reason != "failed":
        return DeviceUnreachable(reason, host=host, port=port)
    SHORTAGES.note(error)
    detail = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return DeviceUnreachable("failed", host=host, port=port, detail=detail)
