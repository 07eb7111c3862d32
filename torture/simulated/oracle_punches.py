"""Whether the punches of one terminal were published as section 9 promises, in one run of the simulated world.

| rule | where the log was cleared, was full, or looked short |
|---|---|
| each is published under one id, none that is older than the bridge's first look, and none is made up | the same |
| what the terminal holds is published | also what it lost after its event was acknowledged, or after a reading of the log began that ended well; what nobody read is lost with the log |
| in their order; one without an event perhaps later | those of the log in theirs, and the others in theirs |
| the place in the log never goes back on doubt: see `punch_log.PunchLog` | only after two connections on which the terminal counted fewer |
"""  # noqa: E501 - a table has no shorter lines

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from torture.simulated.broker import Heard
from torture.simulated.punch_log import PunchLog, moment


def unpublished(device: str, log: PunchLog, heard: Sequence[Heard]) -> list[int]:
    """The numbers of the punches that are still to be published."""
    found = {each["timestamp"] for each in _told(device, heard)}
    return sorted(number for number in log.owed() if moment(number).isoformat() not in found)


def judge_punches(device: str, log: PunchLog, heard: Sequence[Heard], *, may_be_late: bool) -> Iterator[str]:
    """A sentence for each broken promise. `may_be_late`: of a punch there may have been no event, though of later."""
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
        yield f"{len(lost)} of {len(log.owed())} punches of {device} were not published"


def _told(device: str, heard: Sequence[Heard]) -> list[dict[str, str]]:
    topic = f"zk/{device}/attendance/event"
    return [json.loads(each.payload) for each in heard if each.topic == topic]
