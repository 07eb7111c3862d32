"""The HTTP server for Prometheus: one thread that listens, and a short one for each reader."""

from __future__ import annotations

import errno
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Iterable
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from zkbridge.metrics.errors import MetricsUnavailable

log = logging.getLogger(__name__)

#: Seconds without a byte after which a reader's connection is closed.
SILENT_S = 10
#: How many readers are answered at the same time: more would take descriptors and threads from the terminals.
MOST_READERS = 32
#: Without a free file descriptor a reader stays in the kernel's queue; seconds until the next attempt.
NO_DESCRIPTOR_S = 0.2
#: Seconds between the thread's looks whether it is to end.
STOP_S = 0.5


class MetricsServer:
    """Serves from `start` to `stop`; `port` is the one in use, also where 0 was asked for.

    Raises MetricsUnavailable when made.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        try:
            self._server = _listen(host, port)
        except OSError as error:
            wrong = "host" if _is_of_host(error) else "port"
            why = f"{host}:{port} cannot be listened on: {error.strerror or error}"
            raise MetricsUnavailable(f"metrics.{wrong}: {why}") from error
        self._server.set_app(_guarded(make_wsgi_app(registry)))
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(STOP_S,), name="metrics", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop. A reader that is being answered does not delay it: its thread is a daemon thread."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _is_of_host(error: OSError) -> bool:
    """Whether the name is unknown, or the address is not one of this machine's."""
    return isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self._room = threading.Semaphore(MOST_READERS)
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a reader. Without a free descriptor, wait first: else this thread would try again without a pause."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(NO_DESCRIPTOR_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a reader in a thread of its own, or close the connection of one too many."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread of one reader."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def server_bind(self) -> None:
        """Bind without asking DNS for this host's name: the query may take long, and the name is not used."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = cast("tuple[str, int]", self.server_address[:2])
        self.setup_environ()

    def handle_error(self, _request: object, _client: object) -> None:
        """A reader that closed the connection needs no log line."""


class _Handler(WSGIRequestHandler):
    timeout = SILENT_S

    def log_message(self, _line: str, *_facts: object) -> None:
        """Log nothing for each request."""


def _guarded(app: WSGIApplication) -> WSGIApplication:
    """Log an error here: wsgiref would print it on standard error."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except Exception:  # the next reader must be answered
            log.exception("the metrics cannot be read")
            start_response("500 Internal Server Error", [])
            return []

    return answer


def _listen(host: str, port: int) -> _Server:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]

    class Server(_Server):
        address_family = family

    return Server(cast("tuple[str, int]", address[:2]), _Handler)
