"""The form in a real Node-RED: what a person with a browser does, and what is then on the terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node_red.node_red import FLOWS
from tests.node_red.site import Site, running
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=FLOWS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


def test_the_form_knows_the_terminals_and_how_they_are(site: Site) -> None:
    wait_until(lambda: "principal: online" in site.open().text)
    wait_until(lambda: "bodega: offline (Connection refused" in site.open().text)

    page = site.open()
    assert page.status == 200
    assert "bridge: online" in page.text
    assert set(page.fields) == {"request_id", "lang", "device", "user_id", "name", "password", "card"}


def test_a_user_is_created_from_the_form(site: Site) -> None:
    page = site.send(site.fill(user_id="7", name="José Núñez", password="4711", card="12345"))

    assert (page.status, page.ids & {"created", "exists", "again", "refused"}) == (200, {"created"})
    assert "José Núñez is user 7 on principal." in page.text
    assert [page.fields[each] for each in ("user_id", "name", "password", "card")] == ["", "", "", ""]
    (user,) = [user for user in site.terminal.users() if user.user_id == "7"]
    assert (user.name, user.password, user.card) == ("José Núñez", "4711", 12345)


def test_a_user_id_that_is_taken_is_the_409_branch(site: Site) -> None:
    site.send(site.fill(user_id="8", name="Ana"))
    page = site.send(site.fill(user_id="8", name="Eva"))

    assert (page.status, "exists" in page.ids) == (409, True)
    assert "user_id '8' ya existe." in page.text
    assert [user.name for user in site.terminal.users() if user.user_id == "8"] == ["Ana"]


@pytest.mark.parametrize(
    ("wrong", "code", "same_request"),
    [
        ({"user_id": "8"}, "user_exists", False),
        ({"password": "123456789"}, "invalid_field", False),
        ({"device": "bodega"}, "device_unreachable", True),
    ],
    ids=["a user_id that is taken", "a PIN that is too long", "a terminal that is off"],
)
def test_after_an_error_the_form_keeps_its_fields(
    site: Site, wrong: dict[str, str], code: str, same_request: bool
) -> None:
    site.send(site.fill(user_id="8", name="Ana"))
    wait_until(lambda: "bodega" in site.open().text)
    filled = {"user_id": "17", "name": 'José "Ñ" <b>', "password": "4711", "card": "12345", **wrong}
    form = site.fill(**filled)

    page = site.send(form)

    assert f"({code})" in page.text
    kept = {key: value for key, value in page.fields.items() if key != "request_id"}
    assert kept == {key: value for key, value in form.items() if key != "request_id"}
    # A form that is corrected is another request; one that may be sent again as it is stays the same.
    assert (page.fields["request_id"] == form["request_id"]) == same_request


def test_the_page_is_in_the_language_of_the_browser(site: Site) -> None:
    wait_until(lambda: "principal: online" in site.open().text)

    assert "Usuario nuevo" in site.open(reads="fr;q=0.9, es-PE;q=0.8, en;q=0.1").text
    assert "principal: en línea" in site.open(reads="es").text
    assert "New user" in site.open("users?lang=en", reads="es").text
    assert "New user" in site.open(reads="fr").text
    page = site.send(site.open("users?lang=es").fields | {"device": "principal", "user_id": "18", "name": "Ana"})
    assert "Ana es el usuario 18 en principal." in page.text
    assert "Usuario nuevo" in page.text


def test_the_same_form_sent_twice_is_one_user_and_no_409(site: Site) -> None:
    form = site.fill(user_id="9", name="Ana")

    first, second = site.send(form), site.send(form)

    assert ("created" in first.ids, "created" in second.ids) == (True, True)
    assert "nothing was done twice" not in first.text
    assert "nothing was done twice" in second.text
    assert len([user for user in site.terminal.users() if user.user_id == "9"]) == 1


def test_what_does_not_fit_is_refused_with_its_rule(site: Site) -> None:
    page = site.send(site.fill(user_id="10", name="Ana", password="123456789"))

    assert (page.status, "refused" in page.ids) == (400, True)
    assert "password" in page.text
    assert "(invalid_field)" in page.text


def test_a_terminal_that_is_off_is_worth_another_try(site: Site) -> None:
    wait_until(lambda: "bodega" in site.open().text)
    page = site.send(site.fill(user_id="11", name="Ana", device="bodega"))

    assert (page.status, "again" in page.ids) == (500, True)
    assert "Connection refused by device" in page.text


def test_the_same_form_is_carried_out_once_the_terminal_is_on(site: Site) -> None:
    form = site.fill(user_id="16", name="Ana")
    site.terminal.power_off()
    try:
        first = site.send(form)
    finally:
        site.terminal.power_on()

    second, third = site.send(form), site.send(form)

    assert (first.status, "again" in first.ids) == (500, True)
    assert [("created" in page.ids, "nothing was done twice" in page.text) for page in (second, third)] == [
        (True, False),
        (True, True),
    ]
    assert [user.user_id for user in site.terminal.users()].count("16") == 1


def test_a_form_that_names_no_terminal_goes_nowhere(site: Site) -> None:
    page = site.send(site.fill(user_id="12", name="Ana", device="+/x"))

    assert (page.status, "refused" in page.ids) == (400, True)
    assert "Which terminal?" in page.text
    assert "device=+" not in site.daemon.log


def test_a_name_is_text_and_never_part_of_the_page(site: Site) -> None:
    page = site.send(site.fill(user_id="13", name="<b>Ana</b>"))

    assert "created" in page.ids
    assert "<b>" not in page.source


def test_node_red_keeps_no_password(site: Site) -> None:
    assert "created" in site.send(site.fill(user_id="14", name="Ana", password="83920177")).ids

    kept = [path for path in site.node_red.folder.rglob("*") if path.is_file() and b"83920177" in path.read_bytes()]
    assert kept == []


@pytest.mark.parametrize("protocol", FLOWS)
def test_a_bridge_that_is_away_is_shown_and_the_same_form_may_be_sent_again(tmp_path: Path, protocol: str) -> None:
    acl = "topic readwrite #\ntopic deny zk/bodega/users/create\n"
    with running(tmp_path, protocol, patience_s=1, acl=acl) as site:
        wait_until(lambda: "bridge: online" in site.open().text and "bodega" in site.open().text)
        # What the access list forbids is dropped without a word.
        page = site.send(site.fill(user_id="15", name="Ana", device="bodega"))
        replies = {"5": "zk/replies/node-red", "3.1.1": "zk/bodega/users/create/reply"}[protocol]
        assert (page.status, "again" in page.ids) == (504, True)
        assert f"access list must let this login publish on zk/bodega/users/create and read {replies};" in page.text
        assert "offline." not in page.text
        form = site.fill(user_id="15", name="Ana")
        assert site.daemon.stop() == 0
        wait_until(lambda: "bridge: offline" in site.open().text)

        page = site.send(form)
        assert (page.status, "again" in page.ids) == (504, True)
        assert "No answer within 1 seconds. The bridge is offline." in " ".join(page.text.split())

        site.daemon.start()
        wait_until(site.terminal.users, what="what waited at the broker")
        assert "created" in site.send(form).ids
    assert [user.user_id for user in site.terminal.users()] == ["15"]
