"""Whatever goes wrong on the wire ends in time, in an error of the contract, with nothing left open or disabled."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until
from tests.terminal.files import assert_none_left, open_files
from zkbridge.config.models import Device
from zkbridge.contract.errors import BridgeError, ConnectionFailure, DeviceRejected, DeviceTimeout, DeviceUnreachable
from zkbridge.port.users import UserFields
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.protocol.client import Client
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Known, Session, reach

JUAN = UserFields("9123", "Juan")
TIMEOUT_S = 0.4
COMMANDS = [
    "CONNECT",
    "AUTH",
    "DISABLE",
    "PREPARE_BUFFER",
    "READ_BUFFER",
    "GET_FREE_SIZES",
    "OPTIONS_RRQ",
    "USER_WRQ",
    "REFRESHDATA",
]
#: What is made of each fault; None is for faults that a session gets over.
TCP = {
    "close": "closed",
    "reset": "reset",
    "silence": "timeout",
    "half": "timeout",
    "garbage": "garbled",
    "trickle": "timeout",
    "bad_checksum": "garbled",
    "bad_reply_id": "garbled",
    "power_off": "reset",
    "twice": None,
    "event": None,
}
UDP = {
    "silence": "timeout",
    "lose": "timeout",
    "half": "garbled",
    "garbage": "garbled",
    "bad_checksum": "garbled",
    "bad_reply_id": "garbled",
    "twice": None,
    "event": None,
    "repeat": None,
}


def create(session: Session) -> int | None:
    users = session.users()
    session.add_user(session.fit(JUAN), users.next_uid())
    session.refresh()
    return session.count()


def reason_of(error: ConnectionFailure) -> str:
    return "timeout" if isinstance(error, DeviceTimeout) else error.reason


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("fault", "reason"), TCP.items())
def test_a_fault_of_a_stream(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], command: str, fault: str, reason: str | None
) -> None:
    terminal = start(comm_key=5, inline_max=0)
    terminal.fill_users(30)
    before = open_files()
    terminal.faults.add(command, "after", fault, delay=0.1)
    session = talk(terminal, comm_key=5, timeout=TIMEOUT_S)
    began = time.monotonic()

    if reason is None:
        with session:
            assert create(session) == 31
    else:
        with pytest.raises(ConnectionFailure) as caught, session:
            create(session)
        assert reason_of(caught.value) == reason

    assert time.monotonic() - began < 5
    assert not terminal.disabled
    assert session.pending_enable == (fault == "power_off" and command not in ("CONNECT", "AUTH"))
    assert_none_left(before)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "READ_BUFFER"])
@pytest.mark.parametrize(("fault", "reason"), UDP.items())
def test_a_fault_of_datagrams(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], command: str, fault: str, reason: str | None
) -> None:
    """Bulk data in datagrams has tests of its own: test_udp.py."""
    terminal = start(comm_key=5, inline_max=0)
    terminal.fill_users(30)
    terminal.faults.add(command, "after", fault)
    session = talk(terminal, comm_key=5, timeout=TIMEOUT_S, transport="udp", known=Known(record_size=72))

    if reason is None:
        with session:
            assert create(session) == 31
    else:
        with pytest.raises(ConnectionFailure) as caught, session:
            create(session)
        assert reason_of(caught.value) == reason

    wait_until(lambda: not terminal.disabled, what="an enabled terminal")
    assert not session.pending_enable


@pytest.mark.parametrize("switch", [{"stall_after": 3000}, {"reset_after": 3000}, {"fin_after": 3000}])
@pytest.mark.parametrize("delivery", ["js", "split-100"])
def test_a_bulk_answer_that_stops_in_the_middle(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], switch: dict[str, Any], delivery: str
) -> None:
    terminal = start(delivery=delivery, split_delay=0, **switch)
    terminal.fill_users(500)
    began = time.monotonic()

    with pytest.raises(ConnectionFailure) as caught, talk(terminal, timeout=TIMEOUT_S) as session:
        session.users()

    assert (
        reason_of(caught.value)
        == {"stall_after": "timeout", "reset_after": "reset", "fin_after": "closed"}[min(switch)]
    )
    assert time.monotonic() - began < 5
    assert not terminal.disabled


def test_a_late_answer_is_never_taken_for_the_next(terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
    terminal.faults.add("GET_FREE_SIZES", "after", "late", delay=1)
    with pytest.raises(DeviceTimeout), talk(terminal, timeout=TIMEOUT_S) as session:
        session.count()

    with talk(terminal) as session:
        assert session.option("~Platform") == "JZ4725_TFT"


def test_a_closed_port_refuses_the_connection(terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
    terminal.power_off()

    with pytest.raises(DeviceUnreachable) as caught, talk(terminal):
        pytest.fail("nobody listens")
    assert caught.value.sentence("es") == f"Connection refused by device 127.0.0.1:{terminal.port}"


def test_a_port_that_no_datagram_reaches_refuses(terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
    terminal.power_off()

    with pytest.raises(DeviceUnreachable) as caught, talk(terminal, transport="udp"):
        pytest.fail("nobody listens")
    assert caught.value.reason == "refused"


@pytest.mark.parametrize(("mode", "reason"), [("refuse", "reset"), ("ignore", "timeout")])
def test_a_terminal_with_one_place_that_is_taken(
    start: Callable[..., SimulatedTerminal],
    talk: Callable[..., Session],
    device_of: Callable[..., Device],
    mode: str,
    reason: str,
) -> None:
    terminal = start(second_connection=mode)
    stranger = Client(device_of(terminal), Deadline.after(5)).connect()

    with pytest.raises(ConnectionFailure) as caught, talk(terminal, timeout=TIMEOUT_S):
        pytest.fail("two hold one place")
    stranger.disconnect()

    assert reason_of(caught.value) == reason


def test_a_terminal_that_resets_who_comes_too_soon_is_not_probed(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    """A K14 reset the connection that follows pyzk's probe (fananimi/pyzk#57)."""
    terminal = start(reset_soon_after_close=5)

    with talk(terminal) as session:
        assert session.count() == 0


def test_another_protocol_on_the_port_is_garbled(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    with pytest.raises(DeviceUnreachable) as caught, talk(start(foreign_protocol=True), timeout=2):
        pytest.fail("that was no ZK terminal")
    assert caught.value.reason == "garbled"


def test_a_terminal_that_checks_checksums_and_sessions_is_content(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    terminal = start(check_checksum=True, check_session=True, comm_key=3)
    terminal.fill_users(1000)

    with talk(terminal, comm_key=3) as session:
        assert create(session) == 1001


def test_an_address_that_leads_nowhere_times_out_in_time(locks: Path) -> None:
    # A listener whose queue is full drops what more comes, as a firewall does.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        device = Device(id="x", host="127.0.0.1", port=full.getsockname()[1], timeout=0.3)
        began = time.monotonic()

        with pytest.raises(DeviceTimeout):
            reach(device, deadline=Deadline.after(5), lock_dir=locks)
        assert time.monotonic() - began < 3


def test_a_name_that_does_not_exist_is_unknown(locks: Path) -> None:
    device = Device(id="x", host="no-such-host.invalid", timeout=5)

    with pytest.raises(BridgeError) as caught:
        reach(device, deadline=Deadline.after(5), lock_dir=locks)
    assert caught.value.sentence("en") == "Unknown host name of device no-such-host.invalid:4370"


def test_an_answer_that_pyzk_cannot_take_apart_is_garbled(
    terminal: SimulatedTerminal, talk: Callable[..., Session]
) -> None:
    session = talk(terminal)

    with pytest.raises(DeviceUnreachable) as caught, session:
        session._do("GET_TIME", b"\xff".decode)
    assert caught.value.reason == "garbled"
    assert session.enabled


def test_what_is_asked_of_an_unauthorised_session_is_refused(
    start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
) -> None:
    terminal = start()
    terminal.faults.add("GET_TIME", "before", "refuse", code=2005)

    with talk(terminal) as session, pytest.raises(DeviceRejected, match="answer 2005"):
        session._do("GET_TIME", session._client.get_time)
