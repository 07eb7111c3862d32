"""A busy terminal shows none or a part of its log; that is reported as the log, and later old punches as new.

Source: vodvud/php_zklib#14
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.odd_terminals import Site, odd, running
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.wire.frames import encode_time
from zkbridge.simulator.wire.records import Punch

NINE = datetime(2026, 3, 2, 9, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone


def punch(terminal: SimulatedTerminal, number: int) -> None:
    terminal.add_punch(Punch(1, "1", 1, 0, encode_time(NINE + timedelta(minutes=number))))


def fill(terminal: SimulatedTerminal) -> None:
    for number in range(500):
        punch(terminal, number)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    kinds = {"forty": odd(), "sixteen": odd({"attendance": "16"})}
    with running(tmp_path_factory.mktemp("short"), shared_broker, kinds, prepare=fill) as site:
        yield site


@pytest.mark.parametrize("shown", [0, 1, 200, 250, 499])
@pytest.mark.parametrize("device", ["forty", "sixteen"])
def test_the_list_is_refused_until_the_log_is_as_long_as_the_terminal_counts(
    site: Site, device: str, shown: int
) -> None:
    terminal = site.terminals[device]
    terminal.switches.attendance_shown = shown

    refused = site.ask(device, "attendance/list", limit=1)
    terminal.switches.attendance_shown = -1
    listed = site.ask(device, "attendance/list", limit=1)

    assert (refused["success"], refused["code"]) == (False, "device_rejected")
    assert "are no records of 500" in refused["error"]
    assert (listed["success"], listed["total"]) == (True, 500)


def test_after_a_short_reading_only_what_is_new_is_published(tmp_path: Path, shared_broker: Mosquitto) -> None:
    with running(tmp_path, shared_broker, {"live": odd(attendance="live")}, prepare=fill) as site:
        terminal = site.terminals["live"]
        wait_until(lambda: "not the 500 in its log" in site.daemon.log)
        terminal.switches.attendance_shown = 250
        punch(terminal, 500)
        terminal.restart()
        wait_until(lambda: "are no records of 501" in site.daemon.log)
        terminal.switches.attendance_shown = -1

        wait_until(lambda: site.events("live"), timeout=20)
        punch(terminal, 501)
        terminal.restart()
        wait_until(lambda: len(site.events("live")) > 1, timeout=20)
        assert [event["timestamp"] for event in site.events("live")] == ["2026-03-02T17:20:00", "2026-03-02T17:21:00"]
