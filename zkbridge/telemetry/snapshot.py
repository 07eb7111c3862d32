"""The state of the bridge at one moment, as values."""

from __future__ import annotations

from typing import NamedTuple

#: What a bridge may run out of, by the names that `short_of` has.
RESOURCES = ("descriptors", "threads")


class Terminal(NamedTuple):
    """One device: requests that wait, whether it answers (None: not known yet), and when it last did.

    `seen_at` is in seconds since 1970. `pending_enable` says that it may still be disabled by us.
    In `drift` users it differed from its document of desired users when it was last compared; None: it was not.
    `moved_to` is the host at which its terminal was found, None where that is the configured one.
    `overdue_dates` counts the users whose moment to be blocked or unblocked has passed, `backup_at` is when the latest
    backup was made, in seconds since 1970.
    """

    device: str
    waiting: int
    online: bool | None
    seen_at: float | None
    pending_enable: bool
    moved_to: str | None = None
    overdue_dates: int = 0
    backup_at: float | None = None
    drift: int | None = None


class LedgerStats(NamedTuple):
    """The ledger: its bytes on disk; rows that wait for a terminal and for the broker, and for how long the oldest."""

    size: int
    unfinished: int
    oldest_unfinished_s: float
    unsent: int
    oldest_unsent_s: float


class BridgeSnapshot(NamedTuple):
    """The whole bridge. `unserved_subscriptions` are subscriptions that the broker granted and does not serve.

    `set_aside` counts the messages since the start that could not be read or kept.
    `short_of` are the machine's resources of which there were lately no more: descriptors, threads.
    `ledger` is None while the ledger cannot be read.
    """

    version: str
    uptime_s: float
    connected: bool
    reconnects: int
    unserved_subscriptions: tuple[str, ...]
    queue_limit: int
    terminals: tuple[Terminal, ...]
    ledger: LedgerStats | None
    set_aside: int = 0
    short_of: tuple[str, ...] = ()

    @property
    def waiting(self) -> int:
        """Requests that wait for any device."""
        return sum(terminal.waiting for terminal in self.terminals)

    @property
    def drift(self) -> dict[str, int]:
        """Devices that differed from their documents, and in how many users."""
        return {each.device: each.drift for each in self.terminals if each.drift}

    @property
    def moved(self) -> dict[str, str]:
        """The hosts of the terminals that were found elsewhere than they are configured, by device."""
        return {each.device: each.moved_to for each in self.terminals if each.moved_to is not None}

    @property
    def overdue_dates(self) -> int:
        """Users of any device who are to be blocked or unblocked since a while."""
        return sum(terminal.overdue_dates for terminal in self.terminals)

    @property
    def oldest_backup_at(self) -> float | None:
        """When the latest backup was made of the device for which that is longest ago; None if a device has none."""
        made = [terminal.backup_at for terminal in self.terminals]
        return None if None in made else min((each for each in made if each is not None), default=None)

    @property
    def offline(self) -> list[str]:
        """Devices that did not answer when they were last asked."""
        return [terminal.device for terminal in self.terminals if terminal.online is False]
