"""The library's flows in a real Node-RED: users listed and deleted, a door opened, punches shown as they happen."""

import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.node_red.node_red import FLOWS
from tests.node_red.site import Page, Site, running
from tests.support.frames import asked
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=FLOWS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site"), request.param) as site:
        wait_until(lambda: "principal" in site.open("door").text and "principal" in site.open("list").text)
        yield site


# The user ids are a hundred apart: `fill_users` makes sixty above the highest, whatever test is the first.
def create(site: Site, user_id: str, name: str) -> None:
    assert "created" in site.send(site.fill(user_id=user_id, name=name, card="777")).ids


def listed(page: Page) -> list[str]:
    """The user_ids that a list shows."""
    return re.findall(r'name="user_id" value="([^"]*)"', page.source)


def users(site: Site) -> list[str]:
    return [user.user_id for user in site.terminal.users()]


def test_a_list_shows_names_and_no_cards(site: Site) -> None:
    create(site, "1100", "José <b>")

    page = site.open("list?device=principal&name=jos")

    assert (page.status, "1100" in listed(page)) == (200, True)
    assert "José <b>" in page.text
    assert "777" not in page.text
    assert page.fields["device"] == "principal"


def test_a_long_list_is_shown_in_parts_and_searched(site: Site) -> None:
    create(site, "1500", "Zoé Única")
    site.terminal.fill_users(60)

    first = site.open("list?device=principal")
    (onward,) = re.findall(r'href="(list[?]device[^"]*offset[^"]*)"', first.source)
    second = site.open(onward.replace("&amp;", "&").replace("&#x3D;", "="))
    one = site.open("list?device=principal&name=zo%C3%A9")

    assert len(listed(first)) == 50
    assert f"50 of {len(users(site))}" in first.text
    assert set(listed(first)) | set(listed(second)) == set(users(site))
    assert listed(one) == ["1500"]


def test_a_list_that_cannot_be_loaded_has_the_reason(site: Site) -> None:
    wait_until(lambda: "bodega" in site.open("list").text)

    away, nowhere = site.open("list?device=bodega"), site.open("list?device=%2B%2Fx")

    assert (away.status, "refused" in away.ids) == (500, True)
    assert "Connection refused by device" in away.text
    assert (nowhere.status, "Which terminal?" in nowhere.text) == (400, True)


def test_a_user_is_deleted_after_a_question_and_once(site: Site) -> None:
    create(site, "1200", "Eva")
    row = {"device": "principal", "user_id": "1200", "name": "Eva"}

    question = site.send(row, "delete")
    assert "question" in question.ids
    assert "Eva (1200) on principal" in question.text
    assert "1200" in users(site)

    sure = question.fields
    first, again = site.send(sure, "delete"), site.send(sure, "delete")

    assert "1200" not in users(site)
    assert ("deleted" in first.ids, "nothing was done twice" in first.text) == (True, False)
    assert ("deleted" in again.ids, "nothing was done twice" in again.text) == (True, True)


def test_a_question_that_was_not_asked_is_asked(site: Site) -> None:
    """A page of others could send the form; and an answered question is of one user alone."""
    create(site, "1300", "Ana")
    other = site.send({"device": "principal", "user_id": "999"}, "delete").fields

    for form in ({"request_id": "made-up"}, {"request_id": other["request_id"]}):
        page = site.send({"device": "principal", "user_id": "1300", **form}, "delete")
        assert "question" in page.ids
    assert "question" in site.send({"device": "principal", "request_id": "made-up"}, "door").ids
    assert "1300" in users(site)


def test_a_door_is_opened_after_a_question_and_once(site: Site) -> None:
    since = len(site.terminal.log)
    question = site.send({"device": "principal", "lang": "es"}, "door")
    assert "¿Abrir la puerta de principal durante 3 segundos?" in question.text
    assert not site.terminal.door_open

    first = site.send(question.fields, "door")
    assert "opened" in first.ids
    assert "La puerta de principal está abierta durante 3 segundos." in first.text
    again = site.send(question.fields, "door")
    assert "la puerta no se abrió dos veces" in again.text
    assert asked(site.terminal, since=since).count("UNLOCK") == 1


def test_a_door_that_may_not_be_opened_has_a_message(site: Site) -> None:
    wait_until(lambda: "bodega" in site.open("door").text)
    page = site.send(site.send({"device": "bodega"}, "door").fields, "door")

    assert (page.status, "refused" in page.ids) == (403, True)
    assert "(forbidden)" in page.text


def test_punches_are_shown_as_they_happen_and_once(site: Site) -> None:
    assert "Punches" in site.open("punches").text
    assert "attendance: live" in site.open("punches").text

    def data(query: str = "") -> dict[str, Any]:
        with urllib.request.urlopen(f"{site.node_red.address}/zkbridge/punches/data{query}", timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    create(site, "1400", "Inés")
    wait_until(lambda: "listened to for the first time" in site.daemon.log)
    before = len(data()["punches"])
    for minute in (30, 31):
        site.terminal.punch("1400", verify=1, state=1, when=datetime(2026, 3, 2, 17, minute))  # noqa: DTZ001 - its clock
    wait_until(lambda: len(data()["punches"]) == before + 2)

    *_, first, last = data()["punches"]
    assert (first["name"], first["punch"], first["timestamp"]) == ("Inés", 1, "2026-03-02T17:30:00")
    started = data()["started"]
    assert data(f"?started={started}&after={first['number']}")["punches"] == [last]
    assert data(f"?started=0&after={last['number']}")["punches"] == data()["punches"]
