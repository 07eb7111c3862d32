"""Connections, sessions, keys, and people kept off."""

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.simulator.raw import TOP, RawClient, packed, scrambled
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

TRANSPORTS = pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])

QUIET_S = 0.15


@TRANSPORTS
def test_connect_brings_a_session_id_in_the_header_and_no_data(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(terminal, connect=False, udp=udp)

    answer = client.ask(1000)

    assert (answer.code, answer.data) == (2000, b"")
    assert answer.session not in {0, 0xFFFF}
    assert terminal.sessions_open == 1


def test_a_second_connect_on_a_connection_returns_the_same_session(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    assert client.ask(1000).session == client.session
    assert terminal.sessions_open == 1


def test_sessions_have_ids_of_their_own(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    assert len({raw(terminal).session for _ in range(5)}) == 5


@TRANSPORTS
def test_exit_ends_the_session_and_is_answered(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(terminal, udp=udp)

    answer = client.ask(1001)

    assert (answer.code, answer.session) == (2000, client.session)
    assert terminal.sessions_open == 0


@pytest.mark.parametrize("rude", [False, True], ids=["fin", "rst"])
def test_a_client_that_leaves_without_exit_leaves_no_session(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], rude: bool
) -> None:
    client = raw(terminal)
    if rude:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    client.close()

    wait_until(lambda: terminal.sessions_open == 0)


@TRANSPORTS
def test_a_key_is_asked_for_and_checked(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient], udp: bool
) -> None:
    terminal = start(comm_key=1234)
    client = raw(terminal, connect=False, udp=udp)

    client.session = (asked := client.ask(1000)).session
    wrong = client.ask(1102, scrambled(1235, client.session))
    right = client.ask(1102, scrambled(1234, client.session))

    assert [asked.code, wrong.code, right.code] == [2005, 2005, 2000]


@TRANSPORTS
def test_any_ticks_make_a_good_key(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(start(comm_key=999999), connect=False, udp=udp)
    client.session = client.ask(1000).session

    assert client.ask(1102, scrambled(999999, client.session, ticks=201)).code == 2000


@pytest.mark.parametrize("command", [50, 8, 1003, 1503, 11, 4242])
@TRANSPORTS
def test_nothing_is_done_before_the_key(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient], udp: bool, command: int
) -> None:
    terminal = start(comm_key=7)
    client = raw(terminal, connect=False, udp=udp)
    client.session = client.ask(1000).session

    assert client.ask(command, b"\x0b\0").code == 2005
    assert not terminal.disabled


@TRANSPORTS
def test_nothing_is_done_without_connect(terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool) -> None:
    client = raw(terminal, connect=False, udp=udp)

    assert client.ask(50).code == 2005


@TRANSPORTS
def test_every_answer_carries_the_request_s_reply_id_and_the_session(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(terminal, udp=udp)

    for reply_id in (5, 4, 65534, 0, 1):
        client.reply_id = reply_id
        answer = client.ask(50)
        assert (answer.reply_id, answer.session) == (reply_id, client.session)


def test_an_acknowledgement_of_the_client_is_never_answered(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    client.tell(2000)

    assert client.silent(QUIET_S)


@pytest.mark.parametrize("command", [2001, 65535, 4242, 0])
def test_an_unknown_command_is_answered_as_unknown_without_data(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], command: int
) -> None:
    answer = raw(terminal).ask(command, b"~ExtendFmt\0")

    assert (answer.code, answer.data) == (65535, b"")


def test_requests_in_one_segment_are_answered_one_by_one(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)
    packets = [packed(11, client.session, number, b"DeviceID\0") for number in range(3)]

    client.socket.sendall(b"".join(TOP + len(packet).to_bytes(4, "little") + packet for packet in packets))

    assert [client.read().reply_id for _ in packets] == [0, 1, 2]


def test_a_request_may_arrive_byte_by_byte(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)
    packet = packed(11, client.session, 9, b"DeviceID\0")

    for byte in TOP + len(packet).to_bytes(4, "little") + packet:
        client.socket.sendall(bytes((byte,)))

    assert client.read().data == b"DeviceID=1\0"


def test_a_probe_that_is_closed_at_once_takes_no_place(
    start: Callable[..., SimulatedTerminal], raw: Callable[..., RawClient]
) -> None:
    terminal = start(second_connection="refuse")

    for _ in range(10):
        RawClient(terminal).close()
        client = raw(terminal)
        client.close()

    assert terminal.connections_accepted == 20


@TRANSPORTS
def test_a_disabled_terminal_refuses_punches_until_it_is_enabled(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    terminal.add_user("1")
    client = raw(terminal, udp=udp)

    assert client.ask(1003).code == 2000
    assert (terminal.disabled, terminal.display, terminal.punch("1")) == (True, "working…", False)
    assert client.ask(1002).code == 2000

    assert (terminal.disabled, terminal.punch("1"), len(terminal.attendance())) == (False, True, 1)
    assert len(terminal.disabled_spans()) == 1


def test_a_plain_disable_survives_its_client(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    raw(terminal).ask(1003)
    with RawClient(terminal) as client:
        client.connect()
        client.ask(1003, bytes(4))
    wait_until(lambda: terminal.sessions_open == 1)

    assert terminal.disabled


def test_a_disable_with_seconds_ends_by_itself(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    client.ask(1003, (1).to_bytes(4, "little"))
    assert terminal.disabled
    wait_until(lambda: not terminal.disabled)

    assert terminal.disabled_spans() == [pytest.approx(1.0, abs=0.01)]


def test_a_longer_disable_replaces_the_timer_of_a_shorter(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    client.ask(1003, (1).to_bytes(4, "little"))
    client.ask(1003)

    assert terminal.disabled
    assert not terminal.machine.terminal.disabled_time.timed
    assert len(terminal.disabled_spans()) == 1


def test_a_restart_drops_connections_and_comes_back_enabled_with_its_table(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.switches.restart_seconds = 0.05
    terminal.add_user("5")
    client = raw(terminal)
    client.ask(1003)

    assert client.ask(1004).code == 2000
    assert client.ended() == "closed"

    def users() -> int:
        with suppress(ConnectionError):  # it may not listen yet, or be about to lose its power
            return int(raw(terminal).sizes()[4])
        return 0

    assert wait_until(users, what="the terminal to be back") == 1
    assert not terminal.disabled


def test_power_off_is_answered_and_then_no_port_is_open(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    assert client.ask(1005).code == 2000
    wait_until(lambda: not terminal.powered)

    assert client.ended() == "closed"
    with pytest.raises(ConnectionRefusedError):
        RawClient(terminal)
    assert terminal.display == "(off)"


def test_pulling_the_plug_resets_connections_and_putting_it_back_keeps_the_port(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    port, client = terminal.port, raw(terminal)

    terminal.power_off()
    assert client.ended() == "reset"
    terminal.power_on()

    assert terminal.port == port
    assert raw(terminal).ask(50).code == 2000


def test_a_terminal_that_dies_silently_resets_an_old_connection_once_it_is_back(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    terminal.power_off("silent")
    client.tell(50)
    assert client.silent(QUIET_S)
    terminal.power_on()
    client.tell(50)

    assert client.ended() == "reset"


def test_sleep_and_resume_show_on_the_display(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(terminal)

    assert client.ask(1006).code == 2000
    assert terminal.display == "(asleep)"
    assert client.ask(1007).code == 2000
    assert terminal.display != "(asleep)"


def test_the_journal_has_every_frame_and_no_contents(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(terminal)

    client.ask(11, b"~SerialNumber\0")

    asked, answered = terminal.log[-2:]
    assert (asked.direction, asked.command, asked.length, asked.connection) == ("in", 11, 14, 1)
    assert (answered.direction, answered.command, answered.reply_id) == ("out", 2000, asked.reply_id)
    assert terminal.counts[11] == 1
    assert not hasattr(asked, "data")


def test_two_restarts_that_end_at_once_leave_it_listening(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    async def power_on_twice() -> None:
        await asyncio.gather(terminal.machine.power_on(), terminal.machine.power_on())

    terminal.power_off()

    terminal._do(power_on_twice())

    assert terminal.powered
    assert raw(terminal).sizes()[4] == 0


def test_a_terminal_that_is_stopped_while_it_restarts_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    restarts = threading.Event()
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(restart_seconds=0.0))
        listener, host, port = terminal.machine._listener, terminal.host, terminal.port
        listen, close = listener.open, listener.close
        closed, listens = asyncio.Event(), asyncio.Event()

        async def listen_late(host: str, port: int, transport: str) -> int:
            """Listen only when the terminal is being stopped, and never come back."""
            closed.clear()
            restarts.set()
            await closed.wait()
            await listen(host, port, transport)
            listens.set()
            await asyncio.Event().wait()
            return port

        async def close_and_wait() -> None:
            await close()
            closed.set()
            if restarts.is_set():
                await listens.wait()

        monkeypatch.setattr(listener, "open", listen_late)
        monkeypatch.setattr(listener, "close", close_and_wait)
        terminal._loop.call_soon_threadsafe(terminal.machine.restart_soon)
        assert restarts.wait(10)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
        another.bind((host, port))


def test_a_client_that_connects_while_the_simulator_stops_leaves_no_open_connection() -> None:
    """What stays open is found by the garbage collector, in whatever test runs then."""
    for _ in range(100):
        with Simulator() as simulator:
            terminal = simulator.add()
            client = socket.create_connection((terminal.host, terminal.port))
        client.close()
    gc.collect()
