"""What the bridge is compared with: bare pyzk 0.9 doing the plain sequence, as the REST service did."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from zk import ZK
from zk.finger import Finger

TIMEOUT_S = 60


def create(host: str, port: int, user_id: str, *, force_udp: bool = False) -> float:
    """One create by the plain sequence; the seconds it took. Raises what pyzk raises."""
    began = time.perf_counter()
    terminal = ZK(host, port=port, timeout=TIMEOUT_S, ommit_ping=True, force_udp=force_udp)
    connection = terminal.connect()
    try:
        connection.disable_device()
        users = connection.get_users()
        if any(user.user_id == user_id for user in users):
            raise RuntimeError(f"{user_id} is there already")
        connection.set_user(uid=None, name=f"Usuario {user_id}", password="1234", user_id=user_id)
        connection.enable_device()
    finally:
        connection.disconnect()
    return time.perf_counter() - began


def create_many(host: str, port: int, users: Sequence[tuple[str, str]]) -> None:
    """Users (user_id, name) in one conversation: the table is read once, then each is written."""
    with _disabled(host, port) as connection:
        there = {user.user_id for user in connection.get_users()}
        for user_id, name in users:
            if user_id not in there:
                connection.set_user(uid=None, name=name, user_id=user_id)


def enrol(host: str, port: int, users: Sequence[tuple[str, str]], template: bytes) -> None:
    """Users with a finger each."""
    create_many(host, port, users)
    with _disabled(host, port) as connection:
        for user in connection.get_users():
            connection.save_user_template(user, [Finger(user.uid, 0, 1, template)])


def copy(host: str, source: int, targets: Sequence[int]) -> None:
    """All users of a terminal, with their fingers, to others that have none of them, one conversation each."""
    with _disabled(host, source) as connection:
        users, fingers = connection.get_users(), connection.get_templates()
    for port in targets:
        with _disabled(host, port) as connection:
            there = {user.user_id for user in connection.get_users()}
            for user in users:
                if user.user_id not in there:
                    own = [finger for finger in fingers if finger.uid == user.uid]
                    connection.save_user_template(user, own)  # writes the user too


@contextmanager
def _disabled(host: str, port: int) -> Iterator[Any]:
    connection = ZK(host, port=port, timeout=TIMEOUT_S, ommit_ping=True).connect()
    try:
        connection.disable_device()
        yield connection
        connection.enable_device()
    finally:
        connection.disconnect()
