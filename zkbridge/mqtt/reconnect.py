"""How long to wait before the next connection to the broker, and why."""

from __future__ import annotations

#: Pause before the first, and at most before any, new connection (seconds; random between half and all of it).
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
#: A connection that ends within this time after CONNACK was perhaps taken over by another client (seconds).
SHORT_LIFE_S = 10.0
#: So many short connections in a row suggest another client with the same client id.
MANY_SHORT_LIVES = 3
#: While two clients take the connection from each other the longest pause is this many times longer.
_CONTESTED_FACTOR = 5
_MOST_UNREADABLE, _MOST_DOUBLINGS = 4, 12


class ReconnectPolicy:
    """Count how attempts and connections ended; the pause doubles with each. For one thread."""

    def __init__(self) -> None:
        self._failures = 0
        self._short_lives = 0
        self._unreadable_lives = 0
        self._taken_over = False

    def accepted(self) -> None:
        """Note that the broker accepted a connection."""
        self._failures = 0

    def failed(self) -> None:
        """Note an attempt that the broker did not accept, or a connection that ended by a fault of the bridge."""
        self._failures += 1

    def ended(self, lived_s: float, *, taken_over: bool, unreadable: bool) -> None:
        """Note the end of an accepted connection, `lived_s` seconds after CONNACK.

        `taken_over`: the broker said that another client took it over (MQTT 5, 0x8E). `unreadable`: the bridge ended it
        over a packet. Mosquitto answers a reply over its message_size_limit by a code that paho 2.2 does not know: no
        other client's doing, and over as soon as the outbox has found out which reply it was.
        """
        short = taken_over or (lived_s < SHORT_LIFE_S and not unreadable)
        self._failures = 0
        self._short_lives = self._short_lives + 1 if short else 0
        self._unreadable_lives = self._unreadable_lives + 1 if unreadable else 0
        self._taken_over = taken_over

    @property
    def is_contested(self) -> bool:
        """Whether another client probably uses the same client id."""
        return self._taken_over or self._short_lives >= MANY_SHORT_LIVES

    @property
    def pause_s(self) -> float:
        """The longest pause before the next attempt, in seconds; a random part of it is to be left out."""
        contested = max(0, self._short_lives - MANY_SHORT_LIVES + 1)
        doublings = self._failures + 3 * contested + min(self._unreadable_lives, _MOST_UNREADABLE)
        longest = LONGEST_PAUSE_S * (_CONTESTED_FACTOR if contested else 1)
        return float(min(FIRST_PAUSE_S * 2 ** min(doublings, _MOST_DOUBLINGS), longest))
