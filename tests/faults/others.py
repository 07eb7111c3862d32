"""What goes wrong with a terminal, or on the way to it, that is not a matter of one frame."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.frames import ALWAYS, KEY, new_terminal
from tests.support.processes import closed_port
from zkbridge.simulator import SimulatedTerminal, Simulator


def _leave_alone(_: SimulatedTerminal) -> None:
    """For what switches or settings say."""


@dataclass(frozen=True, eq=False)
class Other:
    """One trouble: switches of the simulator, settings of the device, and what is done before the request."""

    name: str
    switches: dict[str, Any] = field(default_factory=dict)
    device: Callable[[], dict[str, Any]] = dict
    spoil: Callable[[SimulatedTerminal], object] = _leave_alone
    users: int = 3
    says_goodbye: bool = True

    def __str__(self) -> str:
        return self.name

    def start(self, simulator: Simulator) -> SimulatedTerminal:
        """A terminal of its own."""
        return new_terminal(simulator, "tft", self.users, **self.switches)

    def settings(self) -> dict[str, Any]:
        """What the daemon is told of it."""
        return {"comm_key": KEY, **self.device()}


#: Clients that hold a terminal's only place, until `release`.
_HOLDERS: list[socket.socket] = []


def _take_the_place(terminal: SimulatedTerminal) -> None:
    _HOLDERS.append(socket.create_connection((terminal.host, terminal.port)))
    terminal.faults.clear()


def release() -> None:
    """Let other clients go."""
    while _HOLDERS:
        _HOLDERS.pop().close()


def _another_client_at(command: str) -> Callable[[SimulatedTerminal], object]:
    return lambda terminal: terminal.faults.add(command, "after", _take_the_place)


def _visible_at_refresh(terminal: SimulatedTerminal) -> None:
    show = lambda handle: handle.machine.terminal.users.commit_waiting()  # noqa: E731 - a fault's function
    terminal.faults.add("REFRESHDATA", "before", show, count=ALWAYS)


def _visible_at_refresh_and_broken(terminal: SimulatedTerminal) -> None:
    _visible_at_refresh(terminal)
    terminal.faults.add("USER_WRQ", "after", "close")


OTHERS = (
    Other("the port is closed", device=lambda: {"host": "127.0.0.1", "port": closed_port()}),
    Other(
        "no route (to a multicast address, which takes no connections)",
        device=lambda: {"host": "224.0.0.1"},
    ),
    Other("an unknown host name", device=lambda: {"host": "no-such-host.invalid"}),
    Other("a wrong communication key", device=lambda: {"comm_key": 1}),
    Other("another protocol on the port", {"foreign_protocol": True}),
    Other("closed in the middle of the table, always", {"fin_after": 100}),
    Other("reset in the middle of the table, always", {"reset_after": 100}),
    Other("silent in the middle of the table, always", {"stall_after": 100}),
    Other("one client at a time, another is there: reset", {"second_connection": "refuse"}, spoil=_take_the_place),
    Other("one client at a time, another is there: ignored", {"second_connection": "ignore"}, spoil=_take_the_place),
    Other(
        "another client throws ours out after the write",
        {"second_connection": "replace"},
        spoil=_another_client_at("USER_WRQ"),
    ),
    Other("full", {"user_capacity": 3}),
    Other("counts two users more than its table holds", {"count_offset": 2}),
    Other("counts two users fewer than its table holds", {"count_offset": -2}),
    Other("counts two users, and its table is empty", {"count_offset": 2}, users=0),
    Other("says sizes too short to hold a count", {"sizes_length": 16}),
    Other("shows a written user after REFRESHDATA only", {"lazy_commit": True}, spoil=_visible_at_refresh),
    Other(
        "the same, and the connection closes after the write",
        {"lazy_commit": True},
        spoil=_visible_at_refresh_and_broken,
    ),
    Other("shows a written user after a restart only", {"lazy_commit": True}),
    Other("refuses the timed DISABLE", {"timed_disable": "refuse"}),
    Other("refuses REFRESHDATA", {"refuse_refresh": True}),
    Other(
        "loses its power at the write", spoil=lambda terminal: terminal.faults.add("USER_WRQ", "before", "power_off")
    ),
    Other(
        "every datagram arrives twice",
        {"udp_duplicate": 1.0},
        device=lambda: {"transport": "udp"},
    ),
)
