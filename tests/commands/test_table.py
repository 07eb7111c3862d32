"""Each row of the contract's table of commands: topic in, topic out, on each kind of terminal, in both languages."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.commands.conftest import Site, said
from tests.support.frames import wait_for_session_end
from zkbridge.simulator import Command, SimulatedTerminal
from zkbridge.simulator.wire.frames import encode_time
from zkbridge.simulator.wire.records import Punch

USER = {"user_id": "700", "name": "Ana"}


def lima() -> datetime:
    return datetime.now(ZoneInfo("America/Lima")).replace(tzinfo=None)


def test_users_list_has_the_users_and_never_a_password(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    answer = site.ask(kind, "users/list")

    (user,) = terminal.users()
    row = {"uid": user.uid, "user_id": "700", "name": "Ana", "privilege": 0, "card": 77, "group": 3}
    row |= {"blocked": False, "device_id": kind}
    assert answer == {"success": True, "total": 1, "data": [row], "status": 200, "code": "ok"}


def test_users_list_finds_by_user_id_and_by_part_of_the_name(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    terminal.add_user("701", "Mariana")
    terminal.add_user("7001", "Luis")

    assert [row["user_id"] for row in site.ask(kind, "users/list", {"user_id": 700})["data"]] == ["700"]
    assert [row["user_id"] for row in site.ask(kind, "users/list", {"name": "ANA"})["data"]] == ["700", "701"]
    assert site.ask(kind, "users/list", {"name": "ana", "user_id": "7001"})["data"] == []


def test_a_long_list_is_cut_at_a_row_and_goes_on_where_it_was_cut(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    terminal.fill_users(100)
    seen, offset, parts = [], 0, 0
    while offset is not None:
        answer = site.ask(kind, "users/list", {"offset": offset})
        assert answer["total"] == 101
        seen += [row["user_id"] for row in answer["data"]]
        offset = answer.get("next_offset")
        parts += 1

    assert seen == [user.user_id for user in terminal.users()]
    assert parts > 1
    assert all(len(m.payload) <= 4096 for m in site.caller.messages if m.topic.endswith("/users/list/reply"))
    limited = site.ask(kind, "users/list", {"offset": "5", "limit": "2"})
    assert [row["user_id"] for row in limited["data"]] == seen[5:7]
    assert limited["next_offset"] == 7


def test_users_update_changes_what_is_named(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    answer = site.ask(kind, "users/update", {"user_id": "700", "card": 99, "name": "Eva", "request_id": f"u-{kind}"})

    assert answer == {
        "success": True,
        "message": said(site, "Usuario '700' actualizado.", "User '700' updated."),
        "data": {"user_id": "700", "device_id": kind},
        "status": 200,
        "code": "updated",
        "request_id": f"u-{kind}",
    }
    (user,) = terminal.users()
    assert (user.name, user.card, user.password, user.privilege, user.group) == ("Eva", 99, "1234", 0, 3)
    wait_for_session_end(terminal)


def test_users_delete_takes_the_fingers_along(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    terminal.add_template("700", 3)

    answer = site.ask(kind, "users/delete", {"user_id": "700"})

    assert answer == {
        "success": True,
        "message": said(site, "Usuario '700' eliminado.", "User '700' deleted."),
        "data": {"user_id": "700", "device_id": kind},
        "status": 200,
        "code": "deleted",
    }
    assert terminal.users() == []
    assert terminal.templates() == {}


def test_users_fingers_names_each_finger(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    terminal.add_template("700", 6)
    terminal.add_template("700", 0, flag=0)

    answer = site.ask(kind, "users/fingers", {"user_id": "700"})

    rows = [
        {
            "finger_index": 0,
            "finger_name": said(site, "Menique izquierdo", "Left little finger"),
            "valid": False,
            "device_id": kind,
        },
        {
            "finger_index": 6,
            "finger_name": said(site, "Indice derecho", "Right index finger"),
            "valid": True,
            "device_id": kind,
        },
    ]
    assert answer == {"success": True, "total_fingers": 2, "data": rows, "status": 200, "code": "ok"}


@pytest.mark.parametrize("command", ["users/update", "users/delete", "users/fingers"])
def test_an_absent_user_is_answered_404(site: Site, kind: str, terminal: SimulatedTerminal, command: str) -> None:
    more = {"card": 1} if command == "users/update" else {}
    assert site.ask(kind, command, {"user_id": "404", **more}) == {
        "success": False,
        "error": said(site, "Usuario '404' no encontrado.", "User '404' not found."),
        "status": 404,
        "code": "user_not_found",
    }
    assert len(terminal.users()) == 1


@pytest.mark.parametrize("command", ["users/update", "users/delete", "users/fingers"])
def test_the_required_field_is_named(site: Site, kind: str, command: str) -> None:
    answer = site.ask(kind, command, {"request_id": f"m-{command}-{kind}"})

    assert (answer["status"], answer["code"]) == (400, "missing_fields")
    assert answer["error"] == said(site, "user_id es requerido.", "user_id is required.")


def test_attendance_list_has_user_and_time_of_each_punch(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    (user,) = terminal.users()
    for hour, verify in ((8, 1), (17, 2)):
        when = encode_time(datetime.fromisoformat(f"2026-03-02T{hour:02}:30"))
        terminal.add_punch(Punch(user.uid, "700", verify, hour // 17, when))
    total = site.ask(kind, "attendance/list")["total"]

    answer = site.ask(kind, "attendance/list", {"user_id": "700", "since": "2026-03-02", "until": "2026-03-02"})

    both = answer["data"][-2:]
    assert both == [
        {"user_id": "700", "timestamp": "2026-03-02T08:30:00", "status": 1, "punch": 0, "device_id": kind},
        {"user_id": "700", "timestamp": "2026-03-02T17:30:00", "status": 2, "punch": 1, "device_id": kind},
    ]
    morning = {"since": "2026-03-02T08:00:00", "until": "2026-03-02T08:30:00"}
    assert {row["status"] for row in site.ask(kind, "attendance/list", morning)["data"]} == {1}
    assert site.ask(kind, "attendance/list", {"since": "2031-01-01"})["data"] == []
    assert site.ask(kind, "attendance/list", {"limit": 1})["total"] == total


def test_info_has_the_terminals_model_and_counts(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    answer = site.ask(kind, "info")

    data = answer["data"]
    assert data["serialnumber"] == terminal.option("~SerialNumber")
    assert data["platform"] == terminal.option("~Platform")
    assert data["mac"] == terminal.option("MAC")
    assert data["users"] == {"count": 1, "capacity": terminal.switches.user_capacity}
    assert data["records"]["capacity"] == terminal.switches.record_capacity
    assert data["device_id"] == kind
    drift = (terminal.time - lima()).total_seconds()
    assert abs(data["clock_drift_s"] - drift) < 2
    assert "message" not in answer


def test_ping_does_not_disable_the_terminal_and_reads_no_table(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    before = terminal.counts.copy()

    answer = site.ask(kind, "ping")

    assert answer["message"] == said(
        site, f"Conexion exitosa con '{kind}'.", f"Connection to '{kind}' successful."
    )  # fmt: skip - one sentence
    assert answer["data"]["device_id"] == kind
    assert answer["data"]["latency_ms"] >= 0
    assert datetime.fromisoformat(answer["data"]["device_time"])
    for never in (Command.DISABLE, Command.PREPARE_BUFFER, Command.USERTEMP_RRQ):
        assert terminal.counts[never] == before[never]


def test_the_clock_is_set_to_the_time_of_the_place_and_read_again(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    answer = site.ask(kind, "time/sync", {})

    assert answer["message"] == said(site, f"[{kind}] Hora sincronizada.", f"[{kind}] Time synchronized.")
    assert abs(terminal.time - lima()) < timedelta(seconds=3)
    told = datetime.fromisoformat(site.ask(kind, "time/get")["data"]["device_time"])
    assert abs(told - lima()) < timedelta(seconds=3)
    assert abs(site.ask(kind, "info")["data"]["clock_drift_s"]) < 3

    site.ask(kind, "time/sync", {"time": "2031-05-06T07:08:09"})
    assert abs(terminal.time - datetime.fromisoformat("2031-05-06T07:08:09")) < timedelta(seconds=3)
