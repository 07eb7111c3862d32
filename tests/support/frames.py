"""What a simulated terminal was asked, and when it is left alone again."""

from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.wire.codes import command_name


def asked(terminal: SimulatedTerminal, *, since: int = 0) -> list[str]:
    """The names of the requests that reached the terminal, in their order, from a place in its log on."""
    return [command_name(exchange.command) for exchange in terminal.log[since:] if exchange.direction == "in"]


def wait_for_session_end(*terminals: SimulatedTerminal) -> None:
    """Return when nobody is connected to the terminals and people can use them.

    A reply comes before the end of its session: the bridge sends ENABLE and EXIT afterwards. Call this between a reply
    and any look at a terminal's log, counts or state. Not for a terminal whose punches are listened to, which the
    bridge never leaves.
    """
    for terminal in terminals:
        wait_until(lambda t=terminal: not t.disabled and t.sessions_open == 0, what="the end of the terminal's session")
