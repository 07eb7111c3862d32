"""valid_from and valid_until: done at the moment, late where it could not be, and told once it is done."""

from typing import Any

import pytest

from tests.support.frames import asked, wait_for_session_end
from tests.support.waiting import wait_until
from tests.validity.conftest import HOUR_S, Make, Site
from zkbridge.simulator import Command
from zkbridge.worker import date_runner


def event(kind: str, reason: str, moment: str, **more: Any) -> dict[str, Any]:
    return {
        "event": kind,
        "user_id": "7",
        "reason": reason,
        "moment": moment,
        **more,
        "device_id": "p",
        "id": f"p/7/{reason}/{moment}",
    }


def test_a_user_is_let_in_from_one_moment_until_the_other(site: Site, create: Make) -> None:
    begin, end = site.at(HOUR_S), site.at(2 * HOUR_S)
    create(valid_from=begin, valid_until=end)
    wait_for_session_end(site.p)
    assert site.is_blocked()
    assert not site.p.punch("7")
    (row,) = site.ask("p/users/list")["data"]
    assert (row["blocked"], row["valid_from"], row["valid_until"]) == (True, begin, end)

    site.machine.passed += HOUR_S + 1
    assert site.wait_for_events(1) == [event("unblocked", "valid_from", begin)]
    assert not site.is_blocked()
    assert site.p.punch("7")

    site.machine.passed += HOUR_S
    assert site.wait_for_events(2)[1:] == [event("blocked", "valid_until", end)]
    assert site.is_blocked()
    assert site.bridge is not None
    assert site.bridge.parts.ledger.validities.of("p") == {}
    (row,) = site.ask("p/users/list")["data"]
    assert not {"valid_from", "valid_until"} & set(row)


def test_a_window_that_is_open_or_over_sets_the_state_at_once(site: Site, create: Make) -> None:
    create(valid_from=site.at(-HOUR_S), valid_until=site.at(HOUR_S))
    wait_for_session_end(site.p)
    assert not site.is_blocked()

    assert site.ask("p/users/update", {"user_id": "7", "valid_until": site.at(-1)})["code"] == "updated"
    wait_for_session_end(site.p)
    assert site.is_blocked()
    site.machine.passed += 2 * HOUR_S
    assert site.ask("p/users/list")["data"][0]["blocked"] is True
    assert site.events() == []


@pytest.mark.parametrize("command", ["users/list", "users/create", "door/state"])
def test_what_is_overdue_comes_before_anything_else_at_the_next_contact(site: Site, create: Make, command: str) -> None:
    end = site.at(HOUR_S)
    create(valid_until=end)
    wait_for_session_end(site.p)
    site.p.power_off()
    site.machine.passed += 3 * HOUR_S
    assert site.ask("p/ping")["code"] in ("device_unreachable", "device_timeout")
    site.stop()  # so that no look of its own comes first
    site.p.power_on()
    since = len(site.p.log)
    site.caller.publish(f"zk/p/{command}", {"user_id": "8", "name": "Eva"} if "create" in command else {})
    site.start()

    assert site.caller.wait_for(f"zk/p/{command}/reply", timeout=30).json["success"]
    assert site.wait_for_events(1) == [event("blocked", "valid_until", end, late=True)]
    writes = [frame for frame in asked(site.p, since=since) if frame in ("USER_WRQ", "DOORSTATE_RRQ")]
    assert writes[0] == "USER_WRQ"
    assert site.is_blocked()


def test_a_terminal_that_comes_back_is_served_without_a_request(site: Site, create: Make) -> None:
    create(valid_until=site.at(HOUR_S))
    wait_for_session_end(site.p)
    site.p.power_off()
    site.machine.passed += HOUR_S + 61
    wait_until(lambda: site.bridge is not None and site.bridge.parts.roster["p"].is_idle, what="the first try")
    overdue = site.bridge.snapshot().overdue_dates
    site.p.power_on()

    (told,) = site.wait_for_events(1)
    assert told["event"] == "blocked"
    assert site.is_blocked()
    assert (overdue, site.bridge.snapshot().overdue_dates) == (1, 0)


def test_only_the_last_state_is_set_where_both_moments_were_missed(site: Site, create: Make) -> None:
    end = site.at(2 * HOUR_S)
    create(valid_from=site.at(HOUR_S), valid_until=end)
    site.stop()
    site.machine.passed += 3 * HOUR_S
    site.start()

    assert site.wait_for_events(1) == [event("blocked", "valid_until", end, late=True)]
    assert site.is_blocked()
    assert site.ask("p/ping")["code"] == "ok"
    assert len(site.events()) == 1


def test_with_an_unsynchronised_clock_nothing_is_done_and_that_is_logged(
    site: Site, create: Make, caplog: pytest.LogCaptureFixture
) -> None:
    end = site.at(HOUR_S)
    create(valid_until=end)
    site.machine.synchronised = False
    site.machine.passed += HOUR_S + 100

    refused = site.ask("p/users/create", {"user_id": "8", "name": "Eva", "valid_until": site.at(HOUR_S)})
    assert (refused["status"], refused["code"], refused["effect"]) == (503, "clock_untrusted", "none")
    assert refused["error"] == (
        "El reloj del puente no está sincronizado y valid_from y valid_until no se aceptan (validity.trust_clock)."
    )
    assert site.ask("p/users/create", {"user_id": "9", "name": "Eva"})["code"] == "created"
    wait_until(lambda: "the clock is not synchronised: nothing is done" in caplog.text, what="the warning")
    assert not site.is_blocked()

    site.machine.synchronised = True
    assert site.wait_for_events(1) == [event("blocked", "valid_until", end, late=True)]


def test_who_was_blocked_by_hand_is_not_let_in_by_a_date_and_still_ends(site: Site, create: Make) -> None:
    end = site.at(2 * HOUR_S)
    create(valid_from=site.at(HOUR_S), valid_until=end)
    assert site.ask("p/users/block", {"user_id": "7"})["code"] == "blocked"
    site.machine.passed += HOUR_S + 100
    assert site.ask("p/users/list")["data"][0]["blocked"] is True
    assert site.ask("p/users/unblock", {"user_id": "7"})["code"] == "unblocked"
    assert site.ask("p/users/list")["data"][0]["blocked"] is False
    assert site.events() == []

    site.machine.passed += HOUR_S
    assert site.wait_for_events(1) == [event("blocked", "valid_until", end, late=True)]
    assert site.is_blocked()


def test_a_later_end_lets_in_again_and_an_empty_one_ends_nothing(site: Site, create: Make) -> None:
    create(valid_until=site.at(-1))
    wait_for_session_end(site.p)
    assert site.is_blocked()
    end = site.at(HOUR_S)
    assert site.ask("p/users/update", {"user_id": "7", "valid_until": end})["code"] == "updated"
    wait_for_session_end(site.p)
    assert not site.is_blocked()

    writes = site.p.counts[Command.USER_WRQ]
    assert site.ask("p/users/update", {"user_id": "7", "valid_until": ""})["code"] == "updated"
    site.machine.passed += 2 * HOUR_S
    assert site.ask("p/users/list")["data"][0]["blocked"] is False
    assert site.p.counts[Command.USER_WRQ] == writes, "there was nothing to write"
    assert site.events() == []


def test_an_update_of_one_end_leaves_the_other(site: Site, create: Make) -> None:
    create(valid_until=site.at(2 * HOUR_S))
    refused = site.ask("p/users/update", {"user_id": "7", "valid_from": site.at(3 * HOUR_S)})
    assert (refused["code"], refused["errors"][0]["field"]) == ("invalid_field", "valid_until")

    assert site.ask("p/users/update", {"user_id": "7", "valid_from": site.at(HOUR_S)})["code"] == "updated"
    wait_for_session_end(site.p)
    assert site.is_blocked()
    site.machine.passed += HOUR_S + 1
    assert [each["event"] for each in site.wait_for_events(1)] == ["unblocked"]
    site.machine.passed += HOUR_S + 1
    assert [each["event"] for each in site.wait_for_events(2)] == ["unblocked", "blocked"]


@pytest.mark.parametrize("anew", [True, False])
def test_a_user_who_was_deleted_has_no_dates_any_more(site: Site, create: Make, *, anew: bool) -> None:
    create(valid_until=site.at(HOUR_S))
    assert site.ask("p/users/delete", {"user_id": "7"})["code"] == "deleted"
    if anew:
        create()
    site.machine.passed += 2 * HOUR_S

    rows = site.ask("p/users/list")["data"]
    assert [row["blocked"] for row in rows] == ([False] if anew else [])
    assert site.events() == []


def test_a_user_who_was_entered_again_at_the_keypad_has_them_and_one_who_is_gone_is_forgotten(
    site: Site, create: Make, caplog: pytest.LogCaptureFixture
) -> None:
    end = site.at(HOUR_S)
    create(valid_until=end)
    site.ask("p/users/create", {"user_id": "8", "name": "Eva", "valid_until": end})
    wait_for_session_end(site.p)
    site.p.delete_user("7")
    site.p.add_user("7", "Luis")
    site.p.delete_user("8")
    site.machine.passed += HOUR_S + 1

    assert site.wait_for_events(1) == [event("blocked", "valid_until", end)]
    assert site.is_blocked()
    assert "user_id=8 is not there any more" in caplog.text
    assert site.bridge is not None
    assert site.bridge.parts.ledger.validities.of("p") == {}


def test_a_terminal_that_refuses_is_asked_again_and_holds_up_no_request(
    site: Site, create: Make, caplog: pytest.LogCaptureFixture
) -> None:
    create(valid_until=site.at(HOUR_S))
    wait_for_session_end(site.p)
    site.p.faults.add("USER_WRQ", "before", "refuse", count=2)
    site.machine.passed += HOUR_S + 1

    assert site.ask("p/users/list")["code"] == "ok"
    (told,) = site.wait_for_events(1)
    assert told["event"] == "blocked"
    assert "user_id=7 cannot be blocked" in caplog.text
    assert site.is_blocked()


def test_each_member_of_a_group_has_its_own_dates(site: Site) -> None:
    end = site.at(HOUR_S)
    answer = site.ask("both/users/create", {"user_id": "7", "name": "Ana", "valid_until": end})
    assert answer["status"] == 200, answer
    wait_for_session_end(site.p, site.q)
    site.machine.passed += HOUR_S + 1

    assert {(each["device_id"], each["event"]) for each in site.wait_for_events(2)} == {
        ("p", "blocked"),
        ("q", "blocked"),
    }
    assert site.is_blocked()
    assert site.is_blocked(terminal=site.q)


def test_a_reload_moves_dates_with_the_time_zone_and_keeps_those_of_a_device_that_was_removed(
    site: Site, create: Make
) -> None:
    create(valid_until=site.at(HOUR_S))
    wait_for_session_end(site.p)
    here, there = site.settings["devices"]["p"], site.settings["devices"]["q"]
    site.settings["groups"] = {}
    site.reload(q=there)
    site.machine.passed += HOUR_S + 1
    assert site.ask("q/ping")["code"] == "ok"
    assert not site.is_blocked()

    site.reload(p={**here, "timezone": "Pacific/Honolulu"}, q=there)  # five hours behind Lima
    assert site.ask("p/users/list")["data"][0]["blocked"] is False
    site.machine.passed += 5 * HOUR_S
    (told,) = site.wait_for_events(1)
    assert told["event"] == "blocked"


def test_a_failure_that_wrote_nothing_leaves_the_dates_as_they_were(site: Site, create: Make) -> None:
    end = site.at(HOUR_S)
    create(valid_until=end)
    wait_for_session_end(site.p)
    assert site.ask("p/users/create", {"user_id": "7", "name": "Eva"})["code"] == "user_exists"
    site.p.power_off()
    later = site.ask("p/users/update", {"user_id": "7", "valid_until": site.at(5 * HOUR_S)})
    assert later["effect"] == "none"
    site.p.power_on()
    site.machine.passed += HOUR_S + 1

    assert site.wait_for_events(1)[0]["moment"] == end


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"valid_from": "2030-01-31T08:00:00", "valid_until": "2030-01-31T08:00:00"}, ["valid_until"]),
        ({"valid_from": "2030-02-01T08:00:00", "valid_until": "2030-01-31T08:00:00"}, ["valid_until"]),
        ({"valid_until": "2030-01-31T08:00:00", "blocked": False}, ["blocked"]),
        ({"valid_from": "", "blocked": True}, ["blocked"]),
        ({"valid_from": "2030-01-31"}, ["valid_from"]),
        ({"valid_until": "2030-01-31T08:00:00+00:00"}, ["valid_until"]),
        ({"blocked": "yes"}, ["blocked"]),
    ],
)
@pytest.mark.parametrize("command", ["users/create", "users/update"])
def test_dates_that_make_no_sense_are_refused_by_name(
    site: Site, command: str, fields: dict[str, Any], wrong: list[str]
) -> None:
    answer = site.ask(f"p/{command}", {"user_id": "7", "name": "Ana", **fields})

    assert (answer["status"], answer["code"]) == (400, "invalid_field")
    assert [each["field"] for each in answer["errors"]] == wrong
    assert site.p.counts[Command.USER_WRQ] == 0


def test_a_terminal_that_confirms_and_does_not_keep_it_is_asked_again_before_anything_is_published(
    site: Site, create: Make, caplog: pytest.LogCaptureFixture
) -> None:
    create(valid_until=site.at(HOUR_S))
    wait_for_session_end(site.p)
    site.p.switches.lazy_commit = True
    site.machine.passed += HOUR_S + 1
    wait_until(lambda: "did not keep it" in caplog.text, timeout=30, what="the log")
    assert site.events() == []

    site.p.switches.lazy_commit = False
    (told,) = site.wait_for_events(1)
    assert told["event"] == "blocked"
    assert site.is_blocked()


def test_a_record_whose_uid_another_user_has_is_not_changed(
    site: Site, create: Make, caplog: pytest.LogCaptureFixture
) -> None:
    create(valid_until=site.at(HOUR_S))
    wait_for_session_end(site.p)
    users = site.p.machine.terminal.users
    ((uid, raw),) = users.stored.items()
    other = raw[:48] + b"8".ljust(24, b"\0")  # the same uid
    site.p.machine.terminal.memory.tables.users[uid + 1] = other
    writes = site.p.counts[Command.USER_WRQ]
    site.machine.passed += HOUR_S + 1

    wait_until(lambda: "cannot be blocked" in caplog.text, timeout=30, what="the log")
    assert site.ask("p/ping")["code"] == "ok"
    assert (site.p.counts[Command.USER_WRQ], site.events()) == (writes, [])


def test_a_fault_of_the_bridge_with_a_date_costs_the_requests_nothing(
    site: Site, create: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(valid_until=site.at(HOUR_S))
    wait_for_session_end(site.p)

    def fail(*_: object, **__: object) -> bool:
        raise ValueError("a bug")

    with monkeypatch.context() as broken:
        broken.setattr(date_runner, "write_blocked", fail)
        site.machine.passed += HOUR_S + 1
        assert site.ask("p/users/list")["code"] == "ok"
        wait_until(lambda: "a fault of the bridge's own" in caplog.text, timeout=30, what="the log")
    assert site.wait_for_events(1)[0]["event"] == "blocked"


def test_an_update_that_blocks_removes_a_date_that_would_let_in(site: Site, create: Make) -> None:
    create(valid_from=site.at(HOUR_S))
    assert site.ask("p/users/update", {"user_id": "7", "blocked": True})["code"] == "updated"
    site.machine.passed += 2 * HOUR_S

    assert site.ask("p/users/list")["data"][0]["blocked"] is True
    assert site.events() == []


def test_a_date_of_a_terminal_with_a_long_table_is_carried_out_the_first_time(
    site: Site, create: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A long table is read ahead; it was never compared with the terminal's count, and nobody was ever blocked.

    Source: `make soak`, 2026-11
    """
    for number in range(1000, 1200):
        site.p.add_user(str(number), "Ana")
    end = site.at(HOUR_S)
    create(valid_until=end)
    wait_for_session_end(site.p)

    site.machine.passed += HOUR_S + 1

    assert site.wait_for_events(1) == [event("blocked", "valid_until", end)]
    assert site.is_blocked()
    assert "a fault of the bridge's own" not in caplog.text
