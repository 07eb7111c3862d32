"""A ZKTeco terminal on the wire, TCP and UDP, made from published facts alone."""

from zkbridge.simulator.device.journal import Exchange
from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.device.switches import Switches
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.simulator.network.faults import Fault
from zkbridge.simulator.simulator import Simulator, TerminalConfig
from zkbridge.simulator.wire.codes import Code, Command, Event
from zkbridge.simulator.wire.records import Punch, Template, UserView

__all__ = [
    "Code",
    "Command",
    "Event",
    "Exchange",
    "Fault",
    "Punch",
    "Refused",
    "SimulatedTerminal",
    "Simulator",
    "Switches",
    "Template",
    "TerminalConfig",
    "UserView",
]
