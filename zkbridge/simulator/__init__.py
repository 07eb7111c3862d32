"""A ZKTeco terminal on the wire, TCP and UDP, made from published facts alone."""

from zkbridge.simulator.codes import Code, Command, Event
from zkbridge.simulator.faults import Fault
from zkbridge.simulator.handle import SimulatedTerminal
from zkbridge.simulator.journal import Exchange
from zkbridge.simulator.records import Punch, Template, UserView
from zkbridge.simulator.rules import Refused
from zkbridge.simulator.simulator import Simulator, TerminalConfig
from zkbridge.simulator.switches import Switches

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
