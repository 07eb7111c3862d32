"""A client of the wire that shares no line with the simulator, so that it shares no mistake with it."""

import socket
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

from tests.support.address import Address

TOP = bytes.fromhex("5050827d")
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Packet:
    """What arrived: header words and data, and the bytes they came in (without the TCP top)."""

    code: int
    session: int
    reply_id: int
    data: bytes
    raw: bytes


def summed(packet: bytes) -> int:
    """End-around-carry sum of the 16-bit words; 0xffff for a packet with a right checksum."""
    total = 0
    for at in range(0, len(packet), 2):
        low = packet[at]
        high = packet[at + 1] if at + 1 < len(packet) else 0
        total += high * 256 + low
        if total > 0xFFFF:
            total = total - 0x10000 + 1
    return total


def packed(command: int, session: int, reply_id: int, data: bytes = b"") -> bytes:
    """A packet with its checksum."""
    words = [command, 0, session, reply_id]
    bare = b"".join(word.to_bytes(2, "little") for word in words) + data
    words[1] = 0xFFFF - summed(bare)
    return b"".join(word.to_bytes(2, "little") for word in words) + data


def scrambled(key: int, session: int, ticks: int = 50) -> bytes:
    """AUTH's four bytes, step by step as they are documented."""
    reverse = 0
    for bit in range(32):
        if key & (1 << bit):
            reverse |= 1 << (31 - bit)
    b = [byte ^ ord(letter) for byte, letter in zip((reverse + session).to_bytes(4, "little"), "ZKSO", strict=True)]
    return bytes([b[2] ^ ticks, b[3] ^ ticks, ticks, b[1] ^ ticks])


class RawClient:
    """One connection; `ask` sends a command and returns the answer, checked for checksum and reply id."""

    def __init__(self, terminal: Address, *, udp: bool = False, timeout: float = PATIENCE_S) -> None:
        self.udp = udp
        self.session = 0
        self.reply_id = 0
        self._buffer = b""
        kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect((terminal.host, terminal.port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def connect(self, key: int = 0) -> Packet:
        """CONNECT, and AUTH when asked for it; the session id is kept."""
        answer = self.ask(1000)
        self.session = answer.session
        if answer.code == 2005:
            answer = self.ask(1102, scrambled(key, self.session))
        return answer

    def ask(self, command: int, data: bytes = b"") -> Packet:
        sent = self.tell(command, data)
        answer = self.read()
        assert answer.reply_id == sent
        return answer

    def tell(self, command: int, data: bytes = b"") -> int:
        """Send without waiting; returns the reply id that the answer must carry."""
        sent = self.reply_id
        self.send_packet(packed(command, self.session, sent, data))
        self.reply_id = (self.reply_id + 1) % 65535
        return sent

    def send_packet(self, packet: bytes) -> None:
        self.socket.sendall(packet if self.udp else TOP + len(packet).to_bytes(4, "little") + packet)

    def read(self) -> Packet:
        """The next packet. Raises TimeoutError, or ConnectionError at the end of the stream."""
        packet = self.read_packet()
        assert summed(packet) in {0xFFFF, 0}
        words = [int.from_bytes(packet[at : at + 2], "little") for at in (0, 2, 4, 6)]
        return Packet(words[0], words[2], words[3], packet[8:], packet)

    def read_packet(self) -> bytes:
        if self.udp:
            return self.socket.recv(65536)
        top = self._exactly(8)
        assert top[:4] == TOP
        return self._exactly(int.from_bytes(top[4:], "little"))

    def read_table(self, inner: int, fct: int = 0, *, piece: int | None = None) -> bytes:
        """A whole data set by 1503, 1504 and 1502."""
        answer = self.prepare(inner, fct)
        if answer.code == 1501:
            return answer.data
        assert answer.code == 2000, answer
        size = int.from_bytes(answer.data[1:5], "little")
        step = piece or (16384 if self.udp else 65472)
        table = b""
        while len(table) < size:
            table += self.read_piece(len(table), min(step, size - len(table)))
        assert self.ask(1502).code == 2000
        return table

    def prepare(self, inner: int, fct: int = 0) -> Packet:
        return self.ask(1503, b"\1" + inner.to_bytes(2, "little") + fct.to_bytes(4, "little") + bytes(4))

    def read_piece(self, start: int, size: int) -> bytes:
        answer = self.ask(1504, start.to_bytes(4, "little") + size.to_bytes(4, "little"))
        return self.read_bulk(answer)

    def read_bulk(self, answer: Packet) -> bytes:
        assert answer.code == 1500, answer
        data, wanted = b"", int.from_bytes(answer.data[:4], "little")
        while (packet := self.read()).code == 1501:
            data += packet.data
        assert packet.code == 2000
        assert len(data) == wanted
        return data

    def users(self) -> list[bytes]:
        """The user records, 72 or 28 bytes each as the sizes tell."""
        count = self.sizes()[4]
        table = self.read_table(9, 5)
        total = int.from_bytes(table[:4], "little")
        assert len(table) == total + 4
        size = total // count if count else 1
        return [table[at : at + size] for at in range(4, len(table), size)]

    def sizes(self) -> list[int]:
        data = self.ask(50).data
        return [int.from_bytes(data[at : at + 4], "little", signed=True) for at in range(0, len(data) - 3, 4)]

    def silent(self, seconds: float) -> bool:
        """Whether nothing arrives for a time."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self._buffer += self.socket.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)
        return False

    def ended(self) -> str:
        """How the connection ends: `closed` or `reset`; TimeoutError if it does not."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            return "reset"
        return "closed"

    def _exactly(self, size: int) -> bytes:
        deadline = monotonic() + (self.socket.gettimeout() or PATIENCE_S)
        while len(self._buffer) < size:
            if monotonic() > deadline:
                raise TimeoutError
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the terminal closed the connection")
            self._buffer += data
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def user_72(uid: int, user_id: str, name: bytes = b"", password: bytes = b"", **more: Any) -> bytes:
    """A 72-byte record as the documents lay it out."""
    record = bytearray(72)
    record[0:2] = uid.to_bytes(2, "little")
    record[2] = more.get("privilege", 0)
    record[3 : 3 + len(password)] = password
    record[11 : 11 + len(name)] = name
    record[35:39] = more.get("card", 0).to_bytes(4, "little")
    record[39] = more.get("group", 1)
    record[48 : 48 + len(user_id)] = user_id.encode()
    assert len(record) == 72
    return bytes(record)


def user_28(uid: int, user_id: int, name: bytes = b"", password: bytes = b"", **more: Any) -> bytes:
    """A 28-byte record as the documents lay it out."""
    record = bytearray(28)
    record[0:2] = uid.to_bytes(2, "little")
    record[2] = more.get("privilege", 0)
    record[3 : 3 + len(password)] = password
    record[8 : 8 + len(name)] = name
    record[16:20] = more.get("card", 0).to_bytes(4, "little")
    record[21] = more.get("group", 1)
    record[24:28] = user_id.to_bytes(4, "little")
    assert len(record) == 28
    return bytes(record)
