"""A request's own `language`: its answer is in it, whatever the configuration says; it is no part of what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.processes import closed_port
from zkbridge.config.models import FINGER_NAMES, Device
from zkbridge.contract.texts import LANGUAGES, Language
from zkbridge.simulator import Simulator, TerminalConfig

ALL_FAILED = {
    "es": "Ningún dispositivo del grupo 'both' lo hizo: {}",
    "en": "No device of group 'both' did it: {}",
}
TAKEN = {"es": "user_id '1' ya existe.", "en": "user_id '1' already exists."}


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Caller]:
    """Asks a bridge whose language is Spanish."""
    with Simulator() as simulator:
        terminals = {name: simulator.add(TerminalConfig(profile="tft")) for name in ("p", "q")}
        for terminal in terminals.values():
            terminal.add_user(user_id="1", name="Ana")
            terminal.add_template("1", 0)
        devices = {name: device(terminal) for name, terminal in terminals.items()}
        devices["away"] = {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}
        groups = {"both": ["p", "q"], "half": ["p", "away"], "gone": ["away"]}
        folder = tmp_path_factory.mktemp("language") / "d"
        with Daemon(folder, shared_broker.port, devices, groups=groups), Caller(shared_broker.port) as caller:
            caller.subscribe("zk/+/+/+/reply")
            yield caller


def ask(caller: Caller, to: str, command: str, **body: Any) -> dict[str, Any]:
    caller.publish(f"zk/{to}/{command}", body)
    answer: dict[str, Any] = caller.wait_for(f"zk/{to}/{command}/reply").json
    return answer


@pytest.mark.parametrize("language", [None, *LANGUAGES])
def test_an_answer_is_in_the_language_of_its_request(caller: Caller, language: Language | None) -> None:
    spoken = language or "es"

    exists = ask(caller, "p", "users/create", user_id="1", name="Eva", language=language)
    fingers = ask(caller, "p", "users/fingers", user_id="1", language=language)
    of_both = ask(caller, "both", "users/create", user_id="1", name="Eva", language=language)
    of_rows = ask(caller, "p", "users/create-many", users=[{"user_id": "1", "name": "Eva"}], language=language)
    refused = ask(caller, "p", "users/create", user_id="2", name="", nonsense=1, language=language)

    assert exists["error"] == TAKEN[spoken]
    assert [row["finger_name"] for row in fingers["data"]] == [FINGER_NAMES[spoken][0]]
    assert of_both["error"] == ALL_FAILED[spoken].format(TAKEN[spoken])
    assert [each["error"] for each in of_both["results"]] == [TAKEN[spoken]] * 2
    assert of_rows["results"][0]["error"] == TAKEN[spoken]
    assert of_rows["error"].startswith({"es": "No se hizo", "en": "Done for no"}[spoken])
    assert refused["errors"][-1]["message"] == {"es": "campo desconocido", "en": "unknown field"}[spoken]


@pytest.mark.parametrize(
    ("language", "user_id", "of_group", "of_member"),
    [("es", "9", "en espera", "se hará cuando 'away' responda"), ("en", "10", "waiting", "done when 'away' answers")],
)
def test_a_waiting_request_is_answered_in_its_own_language(
    caller: Caller, language: Language, user_id: str, of_group: str, of_member: str
) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"user_id": user_id, "name": "Eva", "catch_up": True, "expires_at": until, "language": language}

    reply = ask(caller, "half", "users/create", **body)

    assert of_group in reply["error"]
    assert of_member in reply["results"][1]["error"]


@pytest.mark.parametrize("to", ["p", "both"])
def test_another_language_is_refused_by_the_fields_name(caller: Caller, to: str) -> None:
    reply = ask(caller, to, "users/create", user_id="1", name="Eva", language="de")

    assert (reply["status"], reply["code"]) == (400, "invalid_field")
    assert reply["errors"] == [{"field": "language", "message": "debe ser es o en"}]


def test_a_row_of_a_list_has_no_language_of_its_own(caller: Caller) -> None:
    row = {"user_id": "1", "name": "Eva", "language": "en"}

    reply = ask(caller, "p", "users/create-many", users=[row], language="en")

    assert reply["results"][0]["errors"] == [{"field": "language", "message": "unknown field"}]


def test_a_repeat_in_another_language_gets_the_stored_answer_as_it_was(caller: Caller) -> None:
    first = ask(caller, "p", "users/create", user_id="5", name="Eva", request_id="r-5", language="en")
    again = ask(caller, "p", "users/create", user_id="5", name="Eva", request_id="r-5", language="es")

    assert first["message"] == "User registered."
    assert again == first | {"replayed": True}


def test_a_repeat_that_is_carried_out_again_is_answered_in_its_own_language(caller: Caller) -> None:
    body = {"user_id": "5", "name": "Eva", "request_id": "r-6"}

    first = ask(caller, "gone", "users/create", **body, language="es")
    again = ask(caller, "gone", "users/create", **body, language="en")

    assert "replayed" not in again
    assert first["error"].startswith("Ningún dispositivo del grupo 'gone' lo hizo: ")
    assert again["error"].startswith("No device of group 'gone' did it: ")


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_fingers_follow_the_terminals_own_count(language: Language) -> None:
    little, thumb = {"es": ("Menique", "Pulgar"), "en": ("little finger", "thumb")}[language]
    left, right = {"es": ("izquierdo", "derecho"), "en": ("Left", "Right")}[language]
    names = [Device(id="p", host="h").finger_name(index, language).split(" ", 1) for index in range(10)]

    assert {index: set(names[index]) for index in (0, 4, 5, 9)} == {
        0: {little, left},
        4: {thumb, left},
        5: {thumb, right},
        9: {little, right},
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_configured_names_of_fingers_are_the_same_in_every_language(language: Language) -> None:
    names = tuple(f"dedo {number}" for number in range(10))

    assert Device(id="p", host="h", finger_names=names).finger_name(3, language) == "dedo 3"
