"""What a terminal answers to each command: one function a command, gathered in one table."""

from zkbridge.simulator.requests import data, device, fingers, session, users
from zkbridge.simulator.requests.table import Host, Request, answer

__all__ = ["Host", "Request", "answer", "data", "device", "fingers", "session", "users"]
