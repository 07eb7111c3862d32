"""What a terminal answers to each command: one function a command, gathered in one table."""

from zkbridge.simulator.requests import access, data, device, fingers, session, users
from zkbridge.simulator.requests.table import Host, Request, answer

__all__ = ["Host", "Request", "access", "answer", "data", "device", "fingers", "session", "users"]
