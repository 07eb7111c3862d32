"""A name in an encoding that writes two characters as one is read back as another, and the writer is refused with 409.

Source: attack on 7bb949d, 2026-11
"""

from collections.abc import Iterator

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.odd_terminals import Site, odd, running
from zkbridge.simulator.handle.terminal import SimulatedTerminal

NAMES = {
    "cp932": "A\N{WAVE DASH}B",
    "cp950": "A\N{BULLET}B",
    "shift_jis": "A\N{YEN SIGN}B",
}
#: Characters near those, that are written and read as themselves.
NEIGHBOURS = {"cp932": "A\N{FULLWIDTH TILDE}B", "cp950": "李小明", "shift_jis": "山田A\\B"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    kinds = {encoding: odd({"encoding": encoding}, encoding=encoding) for encoding in NAMES}
    with running(tmp_path_factory.mktemp("names"), shared_broker, kinds) as site:
        yield site


def lose_the_answer(terminal: SimulatedTerminal) -> None:
    terminal.faults.add("USER_WRQ", "after", "close")


@pytest.mark.parametrize("encoding", NAMES)
def test_a_character_that_would_be_read_back_as_another_is_refused(site: Site, encoding: str) -> None:
    before = site.terminals[encoding].users()
    lose_the_answer(site.terminals[encoding])

    created = site.ask(encoding, "users/create", user_id="1", name=NAMES[encoding])
    site.terminals[encoding].faults.clear()
    site.terminals[encoding].add_user("2", "Ana")
    updated = site.ask(encoding, "users/update", user_id="2", name=NAMES[encoding])

    for reply in (created, updated):
        assert (reply["status"], [fault["field"] for fault in reply["errors"]]) == (400, ["name"])
        assert encoding in reply["error"]
    more = [user for user in site.terminals[encoding].users() if user not in before]
    assert [(user.user_id, user.name) for user in more] == [("2", "Ana")]


@pytest.mark.parametrize("encoding", NEIGHBOURS)
def test_a_lost_answer_to_a_name_that_is_read_back_is_a_success(site: Site, encoding: str) -> None:
    lose_the_answer(site.terminals[encoding])

    reply = site.ask(encoding, "users/create", user_id="3", name=NEIGHBOURS[encoding])

    assert (reply["code"], reply["data"]["name"]) == ("created", NEIGHBOURS[encoding])
    assert [user.name for user in site.terminals[encoding].users() if user.user_id == "3"] == [NEIGHBOURS[encoding]]
