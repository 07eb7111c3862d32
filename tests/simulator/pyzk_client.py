"""pyzk 0.9 as it is published, with the sockets closed that it forgets."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from zk import ZK

from tests.support.address import Address

TIMEOUT_S = 10


@contextmanager
def pyzk(terminal: Address, *, udp: bool = False, connect: bool = True, **options: Any) -> Iterator[Any]:
    """A client, connected unless told otherwise; only what it leaves open is touched."""
    options = {"timeout": TIMEOUT_S, "ommit_ping": True, "force_udp": udp} | options
    client = ZK(terminal.host, port=terminal.port, **options)
    # Its constructor opens a socket that connect() drops; nothing is sent on it.
    client._ZK__sock.close()
    try:
        yield client.connect() if connect else client
    finally:
        if client.is_connect:
            with suppress(Exception):
                client.disconnect()
        client._ZK__sock.close()
