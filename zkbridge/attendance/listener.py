"""Listens to one terminal while its worker has no request, and stops as soon as it has one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from zkbridge.attendance.follower import PunchFollower
from zkbridge.attendance.hooks import ListenerHooks
from zkbridge.attendance.names import UserNames
from zkbridge.attendance.punch_count import ANSWER_S
from zkbridge.attendance.recorder import Recorder
from zkbridge.attendance.turn import Turn
from zkbridge.attendance.watch import Watch
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import ConnectionFailure, DeviceAuthFailed, TerminalError
from zkbridge.contract.wrong_device import WrongDevice
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.machine import limits
from zkbridge.machine.pause import Pause
from zkbridge.port.waker import Waker
from zkbridge.terminal.line import PersistentConnection
from zkbridge.terminal.protocol.bulk_read import ReadInterrupted
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Known, open_session
from zkbridge.terminal.whereabouts import Whereabouts

log = logging.getLogger(__name__)

#: How long another process that waits for the terminal's lock is given to take it (seconds).
ROOM_S = 0.3
#: Pauses after failures, in seconds: the first, which doubles up to the most. After a long connection it is the first
#: again.
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONG_LIFE_S = 1.0, 30.0, 60.0
#: Pause until there is room on disk for more punches, or the disk works again (seconds).
DISK_PAUSE_S = 5.0
#: However many requests wait, events that have arrived are stored at least this often (seconds).
HUNGRY_S = 5.0


class Listener:
    """Stores each punch of a device, once and in order. `line` is the connection that it shares with the requests.

    `where` says at which address the terminal is; without it that is the configured one.

    `listen` runs in the worker's thread; `interrupt` may be called from any.
    """

    def __init__(
        self,
        device: Device,
        config: Config,
        ledger: Ledger,
        hooks: ListenerHooks,
        where: Whereabouts | None = None,
    ) -> None:
        self.line = PersistentConnection(device, lock_dir=config.lock_dir)
        self._where = where or Whereabouts(device)
        self._config = config
        self._hooks = hooks
        self._lock = threading.Lock()
        self._waker: Waker | None = None
        self._closing = threading.Event()
        self._listened_at = 0.0
        self._pause = Pause(FIRST_PAUSE_S, LONGEST_PAUSE_S, spread=0.5)
        self._watch = Watch(device.timeout)
        names = UserNames(config.retry.deadline)
        recorder = Recorder(device.id, ledger, names, most=config.ledger.max_punches, hooks=hooks)
        self._follower = PunchFollower(device, ledger, recorder, names, self._watch)
        self._warned_of_room = False

    @property
    def _device(self) -> Device:
        """The device at the address where its terminal was last found."""
        return self._where.device

    # -- for other threads -----------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """End `listen` soon."""
        with self._lock:
            if self._waker is not None:
                self._waker.wake()

    def stop(self) -> None:
        """End `listen` soon, whatever it does, and keep it ended."""
        self._closing.set()
        self.interrupt()

    def overdue(self) -> bool:
        """Whether the terminal has been listened to for longer than any step of it can take."""
        return self._watch.overdue()

    # -- for the worker's thread -------------------------------------------------------------------------------------

    def listen(self, wanted: Callable[[], bool]) -> None:
        """Store punches until interrupted, or until something fails. Raises only for faults of this program.

        `wanted` says whether something else is to be done: it is asked once an interruption is heeded. Then only what
        was told already is kept, and that not often.
        """
        with Waker() as waker:
            turn = Turn(waker, self.line, self._closing, briefly=wanted())
            with self._lock:
                self._waker = None if turn.briefly else waker
            try:
                if not self._closing.is_set() and (self.needs_drain() or not wanted()):
                    self._listen(turn)
            finally:
                self._watch.rest()
                self._listened_at = time.monotonic()
                with self._lock:
                    self._waker = None

    def needs_drain(self) -> bool:
        """Whether many events may have arrived while requests used the connection."""
        return self.line.is_open and time.monotonic() - self._listened_at > HUNGRY_S

    def forget_names(self) -> None:
        """A user's name may have changed."""
        self._follower.forget_names()

    def lose_place(self) -> None:
        """Read the place in the log from disk again, because the log was cleared."""
        self._follower.lose_place()

    def close(self) -> None:
        """Give the terminal back."""
        self.line.drop()

    # -- a connection ------------------------------------------------------------------------------------------------

    def _listen(self, turn: Turn) -> None:
        if not self.line.is_open and turn.waker.wait(self._pause.left_s):
            return
        try:
            if self._follower.has_no_room():
                self._wait_for_room(turn)
                return
            if not self.line.is_open:
                limits.require_room()
            self._hold(turn)
        except ReadInterrupted:
            self._follower.make_way()
            self._make_room(turn)
        except TerminalError as failure:
            self._note_failure(failure)
        except LedgerUnavailable as failure:
            log.error("device=%s punches cannot be kept now: %s", self._device.id, failure)  # noqa: TRY400 - the sentence says it all
            self._follower.lose_place()
            self.line.drop()
            self._pause.extend(DISK_PAUSE_S)
        except OSError as failure:
            if not limits.SHORTAGES.note(failure):
                raise
            self._stop_for_now()
        else:
            self._make_room(turn)

    def _wait_for_room(self, turn: Turn) -> None:
        if not self._warned_of_room:
            log.warning(
                "device=%s its punches stay in its log for now: as many as may wait for the broker do so",
                self._device.id,
            )
        self._warned_of_room = True
        self.line.drop()
        turn.waker.wait(DISK_PAUSE_S)

    def _make_room(self, turn: Turn) -> None:
        """Wait a moment without the terminal's lock, so that another process can take it."""
        if self.line.wanted():
            self.line.drop()
        if not self.line.is_open:
            turn.waker.wait(ROOM_S)

    def _hold(self, turn: Turn) -> None:
        self._watch.expect()
        with open_session(
            self._device,
            deadline=Deadline.after(min(self._config.retry.deadline, max(self._device.timeout, ANSWER_S))),
            known=Known(),
            disable_for=None,
            lock_dir=self._config.lock_dir,
            line=self.line,
            waiting=self._stay,
        ) as session:
            self._hooks.note_availability(self._device.id, None)
            if self.line.number != self._follower.connection:
                limits.require_room()  # many threads may have found room at the same moment
            self._follower.begin(session, turn)
            while not (turn.is_wanted() or self._follower.has_no_room()):
                self._watch.expect()
                self._follower.step(session, turn)
                if time.monotonic() - self._follower.connected_at >= LONG_LIFE_S:
                    self._pause.note_success()

    def _stay(self) -> None:
        """Raise ReadInterrupted once `listen` is to end: then nobody needs the lock any more."""
        if self._closing.is_set():
            raise ReadInterrupted

    def _note_failure(self, failure: TerminalError) -> None:
        if limits.SHORTAGES.note(failure):
            pass  # the terminal is not to blame
        elif isinstance(failure, (ConnectionFailure, DeviceAuthFailed, WrongDevice)):
            self._hooks.note_availability(self._device.id, failure)
        else:
            log.warning("device=%s cannot be listened to: %s", self._device.id, failure)
        self._stop_for_now()

    def _stop_for_now(self) -> None:
        self.line.drop()
        self._pause.note_failure()
