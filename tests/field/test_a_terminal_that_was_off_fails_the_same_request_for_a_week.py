"""A request that failed while its terminal was off got that same failure for seven days, whenever it was sent again.

Source: attack on 7bb949d, 2026-11
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.simulator.wire.codes import Command

BASE = "off"
MANY = 100


class Site:
    """Terminals `p` and `q`, together the group `both`; each may be switched off for a while."""

    def __init__(self, caller: Caller, p: SimulatedTerminal, q: SimulatedTerminal) -> None:
        self.caller, self.p, self.q = caller, p, q

    def ask(self, topic: str, **fields: Any) -> dict[str, Any]:
        self.caller.publish(f"{BASE}/{topic}", json.dumps(fields).encode())
        return self.caller.wait_for(f"{BASE}/{topic}/reply", timeout=30).json

    def users(self, terminal: SimulatedTerminal, user_id: str) -> int:
        return [user.user_id for user in terminal.users()].count(user_id)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    with Simulator() as simulator:
        p, q = (simulator.add(TerminalConfig(profile="tft")) for _ in range(2))
        daemon = Daemon(
            tmp_path_factory.mktemp("off") / "d",
            shared_broker.port,
            {"p": device(p, door={"enabled": True, "trust_clock": True}), "q": device(q)},
            groups={"both": ["p", "q"]},
            mqtt={"base_topic": BASE},
            language="en",
            covered=False,
        )
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe(f"{BASE}/#", no_local=True)
            yield Site(caller, p, q)


@pytest.mark.parametrize(
    ("command", "fields", "code"),
    [
        ("users/create", {"user_id": "1", "name": "Ana"}, "created"),
        ("users/update", {"user_id": "900", "name": "Eva"}, "updated"),
        ("users/delete", {"user_id": "901"}, "deleted"),
        ("time/sync", {}, "synchronized"),
        ("ping", {}, "ok"),
    ],
)
def test_the_same_request_is_carried_out_once_the_terminal_is_on(
    site: Site, command: str, fields: dict[str, Any], code: str
) -> None:
    if not site.users(site.p, "900"):
        site.p.add_user("900", "Guard")
        site.p.add_user("901", "Gone")
    fields["request_id"] = f"off {command}"
    site.p.power_off()
    failed = [site.ask(f"p/{command}", **fields) for _ in range(2)]
    site.p.power_on()

    done = site.ask(f"p/{command}", **fields)

    for reply in failed:
        assert (reply["code"], reply["retryable"], reply["effect"]) == ("device_unreachable", True, "none")
        assert "replayed" not in reply
    assert (done["code"], done["request_id"]) == (code, f"off {command}")
    assert "replayed" not in done
    if command != "ping":
        assert site.ask(f"p/{command}", **fields) == done | {"replayed": True}


def test_a_refusal_is_answered_from_memory(site: Site) -> None:
    first = site.ask("p/users/delete", user_id="77", request_id="nobody")
    site.p.add_user("77", "Late")

    assert site.ask("p/users/delete", user_id="77", request_id="nobody") == first | {"replayed": True}
    assert site.users(site.p, "77") == 1


def test_the_request_id_of_a_failure_still_means_the_same_request(site: Site) -> None:
    site.p.power_off()
    site.ask("p/users/create", user_id="2", name="Ana", request_id="two")
    site.p.power_on()

    assert site.ask("p/users/create", user_id="2", name="Eva", request_id="two")["code"] == "request_id_reused"
    assert site.ask("p/users/create", user_id="2", name="Ana", request_id="two")["code"] == "created"


def test_a_door_that_could_not_be_reached_is_opened_once_when_asked_again(site: Site) -> None:
    before = site.p.counts[Command.UNLOCK]
    site.p.power_off()
    assert site.ask("p/door/unlock", request_id="door")["effect"] == "none"
    site.p.power_on()

    assert site.ask("p/door/unlock", request_id="door")["code"] == "unlocked"
    assert site.ask("p/door/unlock", request_id="door")["replayed"]
    assert site.p.counts[Command.UNLOCK] == before + 1


def test_a_door_that_may_have_opened_is_not_asked_again(site: Site) -> None:
    before = site.p.counts[Command.UNLOCK]
    site.p.faults.add("UNLOCK", "after", "close")
    first = site.ask("p/door/unlock", request_id="perhaps")

    assert (first["code"], first["retryable"]) == ("outcome_unknown", False)
    assert site.ask("p/door/unlock", request_id="perhaps") == first | {"replayed": True}
    assert site.p.counts[Command.UNLOCK] == before + 1


def test_a_user_who_was_written_before_the_answer_was_lost_is_a_success(site: Site) -> None:
    site.p.switches.lazy_commit = True
    site.p.faults.add("REFRESHDATA", "before", "close", count=MANY)
    first = site.ask("p/users/create", user_id="3", name="Ana", request_id="three")
    site.p.switches.lazy_commit = False
    site.p.faults.clear()
    site.p.restart()

    again = site.ask("p/users/create", user_id="3", name="Ana", request_id="three")

    assert (first["retryable"], first["effect"]) == (True, "unknown")
    assert again["code"] == "created"
    assert site.users(site.p, "3") == 1


def test_a_group_asks_only_those_who_could_not_be_reached(site: Site) -> None:
    fields = {"user_id": "4", "name": "Ana", "request_id": "four"}
    site.q.power_off()
    first = site.ask("both/users/create", **fields)
    site.p.delete_user("4")  # if `p` were asked again, the user would be back
    site.q.power_on()

    again = site.ask("both/users/create", **fields)

    assert [each["code"] for each in first["results"]] == ["created", "device_unreachable"]
    assert (again["status"], "replayed" in again) == (200, False)
    assert [(each["code"], each.get("replayed", False)) for each in again["results"]] == [
        ("created", True),
        ("created", False),
    ]
    assert (site.users(site.p, "4"), site.users(site.q, "4")) == (0, 1)
    assert site.ask("both/users/create", **fields)["replayed"]


def test_a_member_that_waits_is_left_waiting(site: Site) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    fields = {"user_id": "5", "name": "Ana", "request_id": "five", "catch_up": True, "expires_at": until}
    site.q.power_off()
    first = site.ask("both/users/create", **fields)
    again = site.ask("both/users/create", **fields)
    site.q.power_on()
    site.caller.publish(f"{BASE}/q/ping", b"{}")
    late = site.caller.wait_for(f"{BASE}/q/users/create/reply", timeout=30).json

    assert [each["code"] for each in first["results"]] == ["created", "waiting"]
    assert again == first | {"replayed": True}
    assert (late["code"], late["request_id"]) == ("created", "five")
    assert (site.users(site.p, "5"), site.users(site.q, "5")) == (1, 1)
