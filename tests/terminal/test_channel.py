"""Whole frames in time, whatever the network makes of them."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.terminal.files import open_files
from zkbridge.contract.errors import DeviceTimeout
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.channel import TcpChannel, UdpChannel, connect
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.failures import failure
from zkbridge.terminal.protocol.wire import Frame, Garbled

FRAMES = [Frame(2000, 7, 1, b""), Frame(1501, 7, 2, bytes(range(256)) * 9), Frame(500, 1, 0, b"x" * 32)]
STREAM = b"".join(wire.with_top(wire.pack(frame)) for frame in FRAMES)


def soon(seconds: float = 5.0) -> Deadline:
    return Deadline.after(seconds)


@pytest.fixture
def stream() -> Iterator[tuple[TcpChannel, socket.socket]]:
    """A channel, and the peer's end of its connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(TcpChannel(ours)) as open_channel:
        yield open_channel, theirs


@pytest.mark.parametrize("size", [1, 7, 9, 16, 24, 100, len(STREAM)])
def test_frames_are_whole_however_the_stream_is_cut(stream: tuple[TcpChannel, socket.socket], size: int) -> None:
    reader, peer = stream

    def send() -> None:
        for at in range(0, len(STREAM), size):
            peer.sendall(STREAM[at : at + size])

    sender = threading.Thread(target=send)
    sender.start()
    received = [reader.receive(soon()) for _ in FRAMES]
    sender.join()

    assert received == FRAMES


def test_a_peer_that_trickles_runs_out_of_time(stream: tuple[TcpChannel, socket.socket]) -> None:
    reader, peer = stream
    stop = threading.Event()

    def trickle() -> None:
        for byte in STREAM:
            if stop.wait(0.02):
                return
            peer.sendall(bytes((byte,)))

    sender = threading.Thread(target=trickle)
    sender.start()
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            reader.receive(soon(0.2))
    finally:
        stop.set()
        sender.join()
    assert time.monotonic() - began < 5


def test_a_silent_peer_runs_out_of_time(stream: tuple[TcpChannel, socket.socket]) -> None:
    reader, _peer = stream

    with pytest.raises(TimeoutError):
        reader.receive(soon(0.05))


def test_a_deadline_that_has_passed_is_no_endless_wait(stream: tuple[TcpChannel, socket.socket]) -> None:
    reader, _peer = stream

    with pytest.raises(TimeoutError):
        reader.receive(soon(0))
    with pytest.raises(TimeoutError):
        reader.send(FRAMES[0], until=soon(0))


@pytest.mark.parametrize("cut", [0, 4, 8, 12])
def test_the_end_of_the_stream_ends_the_reading(stream: tuple[TcpChannel, socket.socket], cut: int) -> None:
    reader, peer = stream
    peer.sendall(STREAM[:cut])
    peer.close()

    with pytest.raises(EOFError):
        reader.receive(soon())


def test_rubbish_is_an_error_at_once(stream: tuple[TcpChannel, socket.socket]) -> None:
    reader, peer = stream
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n")

    with pytest.raises(Garbled):
        reader.receive(soon())


def test_a_peer_that_reads_nothing_stops_a_long_send_in_time(stream: tuple[TcpChannel, socket.socket]) -> None:
    writer, _peer = stream

    with pytest.raises(TimeoutError):
        writer.send(Frame(1501, 7, 1, bytes(10_000_000)), until=soon(0.1))


def test_datagrams_of_others_do_not_arrive() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as terminal,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        terminal.bind(("127.0.0.1", 0))
        ours = connect(*terminal.getsockname(), udp=True, until=soon())
        with closing(ours):
            assert isinstance(ours, UdpChannel)
            ours.send(FRAMES[0], until=soon())
            _, address = terminal.recvfrom(2000)
            stranger.sendto(wire.pack(Frame(2000, 6, 6, b"EVIL")), address)
            terminal.sendto(wire.pack(FRAMES[0]), address)

            assert ours.receive(soon()) == FRAMES[0]


def test_a_datagram_is_never_cut() -> None:
    long = Frame(1501, 7, 1, bytes(60_000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as terminal:
        terminal.bind(("127.0.0.1", 0))
        with closing(connect(*terminal.getsockname(), udp=True, until=soon())) as ours:
            ours.send(FRAMES[0], until=soon())
            terminal.sendto(wire.pack(long), terminal.recvfrom(2000)[1])

            assert ours.receive(soon()) == long


def test_a_connection_is_made_once_without_delay_and_kept_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = connect(*server.getsockname(), udp=False, until=soon())
        with closing(made):
            server.settimeout(5)
            server.accept()[0].close()
            sock = socket.socket(fileno=made.fileno())
            try:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            finally:
                sock.detach()
            server.settimeout(0.05)
            with pytest.raises(TimeoutError):
                server.accept()


def test_a_hard_close_resets_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = connect(*server.getsockname(), udp=False, until=soon())
        peer, _ = server.accept()
        made.close(reset=True)
        with peer, pytest.raises(ConnectionResetError):
            peer.recv(1)


def test_the_next_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port))]
        found += [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_kind: found)

        with closing(connect("terminal.example", port, udp=False, until=soon())):
            server.accept()[0].close()


def test_a_name_server_that_never_answers_delays_no_other_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_kind: release.wait(20))
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            connect("terminal.example", 4370, udp=False, until=soon(0.1))
        assert time.monotonic() - began < 5
    finally:
        release.set()


def test_an_unknown_host_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kind: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", fail)

    with pytest.raises(socket.gaierror):
        connect("terminal.example", 4370, udp=False, until=soon())


def test_a_refused_connection_leaves_no_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    before = open_files()

    with pytest.raises(ConnectionRefusedError):
        connect(*address, udp=False, until=soon())

    assert open_files() == before


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TimeoutError(), "Connection timeout to device h:1"),
        (OSError(errno.ETIMEDOUT, "x"), "Connection timeout to device h:1"),
        (ConnectionRefusedError(), "Connection refused by device h:1"),
        (ConnectionResetError(), "Connection reset by device h:1"),
        (BrokenPipeError(), "Connection reset by device h:1"),
        (EOFError(), "Connection closed by device h:1"),
        (Garbled("x"), "Garbled answer from device h:1"),
        (OSError(errno.EHOSTUNREACH, "x"), "No route to device h:1"),
        (OSError(errno.ENETUNREACH, "x"), "No route to device h:1"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "Unknown host name of device h:1"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "Unknown host name of device h:1"),
        (UnicodeError("label too long"), "Unknown host name of device h:1"),
        (socket.gaierror(socket.EAI_MEMORY, "Out of memory"), "Connection failed to device h:1: Out of memory"),
        (OSError(errno.EMFILE, "Too many open files"), "Connection failed to device h:1: Too many open files"),
    ],
)
def test_every_way_to_break_has_its_sentence(error: Exception, sentence: str) -> None:
    found = failure(error, "h", 1)

    assert found.sentence("es") == sentence
    assert found.details("es") == {"retryable": True, "effect": "none"}
    assert isinstance(found, DeviceTimeout) == ("timeout" in sentence)
