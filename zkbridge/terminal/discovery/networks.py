"""Which addresses a sweep may ask: those of a network that was named, or of the machine's own private networks."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network
from pathlib import Path

#: The most addresses of one network: to sweep a named one takes some six minutes, an own one half a minute.
MOST_NAMED, MOST_OWN = 65_536, 4_096
#: The columns of the kernel's table of routes.
_DESTINATION, _GATEWAY, _MASK = 1, 2, 7
_DIRECT = "00000000"


def named(text: str) -> IPv4Network:
    """The network that a person named, as `192.168.1.0/24`, any address in it with `/24`, or one address.

    Raises ValueError with a sentence.
    """
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no IPv4 network, such as 192.168.1.0/24") from None
    if network.num_addresses > MOST_NAMED:
        raise ValueError(f"{network} has {network.num_addresses} addresses; name a part with at most {MOST_NAMED}")
    return network


def own_networks(routes: Path = Path("/proc/net/route")) -> tuple[list[IPv4Network], list[IPv4Network]]:
    """The private networks that this machine is in: those to ask, and those that are too large to ask unnamed."""
    try:
        lines = routes.read_text("ascii").splitlines()[1:]
    except OSError:
        return [], []
    cells = [line.split() for line in lines]
    direct = {
        IPv4Network((_address(row[_DESTINATION]), _address(row[_MASK])))
        for row in cells
        if len(row) > _MASK and row[_GATEWAY] == _DIRECT and row[_MASK] != _DIRECT
    }
    private = sorted(each for each in direct if each.is_private and not each.is_link_local and not each.is_loopback)
    small = [each for each in private if each.num_addresses <= MOST_OWN]
    return small, [each for each in private if each not in small]


def _address(column: str) -> str:
    """An address as the kernel prints it: a number in the machine's byte order."""
    return socket.inet_ntoa(bytes.fromhex(column)[::-1])
