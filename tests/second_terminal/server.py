"""A terminal of another hand on the wire: TCP and UDP on one port, one thread for everything.

It is written from captures and documents alone, never from the code of the simulator or of the bridge.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from tests.second_terminal import clock, requests
from tests.second_terminal.enrolment import Enrolment, Person
from tests.second_terminal.frames import Packet, parse, take_packets
from tests.second_terminal.memory import USER_28, USER_72, Memory, User
from tests.second_terminal.session import DIRECT_FRAME, EVENT, Session

EF_ATTLOG, EF_FINGER, EF_VERIFY = 1, 2, 128
ACK_PATIENCE_S = 1.0  # clients for Node.js never acknowledge an event (3.11)
FIRST_SESSION = 0x3C5C


class SecondTerminal:
    """A terminal that answers with the shapes of captures; use it in a `with`."""

    host = "127.0.0.1"

    def __init__(
        self,
        memory: Memory | None = None,
        *,
        key: int = 0,
        tcp: bool = True,
        frame: int = DIRECT_FRAME,
        size_in_closing_ack: bool = False,
        restart_acknowledged: bool = True,
        person: Person = Person.SHOWS_A_FINGER,
    ) -> None:
        """`frame`: bytes of a DATA frame after 1504 on TCP, as announced: 1008, 65528 or 65536 (section 7, C3)."""
        self.memory = memory or Memory()
        self.key = key
        self.frame = frame
        self.size_in_closing_ack = size_in_closing_ack
        self.restart_acknowledged = restart_acknowledged
        self.person = person
        self.requests: list[Packet] = []
        self.unlocked: list[int] = []
        self.enrolment: Enrolment | None = None
        self._enables_at: float | None = None
        self._wakes_at = 0.0
        self._door_closes_at = 0.0
        self._sessions: dict[object, Session] = {}
        self._streams: dict[socket.socket, bytearray] = {}
        self._next_number = FIRST_SESSION
        self._lock = Lock()
        self._running = True
        self._selector = selectors.DefaultSelector()
        self._listener, self._datagrams = self._bind()
        self.port: int = self._listener.getsockname()[1]
        if tcp:
            self._selector.register(self._listener, selectors.EVENT_READ)
        else:
            # Nobody else gets the port, and who connects is refused.
            self._listener.close()
        self._selector.register(self._datagrams, selectors.EVENT_READ)
        self._thread = Thread(target=self._run, name="second terminal")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        self._thread.join()
        for connection in list(self._streams):
            self._hang_up(connection)
        self._listener.close()
        self._datagrams.close()
        self._selector.close()

    # What a test does at the terminal.

    def add_user(
        self, user_id: str, name: str = "", *, uid: int | None = None, privilege: int = 0, card: int = 0
    ) -> User:
        """Type in a user at the keypad."""
        with self._lock:
            uid = uid or max(self.memory.records, default=0) + 1
            if self.memory.wide:
                record = USER_72.pack(uid, privilege, b"", name.encode(), card, 1, 0, 0, 0, 0, user_id.encode())
            else:
                record = USER_28.pack(uid, privilege, b"", name.encode(), card, 1, 0, int(user_id))
            assert self.memory.write(record)
            return self.memory.read(record)

    def users(self) -> list[User]:
        """The table."""
        with self._lock:
            return self.memory.users()

    def punch(self, user_id: str, *, verify: int = 1, state: int = 0, when: datetime | None = None) -> None:
        """Have a person come, also one whom the terminal does not know (section 7, C7)."""
        with self._lock:
            moment = when or self.memory.now()
            user = self.memory.find(user_id)
            if verify == 1:
                self._tell(EF_FINGER, b"")
            self._tell(EF_VERIFY, struct.pack("<IB", user.uid if user else 0xFFFFFFFF, 1))
            if user is None:
                return
            self.memory.note_punch(user, verify, state, moment)
            # A TFT's event has 32 bytes; the one of the manual of 2006 has ten and names the uid (3.11).
            known_as = struct.pack("<24s", user.user_id.encode()) if self.memory.wide else struct.pack("<H", user.uid)
            self._tell(EF_ATTLOG, known_as + bytes((verify, state)) + clock.in_event(moment))

    @property
    def disabled(self) -> bool:
        """Whether the keypad and the reader are off."""
        return self._enables_at is not None and time.monotonic() < self._enables_at

    @property
    def door_open(self) -> bool:
        """Whether the door is open."""
        return time.monotonic() < self._door_closes_at

    @property
    def sessions_open(self) -> int:
        """How many clients are connected."""
        with self._lock:
            return len(self._sessions)

    @property
    def counts(self) -> Counter[int]:
        """How often each command came."""
        with self._lock:
            return Counter(request.code for request in self.requests)

    # What requests do to the terminal.

    def disable(self, seconds: int | None) -> None:
        """None enables; 0 disables until enabled; else that many seconds (2.6)."""
        if seconds is None:
            self._enables_at = None
        else:
            self._enables_at = time.monotonic() + seconds if seconds else float("inf")

    def unlock(self, seconds: int) -> None:
        """Open the door; an F19 counts seconds (section 7, C9)."""
        self.unlocked.append(seconds)
        self._door_closes_at = time.monotonic() + seconds

    def enrol(self, session: Session, user: User, finger: int, flag: int) -> None:
        """Begin to ask for a finger; a disabled terminal does so too (section 7, C5)."""
        self.enrolment = Enrolment(session, self.memory, user.user_id, user.uid, finger, flag, self.person)
        # The answer to STARTENROLL must be read before the first event comes: clients read one packet by one `recv`.
        self._wakes_at = time.monotonic() + 0.05

    def acknowledged(self, session: Session) -> None:
        """Go on with the enrolment that this client follows."""
        if self.enrolment and self.enrolment.session is session and self._wakes_at - time.monotonic() < ACK_PATIENCE_S:
            self._wake()

    def restart(self) -> None:
        """Drop all clients; what was disabled is enabled."""
        self.disable(None)
        for session in list(self._sessions.values()):
            session.close()

    # The wire.

    def _bind(self) -> tuple[socket.socket, socket.socket]:
        while True:
            listener = socket.create_server((self.host, 0))
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                datagrams.bind(listener.getsockname())
            except OSError:
                listener.close()
                datagrams.close()
                continue
            return listener, datagrams

    def _run(self) -> None:
        while self._running:
            ready = self._selector.select(0.01)
            with self._lock:
                for key, _ in ready:
                    self._read(key.fileobj)
                if self.enrolment and time.monotonic() >= self._wakes_at:
                    self._wake()

    def _read(self, source: object) -> None:
        if source is self._listener:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._streams[connection] = bytearray()
            self._selector.register(connection, selectors.EVENT_READ)
        elif source is self._datagrams:
            packet, address = self._datagrams.recvfrom(65536)
            if len(packet) >= 8:
                requests.serve(self, self._session(address), parse(packet))
        elif isinstance(source, socket.socket) and source in self._streams:
            self._read_stream(source)

    def _read_stream(self, connection: socket.socket) -> None:
        try:
            arrived = connection.recv(65536)
            self._streams[connection] += arrived
            packets = take_packets(self._streams[connection])
        except OSError:
            arrived, packets = b"", []
        for packet in packets:
            if connection in self._streams:
                requests.serve(self, self._session(connection), packet)
        if not arrived:
            self._hang_up(connection)

    def _session(self, peer: object) -> Session:
        if peer not in self._sessions:
            self._next_number += 1
            self._sessions[peer] = Session(
                self._next_number,
                self._sender(peer),
                lambda: self._hang_up(peer),
                udp=not isinstance(peer, socket.socket),
                frame=self.frame,
                size_in_closing_ack=self.size_in_closing_ack,
            )
        return self._sessions[peer]

    def _sender(self, peer: object) -> Callable[[Packet], None]:
        def send(packet: Packet) -> None:
            with suppress(OSError):
                if isinstance(peer, socket.socket):
                    peer.sendall(packet.framed())
                elif isinstance(peer, tuple):
                    self._datagrams.sendto(bytes(packet), peer)

        return send

    def _hang_up(self, peer: object) -> None:
        session = self._sessions.pop(peer, None)
        if self.enrolment and self.enrolment.session is session:
            self.enrolment = None
        if isinstance(peer, socket.socket) and self._streams.pop(peer, None) is not None:
            self._selector.unregister(peer)
            peer.close()

    def _tell(self, event: int, data: bytes) -> None:
        for session in self._sessions.values():
            if session.events & event:
                session.send(Packet(EVENT, event, 0, data))

    def _wake(self) -> None:
        self._wakes_at = time.monotonic() + ACK_PATIENCE_S
        if self.enrolment and not self.enrolment.wake():
            self.enrolment = None
