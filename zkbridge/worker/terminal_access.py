"""Opens the conversations of one worker with its terminal."""

from __future__ import annotations

import math

from zkbridge.attendance.listener import Listener
from zkbridge.config.models import Config, Device
from zkbridge.terminal.line import PersistentConnection
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session, enable, open_session, reach
from zkbridge.terminal.whereabouts import Whereabouts
from zkbridge.worker.request_queue import RequestQueue
from zkbridge.worker.retry import Interrupted
from zkbridge.worker.terminal_facts import TerminalFacts


class TerminalAccess:
    """Opens conversations, over the connection on which punches are listened for where there is one.

    A wait for the terminal's lock ends with Interrupted when the bridge stops.
    """

    def __init__(
        self,
        where: Whereabouts,
        config: Config,
        *,
        facts: TerminalFacts,
        requests: RequestQueue,
        listener: Listener | None,
    ) -> None:
        self._where = where
        self._config = config
        self._facts = facts
        self._requests = requests
        self._listener = listener

    @property
    def device(self) -> Device:
        """The device at the address where its terminal was last found."""
        return self._where.device

    def open(self, deadline: Deadline, *, disables: bool) -> Session:
        """A session for requests; the terminal is disabled meanwhile if `disables`, and enabled first if that is due.

        To be used in a `with`; see `open_session` for the errors.
        """
        if disables and self._listener is not None:
            self._listener.forget_names()
        # Long enough for the session and one answer that is late; if the bridge dies, people wait no longer.
        seconds = math.ceil(self._config.session_budget + self.device.timeout)
        return open_session(
            self.device,
            deadline=deadline,
            known=self._facts.known,
            disable_for=seconds if disables else None,
            enable_first=self._facts.pending_enable,
            lock_dir=self._config.lock_dir,
            waiting=self.check_stop,
            line=self._line,
        )

    def open_to_look(self, deadline: Deadline) -> Session:
        """A session that changes nothing. Raises Interrupted when the bridge stops."""
        self.check_stop()
        return open_session(
            self.device,
            deadline=deadline,
            known=self._facts.known,
            disable_for=None,
            lock_dir=self._config.lock_dir,
            waiting=self.check_stop,
            line=self._line,
        )

    def probe(self, deadline: Deadline) -> None:
        """Enable the terminal if that is pending, else only see whether it answers. Raises TerminalError."""
        lock_dir, line = self._config.lock_dir, self._line
        if self._facts.pending_enable:
            enable(self.device, deadline=deadline, lock_dir=lock_dir, line=line, waiting=self.check_stop)
            self._facts.mark_enabled()
        else:
            info = reach(
                self.device,
                deadline=deadline,
                lock_dir=lock_dir,
                line=line,
                waiting=self.check_stop,
                ask_clock=self._config.homeassistant.discovery,
            )
            self._facts.note_told(info)
        self._facts.note_reached()

    def check_stop(self) -> None:
        """Raise Interrupted when the bridge stops: the next start can do as well what has not begun."""
        if self._requests.stopping:
            raise Interrupted

    @property
    def _line(self) -> PersistentConnection | None:
        """The connection that is kept between requests, if any: every conversation of this worker must use it."""
        return None if self._listener is None else self._listener.line
