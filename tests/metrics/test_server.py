"""The metrics' server when readers, or descriptors, are too many or too few."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from tests.support.processes import free_port
from tests.support.waiting import wait_until
from zkbridge.metrics import server as module
from zkbridge.metrics.server import MOST_READERS, MetricsServer

ASK = b"GET /metrics HTTP/1.0\r\n\r\n"


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    server = MetricsServer("127.0.0.1", free_port(), CollectorRegistry())
    server.start()
    yield server
    server.stop()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process has none left."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 256), before[1]))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def answer(reader: socket.socket) -> bytes:
    reader.settimeout(20)
    return reader.recv(15)


def test_a_reader_that_finds_no_descriptor_is_answered_when_there_is_one(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    real = time.sleep

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        real(0.01)

    with socket.socket() as reader:
        with no_descriptors():
            monkeypatch.setattr("time.sleep", sleep)
            reader.connect(("127.0.0.1", server.port))
            reader.sendall(ASK)
            wait_until(lambda: pauses.count(module.NO_DESCRIPTOR_S) >= 3, what="the server to find no descriptor")

        assert answer(reader) == b"HTTP/1.0 200 OK"


def test_idle_readers_are_bounded_and_the_next_is_served_when_they_go(server: MetricsServer) -> None:
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(MOST_READERS + 1)
        ]
        assert answer(silent[-1]) == b"", "one too many is hung up on"

    def is_served() -> bool:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=20) as page:
            return bool(page.status == 200)
        return False

    wait_until(is_served, what="the next reader to be served")


def test_a_reader_for_whom_no_thread_can_be_started_takes_no_room(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", _no_thread)
        for _ in range(MOST_READERS + 1):
            with socket.create_connection(("127.0.0.1", server.port)) as reader:
                assert answer(reader) == b""

    with socket.create_connection(("127.0.0.1", server.port)) as reader:
        reader.sendall(ASK)
        assert answer(reader) == b"HTTP/1.0 200 OK"


def _no_thread(_thread: object) -> None:
    raise RuntimeError("can't start new thread")
