"""Simulated terminals by remote control: JSON lines over a loopback TCP port.

`{"do": "punch", "terminal": 4370, "user_id": "123"}` is answered `{"ok": true, "result": …}`, or
`{"ok": false, "error": "…"}`.
"""

from __future__ import annotations

import json
import socketserver
import threading
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.console import operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkbridge.simulator.handle.terminal import SimulatedTerminal


class Control:
    """Listens on 127.0.0.1 until stopped; `port` is where. Raises OSError when the port is taken."""

    def __init__(self, terminals: Sequence[SimulatedTerminal], port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _Conversation)
        self._server.terminals = terminals
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="simulator-control", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    terminals: Sequence[SimulatedTerminal]


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            answer = json.dumps(self._answer(line), ensure_ascii=False)
            try:
                self.wfile.write(answer.encode() + b"\n")
            except ConnectionError:
                return

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                return {"ok": False, "error": "a request is a JSON object"}
            return {"ok": True, "result": operations.perform(self.server.terminals, request)}
        except ValueError as error:
            return {"ok": False, "error": f"not JSON: {error}"}
        except operations.OperationFailed as error:
            return {"ok": False, "error": str(error)}
