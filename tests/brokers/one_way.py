"""A wire between client and broker that can be made to carry one way only."""

import socket
import threading
from contextlib import suppress
from typing import Self

LOCALHOST = "127.0.0.1"


class OneWay:
    """Listen on `port` and pass everything on to the broker; while `mute`, nothing of what clients send arrives."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self.mute = threading.Event()
        self._listener = socket.create_server((LOCALHOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """End every connection; new ones carry both ways."""
        self.mute.clear()
        sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.create_connection((LOCALHOST, self._broker_port))
            self._sockets += [client, broker]
            for ends, mute in (((client, broker), self.mute), ((broker, client), threading.Event())):
                thread = threading.Thread(target=_pump, args=(*ends, mute))
                thread.start()
                self._threads.append(thread)


def _pump(source: socket.socket, target: socket.socket, mute: threading.Event) -> None:
    with source:
        while True:
            try:
                data = source.recv(65_536)
                if not data:
                    break
                if not mute.is_set():
                    target.sendall(data)
            except OSError:
                break
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
