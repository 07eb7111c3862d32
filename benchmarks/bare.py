"""What the bridge is compared with: bare pyzk 0.9 doing the plain sequence, as the REST service did."""

from __future__ import annotations

import time

from zk import ZK

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
