"""Turns the bridge's events and its state into metrics."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from zkbridge.metrics import catalogue
from zkbridge.metrics.catalogue import UNKNOWN_DEVICE, Metric
from zkbridge.telemetry.events import Answered, Event, Failed, Known, SessionEnded
from zkbridge.telemetry.snapshot import RESOURCES, BridgeSnapshot, LedgerStats, Terminal


class Source(Protocol):
    """Where the bridge's state comes from. Called from any thread."""

    def snapshot(self) -> BridgeSnapshot:
        """Return the state just now."""

    def device_ids(self) -> Container[str]:
        """Return the devices that are configured just now."""


class Recorder:
    """Counts events (`tell`), and takes the bridge's state from `source` whenever its `registry` is read.

    No device becomes a label that is not configured, and one that was removed is forgotten. Of a request nothing but
    device, command and code is ever recorded.
    """

    def __init__(self, source: Source) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # of theirs; twice the series, and nobody reads them
        self.registry = CollectorRegistry()
        self._source = source
        self._counters = {
            metric.name: Counter(metric.name, metric.text, metric.labels, registry=None)
            for metric in catalogue.EVENTS
            if metric.kind == "counter"
        }
        self._histograms = {
            metric.name: Histogram(metric.name, metric.text, metric.labels, buckets=metric.buckets, registry=None)
            for metric in catalogue.EVENTS
            if metric.kind == "histogram"
        }
        recorded: dict[str, Counter | Histogram] = {**self._counters, **self._histograms}
        self._of_devices = [recorded[metric.name] for metric in catalogue.EVENTS if "device" in metric.labels]
        self._labelled: set[str] = set()
        self._forgetting = threading.Lock()
        ProcessCollector(registry=self.registry)
        self.registry.register(_Counted(self))
        self.registry.register(_Looked(source))

    def tell(self, event: Event) -> None:
        """Count an event; any thread may call this."""
        device = self._label(event.device)
        match event:
            case Answered(again=True) | Known():
                self._counters[catalogue.COPIES.name].labels(device, event.command).inc()
            case Answered():
                self._counters[catalogue.REQUESTS.name].labels(device, event.command, event.code).inc()
                if event.seconds is not None:
                    self._histograms[catalogue.REQUEST_SECONDS.name].labels(event.command).observe(event.seconds)
            case Failed():
                kind = catalogue.FAILURES if event.final else catalogue.RETRIES
                self._counters[kind.name].labels(device, event.code).inc()
            case SessionEnded():
                self._histograms[catalogue.SESSION_SECONDS.name].labels(device).observe(event.seconds)
                if event.disabled_s is not None:
                    self._histograms[catalogue.DISABLED_SECONDS.name].labels(device).observe(event.disabled_s)

    def counted(self) -> Iterator[Family]:
        """The counters, without those of devices that were removed."""
        self._forget_removed()
        for metric in (*self._counters.values(), *self._histograms.values()):
            yield from metric.collect()

    def _label(self, device: str) -> str:
        if device not in self._source.device_ids():
            return UNKNOWN_DEVICE
        self._labelled.add(device)
        return device

    def _forget_removed(self) -> None:
        """Drop removed devices under a lock: two readers may come at once."""
        with self._forgetting:
            known = self._source.device_ids()
            for device in [each for each in self._labelled.copy() if each not in known]:
                self._labelled.discard(device)
                for metric in self._of_devices:
                    metric.remove_by_labels({"device": device})


class _Counted(Collector):
    """Reads a recorder's counters for Prometheus."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterable[Family]:
        """Counters and histograms."""
        return self._recorder.counted()


class _Looked(Collector):
    """Reads the bridge's state for Prometheus."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Family]:
        """The metrics of bridge, terminals and ledger; unknown values are left out."""
        snapshot = self._source.snapshot()
        yield _family(catalogue.BUILD, ([snapshot.version], 1))
        yield _family(catalogue.CONNECTED, ([], snapshot.connected))
        yield _family(catalogue.RECONNECTS, ([], snapshot.reconnects))
        yield _family(catalogue.SET_ASIDE, ([], snapshot.set_aside))
        yield _family(catalogue.SHORT_OF, *(([kind], kind in snapshot.short_of) for kind in RESOURCES))
        yield _family(catalogue.DEAF, ([], len(snapshot.unserved_subscriptions)))
        yield _family(catalogue.QUEUE_LIMIT, ([], snapshot.queue_limit))
        yield from _terminals(snapshot.terminals)
        if snapshot.ledger is not None:
            yield from _ledger_stats(snapshot.ledger)


def _terminals(terminals: Iterable[Terminal]) -> Iterator[Family]:
    terminals = tuple(terminals)
    yield _family(catalogue.WAITING, *(([each.device], each.waiting) for each in terminals))
    yield _family(catalogue.UP, *(([each.device], each.online) for each in terminals if each.online is not None))
    yield _family(
        catalogue.LAST_SEEN, *(([each.device], each.seen_at) for each in terminals if each.seen_at is not None)
    )
    yield _family(catalogue.OWES_ENABLE, *(([each.device], each.pending_enable) for each in terminals))
    yield _family(catalogue.OVERDUE_DATES, *(([each.device], each.overdue_dates) for each in terminals))
    yield _family(
        catalogue.LAST_BACKUP, *(([each.device], each.backup_at) for each in terminals if each.backup_at is not None)
    )
    yield _family(catalogue.DRIFT, *(([each.device], each.drift) for each in terminals if each.drift is not None))


def _ledger_stats(ledger: LedgerStats) -> Iterator[Family]:
    yield _family(catalogue.LEDGER_BYTES, ([], ledger.size))
    yield _family(catalogue.UNFINISHED, ([], ledger.unfinished))
    yield _family(catalogue.OLDEST_UNFINISHED, ([], ledger.oldest_unfinished_s))
    yield _family(catalogue.OWED, ([], ledger.unsent))
    yield _family(catalogue.OLDEST_OWED, ([], ledger.oldest_unsent_s))


def _family(metric: Metric, *samples: tuple[list[str], float]) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.text, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, float(value))
    return family
