"""pyzk's commands over exact reads."""

import errno
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest
from zk import ZK

from zkbridge.config.models import Device
from zkbridge.contract.errors import ConnectionFailure, DeviceTimeout, DeviceUnreachable, TerminalError
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.protocol import wire
from zkbridge.terminal.protocol.client import Client, check_pyzk
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.tables import Unreadable
from zkbridge.terminal.protocol.wire import Frame

SESSION = 0x1F2E


@contextmanager
def client_of(terminal: Any, *, timeout: float = 5, **settings: Any) -> Iterator[Client]:
    fields = {"id": "x", "host": terminal.host, "port": terminal.port, "timeout": timeout} | settings
    client = Client(Device.model_validate(fields), Deadline.after(30))
    try:
        yield client.connect()
    finally:
        client.disconnect()


class Scripted:
    """A terminal that answers its n-th request with the n-th list of frames, and all later ones by a plain yes.

    A reply id of None is the request's own.
    """

    host = "127.0.0.1"

    def __init__(self, *answers: Any, udp: bool = False) -> None:
        self.udp = udp
        self._answers = [[Frame(2000, SESSION, None, b"")], *answers]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self._socket.settimeout(10)
        self._socket.bind((self.host, 0))
        self.port = self._socket.getsockname()[1]
        self.heard: list[Any] = []
        if not udp:
            self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._thread.join(10)

    def _serve(self) -> None:
        if self.udp:
            self._serve_datagrams()
            return
        peer, _ = self._socket.accept()
        with peer:
            peer.settimeout(10)
            for frames in itertools.chain(self._answers, itertools.repeat([ok()])):
                request = self._read(peer)
                if request is None:
                    return
                with suppress(ConnectionError):  # the client has hung up: the next read says so
                    peer.sendall(b"".join(wire.with_top(wire.pack(self._filled(frame, request))) for frame in frames))

    def _serve_datagrams(self) -> None:
        for frames in [*self._answers, [ok()]]:
            packet, address = self._socket.recvfrom(65535)
            request = wire.unpack(packet)
            self.heard.append(request)
            for frame in frames:
                self._socket.sendto(wire.pack(self._filled(frame, request)), address)

    def _read(self, peer: socket.socket) -> Frame | None:
        try:
            top = peer.recv(8, socket.MSG_WAITALL)
            if len(top) < 8:
                return None
            request = wire.unpack(peer.recv(wire.packet_length(top), socket.MSG_WAITALL))
        except ConnectionError:
            return None
        self.heard.append(request)
        return request

    @staticmethod
    def _filled(frame: Any, request: Frame) -> Frame:
        return Frame(
            frame.command, frame.session, request.reply_id if frame.reply_id is None else frame.reply_id, frame.data
        )


def ok(data: bytes = b"", *, session: int = SESSION, reply_id: int | None = None) -> Frame:
    return Frame(2000, session, reply_id, data)


def option(name: str, value: str, **header: Any) -> Frame:
    return ok(f"{name}={value}\0".encode(), **header)


EVENT = Frame(500, 1, 0, b"1001".ljust(32, b"\0"))


class TestGuard:
    def test_the_pyzk_that_is_installed_is_the_right_one(self) -> None:
        check_pyzk(ZK)

    def test_another_pyzk_is_refused_in_one_sentence(self) -> None:
        class Other(ZK):
            _ZK__send_command = None

        with pytest.raises(ImportError, match=r"^pyzk 0\.9 has no __send_command: zkbridge needs pyzk 0\.9$"):
            check_pyzk(Other)


class TestPyzkItself:
    """Methods of pyzk that were written for `recv` work over whole frames, whatever the delivery."""

    @pytest.mark.parametrize("delivery", ["js", "separate", "coalesced", "split-1", "split-9", "split-24", "split-100"])
    def test_its_getters_agree_with_the_terminal(self, start: Callable[..., SimulatedTerminal], delivery: str) -> None:
        terminal = start(delivery=delivery, split_delay=0)
        terminal.fill_users(40)
        terminal.add_template("1", 3)

        with client_of(terminal) as client:
            assert client.get_serialnumber() == "A8N5184260172"
            assert client.get_platform() == "JZ4725_TFT"
            assert client.get_firmware_version() == "Ver 6.60 May 25 2018"
            assert client.get_pin_width() == 9
            assert len(client.get_users()) == 40
            assert [finger.fid for finger in client.get_templates()] == [3]
            assert client.get_user_template(1, 3).template == terminal.templates()[1, 3].data

    def test_no_probe_goes_before_the_connection(self, terminal: SimulatedTerminal) -> None:
        with client_of(terminal) as client:
            assert client.get_mac() == "00:17:61:12:2F:8A"

        assert terminal.connections_accepted == 1

    def test_a_host_is_never_given_to_a_shell(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        device = Device(id="x", host="127.0.0.1;touch${IFS}touched", timeout=1)

        with pytest.raises(ConnectionFailure):
            Client(device, Deadline.after(5)).connect()
        assert list(tmp_path.iterdir()) == []


class TestAnswers:
    def test_a_late_answer_to_an_earlier_request_is_skipped(self) -> None:
        with (
            Scripted([option("~Platform", "A")], [option("x", "LATE", reply_id=1), option("MAC", "B")]) as terminal,
            client_of(terminal) as client,
        ):
            assert client.get_platform() == "A"
            assert client.get_mac() == "B"

    def test_an_answer_to_a_request_that_was_never_made_ends_the_conversation(self) -> None:
        with Scripted([option("~Platform", "A", reply_id=9)]) as terminal, client_of(terminal) as client:
            with pytest.raises(DeviceUnreachable) as caught:
                client.get_platform()
            assert caught.value.reason == "garbled"
            assert not client.usable

    def test_an_event_between_request_and_answer_is_set_aside(self) -> None:
        with Scripted([EVENT, option("~Platform", "A")]) as terminal, client_of(terminal) as client:
            assert client.get_platform() == "A"
            assert list(client.events) == [EVENT]

    def test_after_a_timeout_nothing_more_is_asked_on_the_connection(self) -> None:
        with Scripted([], [option("MAC", "B")]) as terminal, client_of(terminal, timeout=0.2) as client:
            with pytest.raises(DeviceTimeout):
                client.get_platform()
            with pytest.raises(DeviceTimeout):
                client.get_mac()
            assert len(terminal.heard) == 2

    def test_a_deadline_that_has_passed_asks_nothing_and_breaks_nothing(self) -> None:
        with Scripted([option("MAC", "B")]) as terminal, client_of(terminal) as client:
            client.deadline = Deadline.after(0)
            with pytest.raises(DeviceTimeout):
                client.get_platform()

            client.deadline = Deadline.after(5)

            assert client.usable
            assert client.get_mac() == "B"

    def test_no_answer_outlasts_the_deadline_of_the_operation(self) -> None:
        with Scripted([]) as terminal, client_of(terminal, timeout=20) as client:
            client.deadline = Deadline.after(0.2)
            with pytest.raises(DeviceTimeout):
                client.get_platform()

    def test_before_connecting_no_request_can_be_sent(self) -> None:
        client = Client(Device(id="x", host="127.0.0.1"), Deadline.after(5))

        with pytest.raises(DeviceUnreachable) as caught:
            client.get_mac()
        assert caught.value.reason == "closed"

    def test_a_session_field_with_a_state_in_it_is_no_fault_in_a_stream(self) -> None:
        """STATE_RRQ answers so (pyzatt), and a K40's closing ACK carries a size (js_zklib#53)."""
        with Scripted([ok(session=3)]) as terminal, client_of(terminal) as client:
            assert client.request(64).session == 3

    def test_a_datagram_of_an_earlier_session_is_not_taken(self) -> None:
        stray = option("~Platform", "OLD", session=SESSION - 1)
        with (
            Scripted([stray, option("~Platform", "A")], udp=True) as terminal,
            client_of(terminal, transport="udp") as client,
        ):
            assert client.get_platform() == "A"

    def test_a_datagram_that_came_twice_answers_once(self) -> None:
        answer = option("~Platform", "A")
        with (
            Scripted([answer, answer], [option("MAC", "B")], udp=True) as terminal,
            client_of(terminal, transport="udp") as client,
        ):
            assert client.get_platform() == "A"
            assert client.get_mac() == "B"

    def test_reply_ids_begin_again_after_65534(self) -> None:
        with (
            Scripted([ok()], [option("MAC", "B", reply_id=65534), option("MAC", "C")]) as terminal,
            client_of(terminal) as client,
        ):
            client.exchange._asked = 65534
            client.refresh_data()

            assert client.get_mac() == "C"
            assert [request.reply_id for request in terminal.heard[1:]] == [65534, 0]


class TestEvents:
    def test_an_answer_that_came_too_late_is_no_event(self) -> None:
        with Scripted([option("MAC", "B"), ok(), EVENT]) as terminal, client_of(terminal) as client:
            client.get_mac()
            assert client.event(Deadline.after(5)) == EVENT

    def test_silence_is_no_event(self, terminal: SimulatedTerminal) -> None:
        with client_of(terminal) as client:
            assert client.event(Deadline.after(0.05)) is None
            assert client.usable

    def test_an_answer_to_what_was_never_asked_is_no_event(self) -> None:
        with Scripted([option("MAC", "B"), ok(reply_id=9)]) as terminal, client_of(terminal) as client:
            client.get_mac()
            with pytest.raises(DeviceUnreachable) as caught:
                client.event(Deadline.after(5))
            assert caught.value.reason == "garbled"

    def test_an_event_of_which_only_half_comes_is_a_failure(self, terminal: SimulatedTerminal) -> None:
        terminal.add_user("5", "Ana")
        with client_of(terminal, timeout=0.3) as client:
            client.reg_event(1)
            terminal.switches.delivery = "split-20"
            terminal.switches.split_delay = 5
            terminal.punch("5")
            with pytest.raises(DeviceTimeout):
                client.event(Deadline.after(20))

    def test_an_event_is_acknowledged_by_its_own_kind_of_frame(self) -> None:
        with Scripted([EVENT, ok()], [ok()]) as terminal, client_of(terminal) as client:
            client.refresh_data()
            client.acknowledge()
            client.refresh_data()
            assert [(frame.command, frame.reply_id) for frame in terminal.heard] == [
                (1000, 0),
                (1013, 1),
                (2000, 0),
                (1013, 2),
            ]


class TestTables:
    def prepared(self, size: int) -> Frame:
        return ok(b"\0" + struct.pack("<III", size, size, 0))

    def prepare(self, size: int) -> Frame:
        return Frame(1500, SESSION, None, struct.pack("<II", size, 0xFFC0))

    def data(self, content: bytes) -> Frame:
        return Frame(1501, SESSION, None, content)

    def read(self, *answers: Any) -> tuple[bytes, int]:
        with Scripted(*answers) as terminal, client_of(terminal) as client:
            return client.read_with_buffer(9, 5)

    def test_a_small_table_comes_at_once(self) -> None:
        assert self.read([self.data(b"abcd")]) == (b"abcd", 4)

    def test_a_piece_may_come_in_any_number_of_frames(self) -> None:
        pieces = [self.prepare(6), self.data(b"ab"), self.data(b"ab"), self.data(b"ef"), ok()]

        assert self.read([self.prepared(6)], pieces) == (b"ababef", 6)

    def test_a_piece_may_come_without_announcement(self) -> None:
        assert self.read([self.prepared(6)], [self.data(b"abcdef")]) == (b"abcdef", 6)

    def test_the_acknowledgement_after_an_unannounced_piece_is_no_answer_to_the_next_request(self) -> None:
        assert self.read([self.prepared(6)], [self.data(b"abcdef"), ok()]) == (b"abcdef", 6)

    def test_the_closing_acknowledgement_may_carry_the_size_in_its_session_field(self) -> None:
        pieces = [self.prepare(6), self.data(b"abcdef"), ok(session=6)]

        assert self.read([self.prepared(6)], pieces) == (b"abcdef", 6)

    def test_a_refusal_to_forget_the_table_does_not_lose_it(self) -> None:
        pieces = [self.prepare(2), self.data(b"ab"), ok()]

        assert self.read([self.prepared(2)], pieces, [Frame(2001, SESSION, None, b"")]) == (b"ab", 2)

    def test_a_table_is_asked_for_in_pieces_that_fit_16_bits(self) -> None:
        size = 0xFFC0 + 10
        first, second = b"a" * 0xFFC0, b"b" * 10
        answers = [self.prepare(0xFFC0), self.data(first), ok()], [self.prepare(10), self.data(second), ok()]
        with Scripted([self.prepared(size)], *answers) as terminal, client_of(terminal) as client:
            assert client.read_with_buffer(9, 5)[0] == first + second
        assert [request.data for request in terminal.heard if request.command == Command.READ_BUFFER] == [
            struct.pack("<ii", 0, 0xFFC0),
            struct.pack("<ii", 0xFFC0, 10),
        ]

    def test_nothing_to_read_is_nothing(self) -> None:
        assert self.read([ok()]) == (b"", 0)

    @pytest.mark.parametrize("content", [b"abcde", b"abcdefg", b""])
    def test_a_piece_of_another_size_ends_the_conversation(self, content: bytes) -> None:
        with pytest.raises(TerminalError) as caught:
            self.read([self.prepared(6)], [self.prepare(6), self.data(content), ok()])
        assert caught.value.ends_session
        assert caught.value.reason == ("too_much" if len(content) > 6 else "garbled")

    def test_a_piece_that_announces_another_size_ends_the_conversation(self) -> None:
        with pytest.raises(DeviceUnreachable):
            self.read([self.prepared(6)], [self.prepare(5), self.data(b"abcde"), ok()])

    def test_a_refusal_among_data_ends_the_conversation(self) -> None:
        with pytest.raises(DeviceUnreachable):
            self.read([self.prepared(6)], [self.prepare(6), self.data(b"abc"), Frame(2001, SESSION, None, b"")])

    def test_an_announcement_without_a_size_ends_the_conversation(self) -> None:
        with pytest.raises(DeviceUnreachable):
            self.read([self.prepared(6)], [Frame(1500, SESSION, None, b"")])

    def test_an_absurd_size_is_not_believed(self) -> None:
        with pytest.raises(Unreadable, match="4294967295 bytes are announced"):
            self.read([self.prepared(0xFFFFFFFF)])


def test_a_machine_without_free_descriptors_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("zk.base.socket", fail)

    with pytest.raises(DeviceUnreachable, match="Too many open files"):
        Client(Device(id="x", host="127.0.0.1"), Deadline.after(5))


def test_closing_twice_is_no_fault(terminal: SimulatedTerminal) -> None:
    with client_of(terminal) as client:
        assert client.disconnect()
        client.hang_up()


def test_the_farewell_may_go_unanswered() -> None:
    with Scripted([]) as terminal, client_of(terminal, timeout=0.2) as client:
        assert client.disconnect()
        assert not client.usable
