"""An attendance log is cut into records of a wrong size, and punches that nobody made are reported as a success.

Source: fananimi/pyzk#41, #166, #174, #236 (sizes); the P160's manual (states 0 to 250); attack on 7bb949d, 2026-11.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.odd_terminals import Site, odd, running
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.simulator.wire.frames import encode_time
from zkbridge.simulator.wire.records import Punch

NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone
NO_DATE = (31 + 30) * 86400  # 31 February 2000
NOTHING = Punch(0, "", 0, 0, 0)
LAYOUTS = ("40", "49", "16", "8", "8b")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    kinds = {f"log{layout}": odd({"attendance": layout}) for layout in LAYOUTS}
    with running(tmp_path_factory.mktemp("sizes"), shared_broker, kinds) as site:
        for terminal in site.terminals.values():
            terminal.add_user("1001", "Ana", uid=7)
        yield site


def fill(terminal: SimulatedTerminal, punches: list[Punch]) -> None:
    terminal.switches.sizes_words = {}
    terminal.switches.attendance_shown = -1
    terminal.machine.terminal.clear("attendance")
    for punch in punches:
        terminal.add_punch(punch)


def at(minute: int, *, state: int = 0) -> Punch:
    return Punch(7, "1001", 1, state, encode_time(NINE + timedelta(minutes=minute)))


@pytest.mark.parametrize("layout", ["40", "49", "16"])
@pytest.mark.parametrize("state", [15, 25, 104])
def test_punches_of_an_unusual_state_are_listed_as_they_are(site: Site, layout: str, state: int) -> None:
    fill(site.terminals[f"log{layout}"], [at(0, state=state), at(1, state=state)])

    reply = site.ask(f"log{layout}", "attendance/list")

    assert [(row["user_id"], row["timestamp"], row["punch"]) for row in reply["data"]] == [
        ("1001", "2026-03-02T09:00:00", state),
        ("1001", "2026-03-02T09:01:00", state),
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_empty_records_are_no_punches(site: Site, layout: str) -> None:
    fill(site.terminals[f"log{layout}"], [NOTHING] * 200 + [at(minute) for minute in range(3)])

    reply = site.ask(f"log{layout}", "attendance/list")

    assert [row["timestamp"] for row in reply["data"]] == [f"2026-03-02T09:0{minute}:00" for minute in range(3)]
    assert reply["total"] == 3


@pytest.mark.parametrize("layout", ["40", "49", "16"])
def test_records_without_a_date_are_listed_without_one(site: Site, layout: str) -> None:
    fill(site.terminals[f"log{layout}"], [Punch(7, "1001", 1, 0, NO_DATE)] * 6)

    reply = site.ask(f"log{layout}", "attendance/list")

    assert [(row["user_id"], row["timestamp"]) for row in reply["data"]] == [("1001", None)] * 6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_log_that_fits_no_size_is_refused_with_the_numbers(site: Site, layout: str) -> None:
    terminal = site.terminals[f"log{layout}"]
    fill(terminal, [at(minute) for minute in range(6)])
    terminal.switches.sizes_words = {"8": 7}

    reply = site.ask(f"log{layout}", "attendance/list")

    size = 6 * int(layout.removesuffix("b"))
    assert (reply["success"], reply["code"]) == (False, "device_rejected")
    assert f"{size} bytes are no records of 7" in reply["error"]
