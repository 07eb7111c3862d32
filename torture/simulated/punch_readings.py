"""Tells the logs of punches of a simulated world what the bridge makes of them: its readings and its places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torture.simulated.punch_log import PunchLog
from zkbridge.attendance.log_reader import LogReader
from zkbridge.attendance.recorder import Recorder

Logs = Callable[[], Mapping[str, PunchLog]]


def watched(logs: Logs) -> dict[str, Any]:
    """Replacements for methods of the bridge, by dotted name: each calls the real one and reports to its `PunchLog`."""

    def of(part: Any) -> PunchLog:
        device = vars(part)["_device_id"] if isinstance(part, Recorder) else vars(part)["_device"].id
        return logs()[device]

    read, catch_up = vars(LogReader)["_read_new"], vars(LogReader)["catch_up"]
    move, begin = vars(Recorder)["move_to"], vars(Recorder)["open"]

    def read_noted(self: Any, *arguments: Any) -> Any:
        of(self).begin_reading()
        found = read(self, *arguments)
        if found is None:
            of(self).begin_reading()  # the terminal did not send it
        return found

    def catch_up_noted(self: Any, *arguments: Any) -> None:
        catch_up(self, *arguments)
        of(self).end_reading()

    def move_noted(self: Any, count: int, *arguments: Any) -> None:
        move(self, count, *arguments)
        of(self).move_place(count)

    def begin_noted(self: Any, place: Any) -> None:
        begin(self, place)
        of(self).place = place.count

    room = "zkbridge.attendance"
    return {
        f"{room}.log_reader.LogReader._read_new": read_noted,
        f"{room}.log_reader.LogReader.catch_up": catch_up_noted,
        f"{room}.recorder.Recorder.move_to": move_noted,
        f"{room}.recorder.Recorder.open": begin_noted,
    }
