"""What a simulated terminal was asked."""

from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.wire.codes import command_name


def asked(terminal: SimulatedTerminal, *, since: int = 0) -> list[str]:
    """The names of the requests that reached the terminal, in their order, from a place in its log on."""
    return [command_name(exchange.command) for exchange in terminal.log[since:] if exchange.direction == "in"]
