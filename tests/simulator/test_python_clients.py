"""Clients from the Python index that nobody here wrote, unmodified: pyzk2 and zk-sdk."""

from collections.abc import Callable, Iterator

# ruff: noqa: DTZ001  a terminal knows no time zone
from contextlib import contextmanager
from datetime import datetime
from threading import Thread
from typing import Any

import pytest
from pyzk2 import ZK as ZK2
from pyzk2.finger import Finger
from pyzk2.user import User
from zk_sdk import ZKClient

from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal

WHEN = datetime(2026, 5, 10, 8, 30, 15)
TRANSPORTS = pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])


@contextmanager
def pyzk2(terminal: SimulatedTerminal, *, udp: bool = False, **options: Any) -> Iterator[Any]:
    client = ZK2(terminal.host, port=terminal.port, timeout=10, ommit_ping=True, force_udp=udp, **options)
    # As pyzk does, it forgets the socket that its constructor opens.
    client._ZK__sock.close()
    try:
        yield client.connect()
        client.disconnect()
    finally:
        client._ZK__sock.close()


@contextmanager
def zk_sdk(terminal: SimulatedTerminal, *, udp: bool = False, **options: Any) -> Iterator[Any]:
    client = ZKClient(terminal.host, port=terminal.port, ommit_ping=True, force_udp=udp, timeout=10, **options)
    client._zk._ZK__sock.close()
    try:
        with client:
            yield client
    finally:
        client._zk._ZK__sock.close()


def punch_once_registered(terminal: SimulatedTerminal) -> Thread:
    def person() -> None:
        wait_until(lambda: terminal.counts[500] and terminal.log[-1].direction == "out")
        terminal.punch("11", verify=2, state=1, when=WHEN)

    thread = Thread(target=person)
    thread.start()
    return thread


@TRANSPORTS
def test_pyzk2_reads_writes_and_deletes_users(start: Callable[..., SimulatedTerminal], udp: bool) -> None:
    terminal = start(comm_key=1234)
    terminal.add_user("10")
    with pyzk2(terminal, udp=udp, password=1234) as client:
        # Before it has read a table it takes every UDP terminal for one of 28-byte records.
        client.get_users()
        client.set_user(uid=5, name="Ana", user_id="11", password="99", privilege=14, card=7)
        client.set_user(uid=6, name="Bob", user_id="12")
        client.delete_user(user_id="12")
        _first, user = client.get_users()

    assert (user.uid, user.name, user.user_id, user.password, user.card) == (5, "Ana", "11", "99", 7)
    assert [held.user_id for held in terminal.users()] == ["10", "11"]
    assert terminal.sessions_open == 0


@pytest.mark.parametrize("layout", ["8", "16", "40", "49"])
def test_pyzk2_reads_attendance_in_all_layouts(start: Callable[..., SimulatedTerminal], layout: str) -> None:
    terminal = start(attendance=layout)
    terminal.add_user("11")
    for second in range(3):
        terminal.punch("11", state=1, when=WHEN.replace(second=second))

    with pyzk2(terminal) as client:
        log = client.get_attendance()

    assert [(line.user_id, line.status, line.punch, line.timestamp) for line in log] == [
        ("11", 1, 1, WHEN.replace(second=second)) for second in range(3)
    ]


@pytest.mark.parametrize("size", ["10", "12", "14", "32", "36", "37", "52"])
def test_pyzk2_sees_punches_live_in_all_lengths(start: Callable[..., SimulatedTerminal], size: str) -> None:
    terminal = start(event=size)
    terminal.add_user("11", uid=11)
    with pyzk2(terminal) as client:
        live = client.live_capture(new_timeout=5)
        person = punch_once_registered(terminal)
        seen = next(live)
        client.end_live_capture = True
        person.join()
        assert list(live) == []

    assert (seen.user_id, seen.status, seen.punch, seen.timestamp) == ("11", 2, 1, WHEN)


def test_pyzk2_saves_many_users_with_fingers_and_writes_the_display(terminal: SimulatedTerminal) -> None:
    users = [
        (User(uid, f"User {uid}", 0, user_id=str(uid)), [Finger(uid, 3, 1, bytes((uid,)) * 900)]) for uid in (1, 2)
    ]
    with pyzk2(terminal) as client:
        client.read_sizes()
        client.user_packet_size = 72
        client.HR_save_usertemplates(users)
        client.write_lcd(1, "Closed")
        assert terminal.display == "Closed"
        client.clear_lcd()
        assert client.clear_data()

    assert terminal.users() == []


def test_pyzk2_keeps_what_it_saves(terminal: SimulatedTerminal) -> None:
    with pyzk2(terminal) as client:
        client.user_packet_size = 72
        client.HR_save_usertemplates([(User(4, "Eva", 14, user_id="44"), [Finger(4, 9, 1, b"x" * 700)])])

    assert [(user.uid, user.user_id, user.privilege, user.group) for user in terminal.users()] == [(4, "44", 14, 1)]
    assert terminal.templates()[4, 9].data == b"x" * 700


@TRANSPORTS
def test_zk_sdk_manages_a_terminal(start: Callable[..., SimulatedTerminal], udp: bool) -> None:
    terminal = start(comm_key=77)
    terminal.add_user("11", "Ana", uid=3)
    terminal.punch("11", when=WHEN)
    with zk_sdk(terminal, udp=udp, password=77) as client:
        # Its get_info() fails on every terminal: its own model refuses the numbers that pyzk returns.
        assert client.conn.get_serialnumber() == "A8N5184260172"
        # As pyzk does, it must have read a table by UDP to know how long a record is.
        assert client.get_user("11").uid == 3
        client.add_user(uid=4, name="Bob", user_id="12", card=99)
        capacity = client.get_capacity()
        users = client.list_users()
        client.set_time(WHEN)
        now = client.get_time()
        assert not terminal.disabled

    assert terminal.option("SDKBuild") == "1"
    assert (capacity.users, capacity.records) == (2, 1)
    assert [(user.uid, user.user_id, user.card) for user in users] == [(3, "11", 0), (4, "12", 99)]
    assert now.date() == WHEN.date()
    assert len(terminal.disabled_spans()) == 3
    assert terminal.sessions_open == 0


def test_zk_sdk_finds_deletes_and_misses_users(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start()
    terminal.add_user("11", "Ana")
    with zk_sdk(terminal) as client:
        assert client.get_user("11").name == "Ana"
        assert client.get_user("404") is None
        client.delete_user(user_id="11")

    assert terminal.users() == []
