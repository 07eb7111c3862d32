"""Sends punches and users' events, in the order of each terminal, until the broker has confirmed them."""

from __future__ import annotations

import logging
import time

from zkbridge.contract.messages import Publication, PunchToken
from zkbridge.contract.topics import Topics
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import PUNCH, USER_EVENT, UnsentPunch
from zkbridge.outbox.delivery import Broker, Delivery, Supervisor

log = logging.getLogger(__name__)

#: What the log calls each kind.
_NAMES = {PUNCH: "punches", USER_EVENT: "users' events"}
#: How many punches are under way at once: few, so that no answer waits long behind them.
WINDOW = 40
#: After the broker has refused one, seconds until all of its device that are not confirmed are sent again, in order.
REFUSED_WAIT_S = 60.0
#: How long after its confirmation a punch may take to come back, where only that shows that it was accepted (seconds).
ECHO_S = 5.0
_NO_ECHO = (
    "it confirms them and does not bring them back; does its access list allow to publish and to read there? "
    "MQTT 3.1.1 does not report a refusal; {rights}"
)


class Announcer(Delivery):
    """Publishes every punch and event of a user that is kept, in the order of each terminal.

    `confirmed`, `echoed`, `online` and `offline` are called by the part that talks to the broker, `wake` by the part
    that kept a punch. What the broker confirms is forgotten; what it refuses holds up the later ones of that device
    only. Where the broker brings punches back (`Broker.brings_back`), one that does not come back was not taken.
    `rights` is what the log ends a refusal with.
    """

    def __init__(self, ledger: Ledger, broker: Broker, *, topics: Topics, rights: str, supervisor: Supervisor) -> None:
        super().__init__("announcer", "punches", supervisor=supervisor)
        self._ledger = ledger
        self._broker = broker
        self._topics = topics
        self._rights = rights
        self._last = 0
        self._under_way: dict[int, UnsentPunch] = {}
        self._confirmed: list[int] = []
        self._unechoed: dict[int, float] = {}
        self._blocked: dict[str, float] = {}
        #: By device, the topic that was refused.
        self._refused: dict[str, str] = {}

    @property
    def refused(self) -> list[str]:
        """The topics on which the broker refused the last event; callable from any thread."""
        return sorted(self._refused.values())

    def online(self) -> None:
        """The broker is there."""
        with self._change:
            self._online = True
            self._begin_again()

    def offline(self) -> None:
        """The broker is gone: nothing under way was confirmed."""
        with self._change:
            self._online = False
            self._begin_again()

    def confirmed(self, token: PunchToken, refusal: str | None) -> None:
        """The broker has accepted a punch, or refused it with a reason."""
        punch = token.punch
        with self._change:
            unsent = self._under_way.get(punch)
            if unsent is None or punch in self._confirmed:
                return
            if refusal is not None:
                self._block(unsent, refusal)
            elif unsent.kind == PUNCH and self._broker.brings_back:
                self._unechoed.setdefault(punch, time.monotonic() + ECHO_S)
            else:
                self._take(unsent)
            self._change.notify_all()

    def echoed(self, topic: str, payload: bytes) -> None:
        """A published punch came back: the broker has accepted it, whatever else it answers."""
        with self._change:
            for punch, unsent in self._under_way.items():
                is_it = unsent.body == payload and self._topic(unsent) == topic
                if is_it and punch not in self._confirmed:
                    self._take(unsent)
                    self._change.notify_all()
                    return

    def _take(self, unsent: UnsentPunch) -> None:
        self._unechoed.pop(unsent.id, None)
        self._confirmed.append(unsent.id)
        if self._refused.get(unsent.device) == self._topic(unsent):
            log.info("%s on %s are taken again", _NAMES[unsent.kind], self._refused.pop(unsent.device))

    def _block(self, unsent: UnsentPunch, why: str) -> None:
        """Keep the device's order: after a pause all its punches are sent again from the oldest."""
        device, topic = unsent.device, self._topic(unsent)
        if self._refused.get(device) != topic:
            what = _NAMES[unsent.kind]
            log.error("the broker refuses %s on %s (%s); they are kept, and sent again every minute", what, topic, why)
        self._refused[device] = topic
        self._blocked[device] = time.monotonic() + REFUSED_WAIT_S
        for punch in [number for number, each in self._under_way.items() if each.device == device]:
            if punch not in self._confirmed:
                del self._under_way[punch]
                self._unechoed.pop(punch, None)
        self._last, self._look = 0, True

    def _begin_again(self) -> None:
        self._under_way.clear()
        self._unechoed.clear()
        self._blocked.clear()
        self._last, self._look = 0, True
        self._change.notify_all()

    def _is_idle(self) -> bool:
        return not self._online or not (self._look or self._under_way or self._confirmed)

    def _has_work(self) -> bool:
        ready = self._online and self._look and len(self._under_way) < WINDOW
        return bool(self._confirmed or ready or self._next_due() <= time.monotonic())

    def _next_due(self) -> float:
        """When an echo is late, or a device's punches are to be tried again; may be infinite."""
        return min((*self._unechoed.values(), *self._blocked.values()), default=float("inf"))

    def _next_look(self) -> float:
        return min(super()._next_look(), max(0.0, self._next_due() - time.monotonic()))

    def _settle(self) -> None:
        """Forget what the broker accepted; send again what is due."""
        with self._change:
            self._note_due(time.monotonic())
            confirmed = list(self._confirmed)
        if not confirmed:
            return
        self._ledger.punches.forget(confirmed)
        with self._change:
            for punch in confirmed:
                self._under_way.pop(punch, None)
            del self._confirmed[: len(confirmed)]
            self._look = True
            self._change.notify_all()

    def _note_due(self, now: float) -> None:
        late = [self._under_way[punch] for punch, due in self._unechoed.items() if due <= now]
        for unsent in {each.device: each for each in reversed(late)}.values():
            self._block(unsent, _NO_ECHO.format(rights=self._rights))
        for device in [device for device, due in self._blocked.items() if due <= now]:
            del self._blocked[device]
            self._last, self._look = 0, True

    def _send(self) -> None:
        with self._change:
            room = WINDOW - len(self._under_way)
            if not (self._online and self._look and room > 0):
                return
            self._look = False
            after, blocked = self._last, tuple(self._blocked)
            limit = room + len(self._under_way)  # after a new beginning those under way are among them
        punches = self._ledger.punches.unsent(limit, after=after, less=blocked)
        with self._change:
            if not self._online or self._last != after or tuple(self._blocked) != blocked:
                self._look = True
                return  # the connection has gone meanwhile, or a device was refused
            fresh = [punch for punch in punches if punch.id not in self._under_way]
            self._look = self._look or len(punches) == limit or len(fresh) > room
            punches = fresh[:room]
            self._under_way.update({punch.id: punch for punch in punches})
            self._last = max([after, *(punch.id for punch in punches)])
        for punch in punches:
            self._broker.publish(PunchToken(punch.id), self._publication(punch))
        with self._change:
            self._change.notify_all()

    def _publication(self, punch: UnsentPunch) -> Publication:
        return Publication(self._topic(punch), punch.body)

    def _topic(self, punch: UnsentPunch) -> str:
        return self._topics.command(punch.device, punch.kind)
