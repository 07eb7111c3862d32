"""One port, two protocols, and clients that mean no good."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import wait_until
from zkbridge.demo import mux as mqtt_mux
from zkbridge.demo.mux import Mux, NotMqtt, protocol_level

CONNECT_4 = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02me"
CONNECT_5 = b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02me"
CONNECT_3 = b"\x10\x10\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x02me"


@pytest.mark.parametrize(
    ("packet", "level"),
    [
        (CONNECT_3, 3),
        (CONNECT_4, 4),
        (CONNECT_5, 5),
        (b"\x10\xff\xff\x03\x00\x04MQTT\x05", 5),
        (b"\x10\x0e\x00\x04MQTT\x63", 0x63),
    ],
)
def test_the_level_is_known_as_soon_as_its_byte_is_there(packet: bytes, level: int) -> None:
    at = packet.index(bytes([level]), 8) + 1

    assert [protocol_level(packet[:length]) for length in range(at)] == [None] * at
    assert {protocol_level(packet[:length]) for length in range(at, len(packet) + 1)} == {level}


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\x30\x0e\x00\x04MQTT\x04",
        b"\x10\xff\xff\xff\xff",
        b"\x10\x0e\x00\x05",
        b"\x10\x0e\x00\x04MQTX",
        b"\x10\x0e\x00\x06MQIsdq",
    ],
)
def test_what_is_not_a_connect_packet_is_known_at_once(garbage: bytes) -> None:
    with pytest.raises(NotMqtt):
        protocol_level(garbage)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_level_or_too_short_or_not_mqtt(received: bytes) -> None:
    try:
        level = protocol_level(received)
    except NotMqtt:
        return
    assert level is None or received[0] == 0x10
    assert level is not None or len(received) < 14


class Backend:
    """A server that keeps what each connection sends, and greets it by *greeting*."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting
        self.connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            connection.settimeout(10)
            connection.sendall(self.greeting)
            self.connections.append(connection)

    def connection(self, number: int = 0) -> socket.socket:
        wait_until(lambda: len(self.connections) > number, what="the mux to connect")
        return self.connections[number]

    def close(self) -> None:
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self.connections:
            connection.close()


class House:
    """A mux before two backends."""

    def __init__(self, four: Backend, five: Backend, mux: Mux) -> None:
        self.four = four
        self.five = five
        self.mux = mux

    @contextmanager
    def client(self, said: bytes = b"") -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.mux.port), timeout=10) as client:
            client.sendall(said)
            yield client


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as stack:
        four = Backend(b"four")
        stack.callback(four.close)
        five = Backend(b"five")
        stack.callback(five.close)
        mux = stack.enter_context(Mux("127.0.0.1", 0, backends={4: four.port, 5: five.port}))
        yield House(four, five, mux)


def receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (chunk := connection.recv(size - len(received))):
        received += chunk
    return received


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(("connect", "greeting"), [(CONNECT_4, b"four"), (CONNECT_5, b"five")])
def test_each_level_reaches_its_broker_with_every_byte(house: House, connect: bytes, greeting: bytes) -> None:
    with house.client(connect + b"more") as client:
        assert receive(client, 4) == greeting
        backend = house.four if greeting == b"four" else house.five
        assert receive(backend.connection(), len(connect) + 4) == connect + b"more"


def test_a_connect_packet_may_come_byte_by_byte(house: House) -> None:
    with house.client() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in CONNECT_5:
            client.sendall(bytes([byte]))

        assert receive(client, 4) == b"five"
        assert receive(house.five.connection(), len(CONNECT_5)) == CONNECT_5


@pytest.mark.parametrize("connect", [CONNECT_3, CONNECT_5.replace(b"MQTT\x05", b"MQTT\x06")])
def test_a_level_without_a_broker_is_refused_in_words_of_mqtt(house: House, connect: bytes) -> None:
    with house.client(connect) as client:
        assert receive(client, 4) == b"\x20\x02\x00\x01"
        assert is_closed(client)
    assert not house.four.connections
    assert not house.five.connections


def test_a_connection_with_garbage_is_closed_and_others_go_on(house: House) -> None:
    with house.client(CONNECT_4) as good:
        for number in range(300):
            with house.client(bytes([number % 256]) + b"\xff" * 20) as bad:
                assert number % 256 == 0x10 or is_closed(bad)

        assert receive(good, 4) == b"four"
        house.four.connection().sendall(b"still here")
        assert receive(good, 10) == b"still here"


def test_a_client_that_never_sends_connect_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_mux, "IDENTIFY_S", 0.05)

    with house.client() as silent, house.client(CONNECT_4[:5]) as slow:
        assert is_closed(silent)
        assert is_closed(slow)
    assert not house.four.connections


def test_a_client_that_takes_nothing_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_mux, "STUCK_S", 0.2)
    with house.client(CONNECT_4):
        broker = house.four.connection()
        receive(broker, len(CONNECT_4))

        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            broker.sendall(b"x" * 100_000_000)


def test_the_last_words_of_a_client_that_closes_reach_the_broker(house: House) -> None:
    with house.client(CONNECT_4) as client:
        receive(client, 4)
        client.sendall(b"y" * 500_000 + b"\xe0\x00")
        client.shutdown(socket.SHUT_WR)

        received = receive(house.four.connection(), len(CONNECT_4) + 500_002)
        house.four.connection().sendall(b"bye")
        house.four.connection().close()

        assert received.endswith(b"\xe0\x00")
        assert receive(client, 3) == b"bye"
        assert is_closed(client)


def test_a_broker_that_closes_closes_its_client(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_mux, "LINGER_S", 0.05)
    with house.client(CONNECT_5) as client:
        house.five.connection().close()

        assert receive(client, 5) == b"five"
        assert is_closed(client)


def test_a_reset_client_is_gone_for_the_broker_too(house: House) -> None:
    with house.client(CONNECT_5) as client:
        receive(house.five.connection(), len(CONNECT_5))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert is_closed(house.five.connection())


def test_more_clients_than_it_can_carry_are_turned_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_mux, "MAX_CLIENTS", 2)
    with house.client(CONNECT_4) as first, house.client(CONNECT_4) as second:
        assert (receive(first, 4), receive(second, 4)) == (b"four", b"four")
        with house.client(CONNECT_4) as third:
            assert is_closed(third)


def test_a_broker_that_has_gone_closes_the_client(house: House) -> None:
    house.four.close()

    with house.client(CONNECT_4) as client:
        assert is_closed(client)
    with house.client(CONNECT_5) as client:
        assert receive(client, 4) == b"five"


def test_stopping_closes_every_connection_and_the_port(house: House) -> None:
    with house.client(CONNECT_4) as client, house.client() as silent:
        receive(client, 4)
        house.mux.stop()

        assert is_closed(client)
        assert is_closed(silent)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", house.mux.port))
    house.mux.stop()


def test_a_connection_that_comes_as_it_stops_is_closed_too() -> None:
    for _ in range(50):
        mux = Mux("127.0.0.1", 0, backends={})
        mux.start()
        with socket.create_connection(("127.0.0.1", mux.port), timeout=2) as client:
            mux.stop()
            assert is_closed(client)
