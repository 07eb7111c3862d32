"""Whether the punches of one terminal were published as section 9 promises, in one run of the simulated world.

- Each punch is published under one id; none from before the bridge's first connection, and none that was never made.
- What the terminal's log holds is published. Of a log that was cleared or full also what has left it, if its event was
  acknowledged, or if it was there when a reading began that succeeded.
- They are published in order; one without an event perhaps later. Of a log that has shrunk, those from the log are in
  order, and so are the others.
- The place in the log moves back only after two connections on which the terminal counted fewer (`PunchLog`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from torture.simulated.broker import Heard
from torture.simulated.punch_log import PunchLog, moment


def unpublished(device: str, log: PunchLog, heard: Sequence[Heard]) -> list[int]:
    """The numbers of the punches that are still to be published."""
    found = {each["timestamp"] for each in _told(device, heard)}
    return sorted(number for number in log.must_be_published() if moment(number).isoformat() not in found)


def judge_punches(device: str, log: PunchLog, heard: Sequence[Heard], *, may_be_late: bool) -> Iterator[str]:
    """A sentence for each broken promise. `may_be_late`: a punch may have had no event although later ones had."""
    yield from (f"{wrong} ({device})" for wrong in log.wrongs)
    told = _told(device, heard)
    first = list(dict.fromkeys(each["timestamp"] for each in told))
    late = {each["timestamp"] for each in told if each.get("late")}
    orders = [first]
    if may_be_late or log.shrank:
        orders = [[each for each in first if (each in late) is kind] for kind in (False, True)]
    if any(order != sorted(order) for order in orders):
        yield f"punches of {device} were published out of order"
    if len(names := {each["id"] for each in told}) != len(first):
        yield f"{len(first)} punches of {device} were published under {len(names)} ids"
    strangers = set(first) - {moment(number).isoformat() for number in log.made}
    if strangers:
        yield f"{len(strangers)} punches of {device} were published that were made before, or never"
    if lost := unpublished(device, log, heard):
        yield f"{len(lost)} of {len(log.must_be_published())} punches of {device} were not published"


def _told(device: str, heard: Sequence[Heard]) -> list[dict[str, str]]:
    topic = f"zk/{device}/attendance/event"
    return [json.loads(each.payload) for each in heard if each.topic == topic]
