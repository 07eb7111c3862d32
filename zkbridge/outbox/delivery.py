"""A thread that sends what the ledger keeps for the broker: the common part of replies and punches."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import Protocol

from zkbridge.contract.messages import Publication, Token
from zkbridge.ledger.errors import LedgerUnavailable

log = logging.getLogger(__name__)

DISK_PAUSE_S = 1.0
#: Seconds between looks at the ledger without a `wake`, in case one was missed.
LOOK_EVERY_S = 30.0


class Broker(Protocol):
    """The connection to the broker. For any thread; neither waits nor raises."""

    def publish(self, token: Token | None, publication: Publication, /) -> None:
        """Send a message if there is a connection; its token comes back with the broker's answer."""

    @property
    def brings_back(self) -> bool:
        """Whether this connection brings back the punches that the bridge publishes itself."""


class Supervisor(Protocol):
    """Ends the daemon when a part of it can do its work no more."""

    def fail(self, error: BaseException, /) -> None:
        """A part's thread has ended by an error. Called from that thread."""


class Delivery(ABC):
    """A thread that sends what is kept and not confirmed, whenever it is woken, and notes what was confirmed.

    `name` is the thread's, `what` is the log's name for what it sends. `_change` guards the state, and every change of
    it notifies all waiting threads. `_online` says whether the broker is there, `_look` whether there may be news on
    disk.
    """

    def __init__(self, name: str, what: str, *, supervisor: Supervisor) -> None:
        self._what = what
        self._supervisor = supervisor
        self._change = threading.Condition()
        self._online = False
        self._stopping = False
        self._look = True
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to publish, as soon as the bridge is online."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the ledger: something was kept that is to be sent."""
        with self._change:
            self._look = True
            self._change.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until everything that can be sent now is confirmed; whether that was reached."""
        with self._change:
            return self._change.wait_for(self._is_idle, timeout)

    def stop(self) -> None:
        """End the thread; what is not confirmed is sent after the next start."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _is_idle(self) -> bool:
        """Whether there is nothing to do until the broker or the ledger has news; under the lock."""

    @abstractmethod
    def _has_work(self) -> bool:
        """Whether to settle or to send; under the lock."""

    @abstractmethod
    def _settle(self) -> None:
        """Note on disk what the broker said. Raises LedgerUnavailable."""

    @abstractmethod
    def _send(self) -> None:
        """Publish what is kept and not confirmed, as far as there is room. Raises LedgerUnavailable."""

    def _next_look(self) -> float:
        """Seconds until the ledger is looked at without a `wake`; under the lock."""
        return LOOK_EVERY_S

    def _run(self) -> None:
        try:
            while self._wait():
                try:
                    self._settle()
                    self._send()
                except LedgerUnavailable as failure:
                    log.error("%s cannot be read or noted in the ledger now: %s", self._what, failure)  # noqa: TRY400 - the sentence says it all
                    with self._change:
                        self._look = True  # what could not be read is still there
                        self._change.wait_for(lambda: self._stopping, DISK_PAUSE_S)
        except BaseException as error:  # the last line of a thread: the daemon must end
            log.critical("the %s died", self._thread.name, exc_info=True)
            self._supervisor.fail(error)

    def _wait(self) -> bool:
        """Wait for work, or until the ledger is to be looked at; False when the thread is to end."""
        with self._change:
            until = time.monotonic() + self._next_look()
            while not (self._stopping or self._has_work()):
                until = min(until, time.monotonic() + self._next_look())  # what has changed may be due earlier
                if (left := until - time.monotonic()) <= 0:
                    self._look = True
                    break
                self._change.wait(left)
            return not self._stopping
