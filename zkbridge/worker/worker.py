"""One thread for each terminal: it carries out requests in order, never two at once, several in a session."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from zkbridge.attendance.listener import Listener
from zkbridge.commands import Command
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import TerminalError
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Request
from zkbridge.runtime.thread_pool import Job
from zkbridge.worker.reply_keeper import DISK_PAUSE_S
from zkbridge.worker.request_queue import Step
from zkbridge.worker.retry import Interrupted, again
from zkbridge.worker.surroundings import Shared, WorkerHooks
from zkbridge.worker.wiring import assemble

log = logging.getLogger(__name__)


class DeviceDates(Protocol):
    """What other threads may see of the dates of a device's users."""

    @property
    def next_at(self) -> float | None:
        """When the next of them is due, in seconds since 1970; it may have passed."""

    @property
    def overdue(self) -> int:
        """Users of whom something should have been done more than a minute ago."""


class Worker:
    """The requests of one device. `submit` hands them over; a pool's thread runs while there is something to do.

    `pending_enable`: an earlier run may have left the terminal disabled. With a `listener` the thread stays, and
    listens for punches whenever nothing else is to be done.
    """

    def __init__(
        self,
        device: Device,
        config: Config,
        ledger: Ledger,
        commands: dict[str, Command],
        *,
        hooks: WorkerHooks,
        shared: Shared | None = None,
        pending_enable: bool = False,
        listener: Listener | None = None,
    ) -> None:
        shared = shared or Shared()
        self.device = device
        self._retry = config.retry
        self._hooks = hooks
        self._pool = shared.pool
        self._listener = listener
        self._parts = assemble(
            device,
            config,
            ledger,
            commands,
            hooks=hooks,
            shared=shared,
            pending_enable=pending_enable,
            listener=listener,
        )
        self._requests = self._parts.requests
        #: The thread's job, None at rest; the queue's lock guards it.
        self._job: Job | None = None
        self._conversations_in_need = 0

    # -- for other threads ---------------------------------------------------------------------------------------

    def submit(self, requests: Iterable[Request], *, resumed: bool = False) -> None:
        """Take requests that are kept; they are answered in this order. `resumed`: an earlier run has kept them.

        Raises RuntimeError where no thread can be started: `probe` then starts one later.
        """
        with self._requests.lock:
            self._requests.add(list(requests), resumed=resumed)
            self._wake()
        try:
            self._parts.keeper.keep_ready(self._requests)
        except LedgerUnavailable:
            self._wake()  # the thread tries again

    def probe(self) -> None:
        """Find out whether the terminal answers, and enable it if that is pending, unless it is in use anyway."""
        with self._requests.lock:
            self._requests.want_probe(wanted=self._job is None or self._listener is not None)
            self._wake()

    @property
    def waiting(self) -> int:
        """How many requests wait or are being worked on."""
        return self._requests.waiting

    @property
    def is_idle(self) -> bool:
        """Whether no thread runs for it."""
        return self._job is None

    @property
    def pending_enable(self) -> bool:
        """Whether the terminal may still be disabled by the bridge."""
        return self._parts.facts.pending_enable

    @property
    def dates(self) -> DeviceDates:
        """When users of the device are to be blocked or unblocked, and how many should have been by now."""
        return self._parts.dates

    def look_at_dates(self) -> None:
        """Have the dates carried out whose moment has come. Raises RuntimeError where no thread can be started."""
        self._wake()

    @property
    def is_waited_for(self) -> bool:
        """Whether requests wait for the terminal to answer again."""
        return not self._parts.waiting.is_empty

    def overdue(self) -> bool:
        """Whether a conversation takes longer than its deadline and its closing allow."""
        return self._parts.deadline.is_overdue or (self._listener is not None and self._listener.overdue())

    @property
    def listens(self) -> bool:
        """Whether punches are published as they happen; the first probe begins that."""
        return self._listener is not None

    def stop(self) -> None:
        """Begin nothing new; what is in hand is finished or left for the next start, and no person is waited for."""
        self._requests.stop()
        if self._listener is not None:
            self._listener.stop()

    def join(self, timeout: float) -> bool:
        """Wait until its thread has ended, at most `timeout` seconds; return whether it has."""
        job = self._job
        return job is None or job.join(timeout)

    def _wake(self) -> None:
        with self._requests.lock:
            if (
                self._job is None
                and not self._requests.stopping
                and (self._requests.has_new or self._parts.dates.is_due)
            ):
                self._job = self._pool.start(self._run, name=f"terminal {self.device.id}")
            elif self._listener is not None:
                self._listener.interrupt()

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._has_work():
                self._serve()
            if self._listener is not None:
                self._listener.close()
        except BaseException as error:  # the outermost frame of the thread: the daemon must end with it
            log.critical("device=%s its worker died", self.device.id, exc_info=True)
            self._hooks.fail(error)

    def _has_work(self) -> bool:
        with self._requests.lock:
            if not self._requests.stopping and (self._is_wanted() or self._listener is not None):
                return True
            self._job = None
            return False

    def _is_wanted(self) -> bool:
        """Whether something other than listening is to be done, or the thread is to end."""
        return self._requests.stopping or self._requests.has_work or self._may_catch_up() or self._parts.dates.is_due

    def _may_catch_up(self) -> bool:
        return self._parts.waiting.is_due(reached=self._parts.facts.reached)

    def _serve(self) -> None:
        """Listen until something is to be done, then hold one conversation."""
        if self._listener is not None and (not self._is_wanted() or self._listener.needs_drain()):
            self._listener.listen(self._is_wanted)
            if self._requests.stopping or not self._is_wanted():
                return
        with self._parts.deadline.running():
            self._take_step(self._requests.next_step(may_catch_up=self._may_catch_up()))
        self._ask_for_probe()

    def _take_step(self, step: Step) -> None:
        try:
            self._parts.keeper.keep_ready(self._requests)
            self._converse(step)
        except Interrupted:
            self._requests.drop_in_hand()  # the ledger has them; the next start goes on
        except LedgerUnavailable as failure:
            log.error("device=%s %s; trying again", self.device.id, failure)  # noqa: TRY400 - the failure says it all
            self._requests.pause(DISK_PAUSE_S)
        except Exception as fault:  # noqa: BLE001 - a fault of the bridge must not lose the replies of all that wait
            self._parts.failures.handle_internal_error(fault)

    def _converse(self, step: Step) -> None:
        """Hold one conversation, with its attempts: everything that waits shares its end if it fails for good."""
        deadline = self._parts.deadline
        try:
            if step is Step.PROBE:
                if not self._parts.date_runner.run(deadline.current):
                    self._parts.access.probe(deadline.current)
            elif step is Step.CATCH_UP:
                self._catch_up()
            else:
                self._hold_session()
        except TerminalError as failure:
            self._parts.dates.pause.note_failure()
            if step is Step.CATCH_UP:
                self._parts.waiting.pause.note_failure()
            self._parts.failures.fail_all(failure, deadline.current, alone=step is Step.CATCH_UP)

    def _hold_session(self) -> None:
        deadline = self._parts.deadline

        def run() -> None:
            self._parts.date_runner.run(deadline.current)  # first: who is to be kept out is to be let in no longer
            self._parts.sessions.run(deadline.current)

        again(
            run,
            retry=self._retry,
            pause=self._requests.pause,
            remaining=lambda: deadline.current.remaining(),  # noqa: PLW0108 - it is another one after a person's time
            before_pause=self._note_attempt_failed,
        )

    def _catch_up(self) -> None:
        """Do what has waited, in a conversation of its own that is tried once: its failure costs no other request."""
        self._parts.date_runner.run(self._parts.deadline.current)
        requests = self._parts.waiting.take()
        if not requests:
            return
        log.info("device=%s is back; catching up with %d requests", self.device.id, len(requests))
        deadline = self._parts.deadline.current
        self._requests.take_in_hand(requests)
        while self._requests.in_hand and not self._requests.stopping:
            self._parts.sessions.run(deadline, catching_up=True)
        self._parts.waiting.pause.note_success()
        self._requests.drop_in_hand()  # the bridge stops; the ledger has what is left

    def _ask_for_probe(self) -> None:
        """Have the terminal probed soon where it may be disabled, or requests wait for it."""
        pending = self.pending_enable
        needed = pending or self.is_waited_for
        if not needed or (self._parts.facts.reached and not pending):
            self._conversations_in_need = 0  # what waits for a terminal that answers is soon done
        if needed:
            self._conversations_in_need += 1
            self._hooks.probe_soon(self.device.id, self._conversations_in_need)

    def _note_attempt_failed(self, attempt: int, pause_s: float, failure: BaseException) -> None:
        self._parts.facts.note_attempt_failed(failure)
        log.warning(
            "device=%s attempt %d of %d failed, again in %.1f s: %s",
            self.device.id,
            attempt,
            self._retry.attempts,
            pause_s,
            failure,
        )
