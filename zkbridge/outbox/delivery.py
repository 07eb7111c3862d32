"""A thread that sends what the ledger owes: what replies and punches on their way out have in common."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from zkbridge.ledger.errors import LedgerUnavailable

log = logging.getLogger(__name__)

DISK_PAUSE_S = 1.0
#: Seconds until the ledger is looked at unasked: nothing must wait for ever because nobody said it was there.
LOOK_EVERY_S = 5.0


class Delivery(ABC):
    """Looks, whenever it is woken, what is owed, and settles what was confirmed.

    `name` is the thread's, `what` is what the log calls that which it sends. `_change` guards the state: whoever
    changes it notifies all. `_online` says whether the broker is there, `_look` whether there may be news on disk.
    """

    def __init__(self, name: str, what: str, *, died: Callable[[BaseException], None]) -> None:
        self._what = what
        self._died = died
        self._change = threading.Condition()
        self._online = False
        self._stopping = False
        self._look = True
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to publish, as soon as the bridge is online."""
        self._thread.start()

    def wake(self) -> None:
        """Something was kept that is to be sent."""
        with self._change:
            self._look = True
            self._change.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until everything that can be sent now is confirmed; whether that was reached."""
        with self._change:
            return self._change.wait_for(self._is_idle, timeout)

    def stop(self) -> None:
        """End the thread; what is not confirmed stays owed."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _is_idle(self) -> bool:
        """Whether nothing can be done before the broker or the ledger has news; under the lock."""

    @abstractmethod
    def _has_work(self) -> bool:
        """Whether to settle or to send; under the lock."""

    @abstractmethod
    def _settle(self) -> None:
        """Note on disk what the broker said. Raises LedgerUnavailable."""

    @abstractmethod
    def _send(self) -> None:
        """Hand over what is owed, as far as there is room. Raises LedgerUnavailable."""

    def _next_look(self) -> float:
        """Seconds until the ledger is looked at unasked; under the lock."""
        return LOOK_EVERY_S

    def _run(self) -> None:
        try:
            while self._wait():
                try:
                    self._settle()
                    self._send()
                except LedgerUnavailable as failure:
                    log.error("%s cannot be looked after now: %s", self._what, failure)  # noqa: TRY400 - the sentence says it all
                    with self._change:
                        self._change.wait_for(lambda: self._stopping, DISK_PAUSE_S)
        except BaseException as error:  # the last line of a thread: whoever watches must hear of it
            log.critical("the %s died", self._thread.name, exc_info=True)
            self._died(error)

    def _wait(self) -> bool:
        with self._change:
            if not self._change.wait_for(lambda: self._stopping or self._has_work(), self._next_look()):
                self._look = True
            return not self._stopping
