"""A terminal keeps 9 bytes of a longer user_id and says nothing: each create succeeds, and makes the same user again.

Source: attack on 7bb949d, 2026-11
"""

from collections.abc import Iterator

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.odd_terminals import Site, odd, running

LONG = "1234567890"
SILENT = {"tells_user_id_width": False, "user_id_kept": 9, "user_id_rule": "accept"}
LYING = {"user_id_width": 24, "user_id_kept": 9, "user_id_rule": "accept"}
KINDS = {
    "silent": odd(SILENT),
    "lying": odd(LYING),
    "empty": odd(SILENT),
    "honest": odd({"user_id_width": 24}),
    "lost": odd(SILENT),
    "off": odd(SILENT),
    "configured": odd(SILENT, user_id_width=24),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("cut"), shared_broker, KINDS) as site:
        for name in ("silent", "lying", "honest", "lost", "off"):
            site.terminals[name].add_user("123456789", "Eva")
        yield site


def ids(site: Site, device: str) -> list[str]:
    return [user.user_id for user in site.terminals[device].users()]


@pytest.mark.parametrize("device", ["silent", "lying", "empty", "configured"])
def test_the_user_is_taken_back_and_the_width_is_remembered(site: Site, device: str) -> None:
    before = ids(site, device)

    replies = [site.ask(device, "users/create", user_id=LONG, name="Ana") for _ in range(3)]

    assert {(reply["status"], reply["code"], reply["errors"][0]["field"]) for reply in replies} == {
        (400, "invalid_field", "user_id")
    }
    assert "at most 9 bytes" in replies[0]["error"]
    assert ids(site, device) == before
    assert sum(exchange.command == 8 and exchange.direction == "in" for exchange in site.terminals[device].log) == 1
    assert site.ask(device, "users/create", user_id="987654321", name="Ana")["code"] == "created"


def test_a_terminal_that_keeps_it_whole_is_read_back_once(site: Site) -> None:
    site.terminals["honest"].machine.journal.counts.clear()
    replies = [site.ask("honest", "users/create", user_id=str(1234567890 + n), name="Ana") for n in range(3)]

    assert {reply["code"] for reply in replies} == {"created"}
    assert site.terminals["honest"].counts[1503] == 3 + 1
    assert len(ids(site, "honest")) == 4


def test_a_user_whose_answer_was_lost_is_taken_back_too(site: Site) -> None:
    site.terminals["lost"].faults.add("USER_WRQ", "after", "close")

    reply = site.ask("lost", "users/create", user_id=LONG, name="Ana")

    assert (reply["status"], reply["errors"][0]["field"]) == (400, "user_id")
    assert ids(site, "lost") == ["123456789"]


def test_a_cut_user_whose_terminal_lost_its_power_is_taken_back_by_the_same_request(site: Site) -> None:
    """The first answer cannot know what the terminal holds, and says so."""
    terminal, request = site.terminals["off"], {"user_id": LONG, "name": "Ana", "request_id": "r-off"}
    terminal.faults.add("USER_WRQ", "after", "power_off")
    lost = site.ask("off", "users/create", **request)
    terminal.power_on()
    held = ids(site, "off")

    settled = site.ask("off", "users/create", **request)

    assert (lost["effect"], lost["retryable"]) == ("unknown", True)
    assert held == ["123456789", "123456789"]
    assert (settled["status"], settled["errors"][0]["field"]) == (400, "user_id")
    assert ids(site, "off") == ["123456789"]
