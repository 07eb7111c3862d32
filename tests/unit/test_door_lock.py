"""What the bridge says of a door's lock: only what its own requests have shown."""

import pytest

from zkbridge.homeassistant.door import DoorLock, LockState

#: What is known at first, what happens then, and what is known after that. `wait N` lets N seconds pass.
CASES: dict[str, tuple[LockState | None, list[str], LockState | None]] = {
    "nothing happened yet": (None, [], None),
    "locked stays known over a restart": ("locked", [], "locked"),
    "what was open at a restart is not known": ("unlocked", [], None),
    "asked": (None, ["ask"], "unlocking"),
    "confirmed": (None, ["ask", "open 3"], "unlocked"),
    "the time is not over": (None, ["ask", "open 3", "wait 2.9"], "unlocked"),
    "the time is over": (None, ["ask", "open 3", "wait 3"], "locked"),
    "refused: what was known before": ("locked", ["ask", "refuse 3"], "locked"),
    "refused: what was not known before": (None, ["ask", "refuse 3"], None),
    "refused before it was asked": ("locked", ["refuse 3"], "locked"),
    "the answer is lost": ("locked", ["ask", "lose 3"], None),
    "the answer is lost, and time does not help": ("locked", ["ask", "lose 3", "wait 99"], None),
    "opened after a lost answer": (None, ["ask", "lose 9", "ask", "open 1", "wait 1"], "unlocked"),
    "opened after a lost answer, both are over": (None, ["ask", "lose 9", "ask", "open 1", "wait 9"], "locked"),
    "the longer of two counts": (None, ["ask", "open 9", "ask", "open 1", "wait 2"], "unlocked"),
    "opened, then refused": (None, ["ask", "open 9", "ask", "refuse 1"], "unlocked"),
    "opened, then refused when the time is over": (None, ["ask", "open 1", "ask", "wait 2", "refuse 1"], "locked"),
    "two in one session, both refused": ("locked", ["ask", "ask", "refuse 3", "refuse 3"], "locked"),
    "two in one session, the first confirmed": (None, ["ask", "ask", "open 3", "refuse 3", "wait 3"], "locked"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_lock_is_what_its_requests_have_shown(case: str) -> None:
    known, happens, after = CASES[case]
    now = 1000.0
    lock = DoorLock(known, clock=lambda: now)

    for each in happens:
        what, _, amount = each.partition(" ")
        if what == "wait":
            now += float(amount)
        elif what == "ask":
            lock.ask()
        else:
            lock.answer(int(amount), {"open": True, "refuse": False, "lose": None}[what])

    left_s = lock.left_s()
    assert lock.state == after
    assert (left_s is not None) == (after == "unlocked")
