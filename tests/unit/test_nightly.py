"""Nightly backups: which moment counts, which devices are due, and when a failure is asked for again."""

import logging
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from zkbridge.bridge.nightly import AGAIN_MOST_S, AT_ONCE, LOOK_S, MOST_TRIES, NightlyBackups, night_of
from zkbridge.commands.api.backups import Backups
from zkbridge.config.models import Config
from zkbridge.contract.errors import Busy, DeviceAuthFailed, DeviceTimeout
from zkbridge.contract.messages import Reply, failed
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.records import Kept, Request, Verdict

BERLIN, LIMA = "Europe/Berlin", "America/Lima"
DAY_S = 86_400.0


def at(text: str, zone: str = "UTC") -> float:
    """A wall clock time of a zone in seconds since 1970; the first, where it is there twice."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("now", "time", "zone", "night"),
    [
        ("2030-01-31T08:29", "03:30", LIMA, ("2030-01-30", "2030-01-30T08:30", "2030-01-31T08:30")),
        ("2030-01-31T08:30", "03:30", LIMA, ("2030-01-31", "2030-01-31T08:30", "2030-02-01T08:30")),
        ("2030-01-31T23:00", "03:30", "Pacific/Kiritimati", ("2030-02-01", "2030-01-31T13:30", "2030-02-01T13:30")),
        # The clock goes from 02:00 to 03:00 on 2030-03-31, and from 03:00 back to 02:00 on 2030-10-27.
        ("2030-03-31T02:00", "02:30", BERLIN, ("2030-03-31", "2030-03-31T01:30", "2030-04-01T00:30")),
        ("2030-03-31T01:29", "02:30", BERLIN, ("2030-03-30", "2030-03-30T01:30", "2030-03-31T01:30")),
        ("2030-10-27T00:30", "02:30", BERLIN, ("2030-10-27", "2030-10-27T00:30", "2030-10-28T01:30")),
        ("2030-10-27T01:30", "02:30", BERLIN, ("2030-10-27", "2030-10-27T00:30", "2030-10-28T01:30")),
    ],
)
def test_the_last_moment_is_that_of_the_devices_clock_also_where_it_is_skipped_or_there_twice(
    now: str, time: str, zone: str, night: tuple[str, str, str]
) -> None:
    date, moment, until = night

    assert night_of(at(now), time, zone) == (date, at(moment), at(until))


class Ledger:
    """What was answered, by number, and what is under way."""

    def __init__(self) -> None:
        self.replies: dict[int, Reply] = {}
        self.left: list[Request] = []
        self.fails = False

    def reply_of(self, request: int) -> Reply | None:
        return self.replies.get(request)

    def unfinished(self) -> list[Request]:
        if self.fails:
            raise LedgerUnavailable("full")
        return self.left

    def waiting(self, _device: str) -> list[Any]:
        return []


class Site:
    """The schedule of two devices, its clock in the test's hand, and what it asks for."""

    def __init__(self, folder: Path, *, devices: int = 2) -> None:
        named = {name: {"host": name, "timezone": LIMA} for name in "pqrstuvwxyz"[:devices]}
        settings = {"devices": named, "state_dir": folder, "backup": {"nightly": "03:30"}}
        self.config = Config.model_validate(settings)
        self.now = at("2030-01-31T03:31", LIMA)
        self.ledger = Ledger()
        self.asked: list[tuple[str, str, float]] = []
        self.refusal: Reply | None = None
        self.lost = self.replayed = self.under_way = False
        self.start()

    def start(self) -> None:
        """A new run of the bridge."""
        current, clock = SimpleNamespace(config=self.config), SimpleNamespace(now=lambda: self.now)
        self.nightly = NightlyBackups(current, self, self.ledger, upkeep=None, clock=clock)

    def ask(self, device: str, _command: str, request_id: str, *, until: float) -> Kept | None:
        self.asked.append((device, request_id, until))
        if self.lost:
            return None
        if self.under_way:
            return Kept(Verdict.UNDER_WAY)
        if self.refusal is not None:
            return Kept(Verdict.ANSWERED, reply=self.refusal, replayed=self.replayed)
        return Kept(Verdict.NEW, request(device, len(self.asked), request_id))

    def look(self, *, after: float = 0.0) -> list[str]:
        """Who was asked at this look."""
        self.now += after
        before = len(self.asked)
        assert self.nightly.look() == LOOK_S
        return [device for device, _, _ in self.asked[before:]]

    def backed_up(self, device: str, moment: float) -> None:
        Backups(self.config.state_dir / "backups" / device).write(b"1", moment)


def request(device: str, number: int, request_id: str) -> Request:
    return Request(number, device, "device/backup", request_id, b"", 0.0)


AWAY = failed(DeviceTimeout(host="10.0.0.1", port=4370), "es")
REFUSED = failed(DeviceAuthFailed(host="10.0.0.1", port=4370), "es")
MADE = Reply(200, "backed_up", b'{"success":true}')


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_each_device_is_asked_once_a_night(site: Site) -> None:
    assert site.look() == ["p", "q"]
    assert site.asked[0] == ("p", "nightly-2030-01-31", at("2030-02-01T03:30", LIMA))
    for number in (1, 2):
        site.ledger.replies[number] = MADE

    assert [site.look(after=LOOK_S) for _ in range(5)] == [[]] * 5
    assert site.look(after=DAY_S) == ["p", "q"]
    assert site.asked[-1][1] == "nightly-2030-02-01"


def test_a_backup_since_the_moment_counts_and_an_older_one_or_one_of_a_wrong_clock_does_not(site: Site) -> None:
    site.backed_up("p", at("2030-01-31T03:30", LIMA))
    site.backed_up("q", at("2030-01-31T03:29", LIMA))
    site.backed_up("q", site.now + DAY_S)

    assert site.look() == ["q"]


def test_a_moment_that_was_missed_is_made_up_for_at_any_time_of_the_day(site: Site) -> None:
    site.backed_up("p", at("2030-01-30T03:31", LIMA))
    site.now = at("2030-02-01T02:00", LIMA)

    assert site.look() == ["p", "q"]
    assert site.asked[0][1] == "nightly-2030-01-31"


def test_after_a_restart_what_is_under_way_is_not_asked_for_again(site: Site) -> None:
    site.look()
    site.ledger.left = [request("p", 1, "nightly-2030-01-31")]
    site.start()

    assert site.look() == ["q"]


def test_a_failure_that_may_be_repeated_is_asked_for_again_and_what_waits_is_not(site: Site) -> None:
    site.look()
    site.ledger.replies |= {1: AWAY, 2: MADE}

    assert site.look(after=30) == []
    assert site.look(after=30) == ["p"]
    assert [site.look(after=LOOK_S) for _ in range(300)] == [[]] * 300, "it waits in the ledger"


def test_what_fails_for_good_is_asked_for_again_by_other_requests_ever_later_and_not_for_ever(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.look()
    site.ledger.replies = dict.fromkeys(range(1, 100), REFUSED) | {2: MADE}
    looks = [bool(site.look(after=LOOK_S)) for _ in range(1000)]

    assert [minute for minute, asked in enumerate(looks, start=1) if asked] == [1, 3, 7, 15, 31, 63, 123]
    ids = [request_id for device, request_id, _ in site.asked if device == "p"]
    assert ids == ["nightly-2030-01-31", *(f"nightly-2030-01-31-{number}" for number in range(2, MOST_TRIES + 1))]
    said = [(each.levelname, each.getMessage()) for each in caplog.records if each.levelno >= logging.WARNING]
    assert [level for level, _ in said] == ["WARNING"] * (MOST_TRIES - 1) + ["ERROR"]
    assert all(
        "device=p its nightly backup of 2030-01-31 was not made (device_auth_failed)" in each for _, each in said
    )


def test_a_try_that_succeeds_after_a_failure_for_good_ends_the_night(site: Site) -> None:
    site.look()
    site.ledger.replies |= {1: REFUSED, 2: MADE, 3: MADE}

    assert [site.look(after=LOOK_S) for _ in range(300)] == [["p"]] + [[]] * 299


def test_a_restarted_bridge_goes_on_with_the_next_try(site: Site) -> None:
    site.refusal, site.replayed = REFUSED, True
    site.look()
    site.refusal = None
    site.ledger.replies |= {3: MADE, 4: MADE}

    assert [site.look(after=LOOK_S) for _ in range(10)] == [["p", "q"]] + [[]] * 9
    assert [request_id for _, request_id, _ in site.asked[2:]] == ["nightly-2030-01-31-2"] * 2


def test_a_full_queue_is_tried_again_ever_later(site: Site) -> None:
    site.look()
    site.ledger.replies |= {1: MADE, 2: MADE}
    site.refusal = failed(Busy("queue", retry_after_s=1, waiting=9, device="p"), "es")
    site.now = at("2030-02-01T03:31", LIMA)
    looks = [bool(site.look(after=LOOK_S)) for _ in range(200)]
    assert [minute for minute, asked in enumerate(looks) if asked] == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_few_are_begun_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path, devices=10)

    assert [len(site.look(after=LOOK_S)) for _ in range(4)] == [AT_ONCE, AT_ONCE, 2, 0]


def test_nothing_is_due_by_a_clock_that_was_not_set_and_a_ledger_that_fails_is_asked_again(site: Site) -> None:
    site.now = 1_000.0
    assert site.look() == []
    site.now = at("2030-01-31T03:31", LIMA)
    site.ledger.fails = True
    assert site.look() == []
    site.ledger.fails = False
    assert site.look(after=LOOK_S) == ["p", "q"]


def test_a_request_that_could_not_be_kept_at_all_is_a_failure_for_good(site: Site) -> None:
    site.lost = True
    assert site.look() == ["p", "q"]
    assert site.look(after=LOOK_S) == ["p", "q"]
    assert [site.look(after=AGAIN_MOST_S) for _ in range(10)] == [["p", "q"]] * (MOST_TRIES - 2) + [[]] * 4


def test_a_request_that_another_run_has_asked_for_is_left_to_it(site: Site) -> None:
    site.look()
    site.ledger.replies |= {1: AWAY, 2: MADE}
    site.under_way = True

    assert [site.look(after=LOOK_S) for _ in range(5)] == [["p"]] + [[]] * 4
