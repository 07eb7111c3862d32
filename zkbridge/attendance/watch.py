"""The time limit of each step of listening, so that a step that hangs is noticed."""

from __future__ import annotations

import time

#: The longest that any step but reading the log takes, besides the terminal's time for answers (seconds).
STEP_S = 120.0


class Watch:
    """The time by which the present step must be over. `timeout_s` is the timeout of the terminal's answers."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._due: float | None = None

    def expect(self, seconds: float = 0.0) -> None:
        """Allow the next step this many seconds besides what every step may take."""
        self._due = time.monotonic() + seconds + STEP_S + 3 * self._timeout_s

    def rest(self) -> None:
        """No step is under way."""
        self._due = None

    def overdue(self) -> bool:
        """Whether a step takes longer than any can; any thread may ask."""
        due = self._due
        return due is not None and time.monotonic() > due
