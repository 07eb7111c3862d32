"""Metrics for Prometheus: counters, and the state of the bridge. Their library is loaded only where a port is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.telemetry.events import Event

if TYPE_CHECKING:
    from zkbridge.metrics.recorder import Source
    from zkbridge.metrics.server import MetricsServer


class Metrics:
    """Counts events, and serves the metrics on this address from `start` to `stop`."""

    def __init__(self, host: str, port: int, source: Source) -> None:
        from zkbridge.metrics.recorder import Recorder  # noqa: PLC0415 - time and memory, needed only where a port is set

        self._host, self._port = host, port
        self._recorder = Recorder(source)
        self._server: MetricsServer | None = None

    def tell(self, event: Event) -> None:
        """Count an event; any thread may call this."""
        self._recorder.tell(event)

    def start(self) -> None:
        """Start to serve. Raises MetricsUnavailable."""
        from zkbridge.metrics.server import MetricsServer  # noqa: PLC0415 - as above

        self._server = MetricsServer(self._host, self._port, self._recorder.registry)
        self._server.start()

    def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.stop()
