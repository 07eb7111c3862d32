"""How other threads control the broker's thread, and how they see that it works."""

from __future__ import annotations

import socket
import threading
import time

from zkbridge.mqtt.subscriptions import Subscriptions

#: How much later than announced the thread may report: connecting, and a slow disk, take time (seconds).
SLACK_S = 60.0


class ThreadControl:
    """Stop, reconnect, subscribe anew: each wakes the thread out of its poll. `subscriptions` are the present ones."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self.subscriptions = subscriptions
        self._stop = threading.Event()
        self._reconnect = threading.Event()
        self._resubscribe = threading.Event()
        # How often other subscriptions were asked for; how many of these have been sent, and how many granted.
        self._wanted = self._sent = self._granted = 0
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._next_move = time.monotonic()

    # -- for other threads ---------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Let the thread end."""
        self._stop.set()
        self.wake()

    def reconnect(self) -> None:
        """Let the thread end this connection and make a new one."""
        self._reconnect.set()
        self.wake()

    def resubscribe(self, subscriptions: Subscriptions) -> None:
        """Let the thread subscribe to these and no others."""
        self.subscriptions = subscriptions
        self._wanted += 1
        self._resubscribe.set()
        self.wake()

    @property
    def is_granted(self) -> bool:
        """Whether the broker has answered the subscriptions of now."""
        return self._granted >= self._wanted

    def wake(self) -> None:
        """End the thread's poll."""
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            pass  # it has been woken often enough
        except OSError:
            pass  # it has stopped

    def is_moving(self) -> bool:
        """Whether the thread has reported lately, or is in a pause that it announced."""
        return time.monotonic() < self._next_move + SLACK_S

    def close(self) -> None:
        """Free the sockets once the thread has ended."""
        self._waker.close()
        self._woken.close()

    # -- for the broker's thread ---------------------------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        """Whether the thread is to end."""
        return self._stop.is_set()

    def fileno(self) -> int:
        """What to poll: readable when the thread was woken."""
        return self._woken.fileno()

    def drain(self) -> None:
        """Forget the wakes so far."""
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            return

    def take_reconnect(self) -> bool:
        """Whether a new connection was asked for since the last call."""
        return self._take(self._reconnect)

    def take_resubscribe(self) -> bool:
        """Whether other subscriptions were asked for since the last call; then they are sent next."""
        asked = self._take(self._resubscribe)
        if asked:
            self._sent = self._wanted
        return asked

    def note_granted(self) -> None:
        """The broker has answered every subscription that was sent."""
        self._granted = self._sent

    def announce(self, seconds: float) -> None:
        """Announce by when the thread reports again (seconds from now)."""
        self._next_move = time.monotonic() + seconds

    def pause(self, seconds: float) -> None:
        """Wait, unless the thread is to end."""
        self._stop.wait(seconds)

    def _take(self, event: threading.Event) -> bool:
        asked = event.is_set()
        if asked:
            event.clear()
        return asked
