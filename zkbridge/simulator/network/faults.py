"""Faults by frame: what goes wrong with the next answers to a command, and when."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from zkbridge.simulator.wire.codes import Code, command_number

#: What can go wrong, and what each name means.
ACTIONS = {
    "close": "the connection is closed, after `after_bytes` of the answer",
    "reset": "the connection is reset, after `after_bytes` of the answer",
    "silence": "no answer; the connection stays",
    "half": "only half of the answer is sent, or `after_bytes` of it",
    "garbage": "random bytes are sent, as many as the answer has",
    "trickle": "the answer is sent byte by byte, with `delay` seconds between them",
    "late": "the terminal waits `delay` seconds before the effect, or between effect and answer",
    "event": "a punch event is sent just before the answer",
    "refuse": "the answer is `code`",
    "twice": "the answer is sent twice",
    "bad_checksum": "the answer's checksum is wrong",
    "bad_reply_id": "the answer has the reply id of another request",
    "lose": "frame number `frame` of the answer is not sent",
    "repeat": "frame number `frame` of the answer is sent twice",
    "swap": "frame number `frame` of the answer is sent after the next one",
    "power_off": "the terminal loses its power and its connections",
}

_ANY = "*"
_SHARED_KEYS = {"on", "when", "do", "count", "skip", "delay", "after_bytes", "frame", "code"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong: `before` the request has its effect, or `after`.

    `skip` answers are left alone first, then `count` are hit. A function as `do` is called with the terminal at
    that moment, in the simulator's thread, and the answer is then as usual.
    """

    on: int | None
    when: str
    do: str | Callable[[Any], object]
    count: int = 1
    skip: int = 0
    delay: float = 0.0
    after_bytes: int | None = None
    frame: int = 0
    code: int = Code.ERROR


class Faults:
    """The faults that wait for one terminal; any thread may add some."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        on: int | str,
        when: str = "after",
        do: str | Callable[[Any], object] = "silence",
        *,
        count: int = 1,
        skip: int = 0,
        delay: float = 0.0,
        after_bytes: int | None = None,
        frame: int = 0,
        code: int = Code.ERROR,
    ) -> Fault:
        """Make something go wrong with a command, given by number or name, or with any (`*`).

        Raises ValueError when the command, the moment or the action is not known.
        """
        if when not in ("before", "after"):
            raise ValueError(f"when: {when!r} is not before or after")
        if isinstance(do, str) and do not in ACTIONS:
            raise ValueError(f"do: {do!r} is not one of {', '.join(ACTIONS)}")
        number = None if on == _ANY else command_number(on)
        fault = Fault(number, when, do, count, skip, delay, after_bytes, frame, code)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def add_text(self, text: str) -> Fault:
        """The same from `on=USER_WRQ,when=after,do=close,count=2`; raises ValueError."""
        values: dict[str, Any] = dict(_pair(part) for part in text.split(","))
        if unknown := set(values) - _SHARED_KEYS:
            raise ValueError(f"{min(unknown)!r} is not a key of a fault")
        if "on" not in values:
            raise ValueError("a fault needs on=COMMAND")
        for name, kind in (("count", int), ("skip", int), ("after_bytes", int), ("frame", int), ("code", int)):
            if name in values:
                values[name] = kind(values[name])
        if "delay" in values:
            values["delay"] = float(values["delay"])
        return self.add(values.pop("on"), **values)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> tuple[Fault, ...]:
        """The faults that have not been used up."""
        with self._lock:
            return tuple(self._waiting)

    def take(self, command: int) -> list[Fault]:
        """The faults that hit this request; they are counted down."""
        hits = []
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.on not in (None, command):
                    continue
                if fault.skip:
                    self._waiting[index] = replace(fault, skip=fault.skip - 1)
                    continue
                hits.append(fault)
                self._waiting[index] = replace(fault, count=fault.count - 1)
            self._waiting = [fault for fault in self._waiting if fault.count > 0]
        return hits


def garbage(size: int) -> bytes:
    """Random bytes, the same in each run."""
    return random.Random(size).randbytes(size)  # noqa: S311  test data needs no secrecy


def _pair(part: str) -> tuple[str, str]:
    name, equals, value = part.strip().partition("=")
    if not equals:
        raise ValueError(f"{part!r} is not name=value")
    return name, value
