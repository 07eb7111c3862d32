"""Look in a network for the terminal that has a device's serial number."""

from __future__ import annotations

from collections.abc import Callable, Container
from ipaddress import IPv4Network
from pathlib import Path
from typing import NamedTuple

from zkbridge.config.models import Device
from zkbridge.contract.errors import TerminalError
from zkbridge.terminal.discovery.sweep import sweep
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import reach

#: Seconds that a terminal has to say who it is, with the wait for another program that talks to it.
_ANSWER_S = 5.0
#: Connections under way at once: a daemon has other work, and a small machine few threads.
_AT_ONCE = 32


class Outcome(NamedTuple):
    """Where the terminal is, None if not found; how many addresses were asked, and how many answered on the port."""

    host: str | None
    asked: int
    answered: int


class GivenUp(Exception):
    """The search was interrupted."""


def look_for(
    device: Device,
    *,
    lock_dir: Path | None,
    skip: Container[str] = (),
    give_up: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Ask at the configured host, then at every address of `find`, but for those of `skip`.

    A terminal that answers with another serial number is asked nothing else. One that wants a key is given the
    device's. Raises GivenUp soon after `give_up` returns true.
    """
    assert device.find is not None
    if _is_at(device.host, device, lock_dir, give_up):
        return Outcome(device.host, 1, 1)
    hosts = [host for host in map(str, IPv4Network(device.find).hosts()) if host not in skip]
    places = sweep(hosts, device.port, lock_dir=lock_dir, at_once=_AT_ONCE, give_up=give_up)
    # A UDP device may be at an address that answered over TCP; a TCP device only at one that answered over TCP.
    usable = [place.host for place in places if place.transport in ("tcp", device.transport)]
    host = next((each for each in usable if _is_at(each, device, lock_dir, give_up)), None)
    return Outcome(host, len(hosts), len(places))


def _is_at(host: str, device: Device, lock_dir: Path | None, give_up: Callable[[], bool]) -> bool:
    """Whether the terminal at this host is the device's; the connection itself compares the serial numbers."""

    def check() -> None:
        if give_up():
            raise GivenUp

    check()
    there = device.model_copy(update={"host": host})
    try:
        reach(there, deadline=Deadline.after(min(device.timeout, _ANSWER_S)), lock_dir=lock_dir, waiting=check)
    except TerminalError:
        return False
    return True
