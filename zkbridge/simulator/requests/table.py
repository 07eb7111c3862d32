"""The table of commands, and the words in which their functions speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.network.exchange import Answer, Part
from zkbridge.simulator.wire.codes import Code, Command, command_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkbridge.simulator.device.terminal import Terminal
    from zkbridge.simulator.network.link import Link
    from zkbridge.simulator.network.session import Session


class Enrolments(Protocol):
    """What a command may ask of the enrolment at the terminal."""

    def start(self, link: Link, uid: int, finger: int, flag: int) -> None:
        """Ask the person for a finger."""

    def cancel(self) -> None:
        """Stop asking."""


class Host(Protocol):
    """What a command may ask of the machine around the terminal's data."""

    comm_key: int
    enrolments: Enrolments

    def open_session(self, link: Link) -> Session | None:
        """A session on a connection, the one that is there already, or None when there is no place."""

    def close_session(self, link: Link) -> None:
        """End the session of a connection."""

    def restart_soon(self) -> None:
        """Power off and on in a moment."""

    def power_off_soon(self) -> None:
        """Power off in a moment."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with all that its function may look at."""

    command: int
    data: bytes
    session_field: int
    session: Session | None
    link: Link
    terminal: Terminal
    host: Host

    @property
    def udp(self) -> bool:
        """Whether it came in a datagram."""
        return self.link.udp


_TABLE: dict[int, Callable[[Request], Answer]] = {}

#: Commands that need no session, or begin one.
_OPEN = {Command.CONNECT, Command.AUTH, Command.EXIT}


def command(*numbers: Command) -> Callable[[Callable[[Request], Answer]], Callable[[Request], Answer]]:
    """Enter a function in the table."""

    def enter(function: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        for number in numbers:
            _TABLE[number] = function
        return function

    return enter


def answer(request: Request) -> Answer | None:
    """Carry a request out and answer it; None where a terminal stays silent.

    An ACK_OK of the client is the acknowledgement of an event and is never answered.
    """
    if request.command == Code.OK:
        return None
    switches = request.terminal.switches
    if request.command not in _OPEN and not _authorised(request):
        return code(switches.unauthorised_code)
    recorded = request.terminal.profile.recorded.answers.get((request.command, request.data))
    if recorded is not None:
        return Answer((Part(*recorded),))
    function = _TABLE.get(request.command)
    if function is None or command_name(request.command) in switches.lacks.split(","):
        return code(switches.unknown_command)
    try:
        with request.terminal.lock:
            return function(request)
    except Refused as refusal:
        return code(refusal.code)


def ok(data: bytes = b"", *, session: int | None = None, then: Callable[[], None] | None = None) -> Answer:
    """ACK_OK with data."""
    return Answer((Part(Code.OK, data, session),), then=then)


def code(number: int) -> Answer:
    """A bare code."""
    return Answer((Part(number),))


def need(data: bytes, size: int) -> bytes:
    """The data of a request when it is long enough; Refused otherwise."""
    if len(data) < size:
        raise Refused(f"{len(data)} bytes of data where {size} are needed")
    return data


def _authorised(request: Request) -> bool:
    session = request.session
    if session is None or not session.authorised:
        return False
    return not request.terminal.switches.check_session or request.session_field == session.number
