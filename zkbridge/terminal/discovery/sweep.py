"""Which addresses of a network answer on the terminals' port, at a bounded rate.

Over TCP a connection is opened and closed, as pyzk 0.9 does before each conversation. Whoever does not answer it is
asked CONNECT over UDP, for nothing less is answered there, and EXIT after it. Source: zk-protocol `protocol.md`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from zkbridge.terminal.locks import is_held
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.wire import Frame, Garbled

#: Addresses asked a second, and connections under way at once.
PER_SECOND, AT_ONCE = 200, 200
#: Seconds that an address in the same network has to answer.
ANSWER_S = 1.0
#: A datagram may be lost, so the silent are asked twice.
_ROUNDS = 2
_DATAGRAM = 2048
_CONNECT = wire.pack(Frame(Command.CONNECT, 0, 0, b""))


class Place(NamedTuple):
    """An address that answers on the port, and over what."""

    host: str
    transport: str


def sweep(
    hosts: Sequence[str],
    port: int,
    *,
    lock_dir: Path | None = None,
    tell: Callable[[str], object] = lambda _: None,
    at_once: int = AT_ONCE,
    give_up: Callable[[], bool] = lambda: False,
) -> list[Place]:
    """Ask every address; those that answered, in their order. `tell` is called with each step.

    At most `at_once` connections are under way. Once `give_up` returns true no further address is asked.

    Over UDP a terminal with which a process of this machine talks is not asked, for CONNECT might end that
    conversation; it counts as one that answers.
    """
    tell(f"{len(hosts)} addresses over TCP")
    tcp = set(_over_tcp(hosts, port, at_once, give_up))
    silent = [host for host in hosts if host not in tcp]
    busy = {host for host in silent if is_held(f"{host}:{port}", lock_dir)}
    tell(f"{len(silent)} addresses over UDP")
    udp = busy | _over_udp([host for host in silent if host not in busy], port, give_up)
    return [Place(host, "tcp" if host in tcp else "udp") for host in hosts if host in tcp or host in udp]


def _over_tcp(hosts: Iterable[str], port: int, at_once: int, give_up: Callable[[], bool]) -> list[str]:
    with ThreadPoolExecutor(at_once) as pool:
        asked = [(host, pool.submit(_accepts, host, port, give_up)) for host in _paced(hosts, give_up)]
        return [host for host, accepts in asked if accepts.result()]


def _accepts(host: str, port: int, give_up: Callable[[], bool]) -> bool:
    if give_up():
        return False
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        return False
    return True


def _over_udp(hosts: Sequence[str], port: int, give_up: Callable[[], bool]) -> set[str]:
    found: set[str] = set()
    if not hosts or give_up():
        return found
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _ in range(_ROUNDS):
            for host in _paced([host for host in hosts if host not in found], give_up):
                with suppress(OSError):  # no route, a firewall: that address answers nothing
                    asking.sendto(_CONNECT, (host, port))
                found |= _answering(asking, port, seconds=0)
            found |= _answering(asking, port, seconds=ANSWER_S)
            found &= set(hosts)  # others may send what they like
    return found


def _answering(asking: socket.socket, port: int, *, seconds: float) -> set[str]:
    """Who has answered CONNECT; each is sent EXIT."""
    found: set[str] = set()
    end = time.monotonic() + seconds
    while True:
        asking.settimeout(max(0.0, end - time.monotonic()))
        try:
            raw, (host, sender) = asking.recvfrom(_DATAGRAM)
            answer = wire.unpack(raw)
        except OSError:
            return found
        except Garbled:
            continue
        if sender == port and answer.reply_id == 0:
            found.add(host)
            with suppress(OSError):
                asking.sendto(wire.pack(Frame(Command.EXIT, answer.session, 1, b"")), (host, port))


def _paced(hosts: Iterable[str], give_up: Callable[[], bool]) -> Iterator[str]:
    """The addresses, not faster than PER_SECOND, until it is given up."""
    begun = time.monotonic()
    for number, host in enumerate(hosts):
        if give_up():
            return
        time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
        yield host
