"""What a recorder of punches keeps where a name cannot be read in between."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from zkbridge.attendance.recorder import Recorder
from zkbridge.contract.errors import DeviceTimeout
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Place
from zkbridge.port.punches import Punch


def punch(user_id: str) -> Punch:
    return Punch(None, user_id, datetime.fromisoformat("2030-01-31T08:00:00"), 1, 0)


def test_punches_whose_names_could_not_be_read_are_as_new_as_before(ledger: Ledger) -> None:
    fails = [False, True]  # for each name that is asked for: whether the terminal does not answer

    def name_of(_session: object, user_id: str) -> str:
        if fails and fails.pop(0):
            raise DeviceTimeout(host="192.0.2.1", port=4370)
        return f"User {user_id}"

    names: Any = SimpleNamespace(name_of=name_of)
    hooks: Any = SimpleNamespace(note_punches=lambda: None)
    session: Any = None
    recorder = Recorder("p", ledger, names, most=100, hooks=hooks)
    recorder.begin(Place("A", 0))
    punches = [punch("1"), punch("2")]

    with pytest.raises(DeviceTimeout):
        recorder.keep(session, punches, count=2)
    known = [recorder.book.knows(each) for each in punches]
    recorder.keep(session, punches, count=2)

    told = [json.loads(each.body) for each in ledger.punches.unsent(10)]
    assert known == [False, False]
    assert [(each["id"][-1], each["name"]) for each in told] == [("0", "User 1"), ("0", "User 2")]
    place = ledger.punches.place("p")
    assert place is not None
    assert (place.count, len(place.traces)) == (2, 2)
