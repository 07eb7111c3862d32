"""Enrolling a finger: what the person is told step by step, and what the caller in the end, whatever happens."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tests.commands.conftest import Site, said
from tests.support.caller import Message
from tests.support.frames import asked, wait_for_session_end
from tests.support.waiting import wait_until
from zkbridge.simulator import Command, SimulatedTerminal

ENROL = "users/enroll-finger"
CANCEL = f"{ENROL}/cancel"
OLD = b"an older finger's template"
#: An answer's status, code and sentences.
TIMEOUT = (
    408,
    "enroll_timeout",
    "La huella no se registró a tiempo.",
    "The fingerprint was not enrolled in time.",
)
DUPLICATE = (
    409,
    "finger_duplicate",
    "El dispositivo ya tiene esta huella, de otro dedo o de otro usuario.",
    "The device already has this fingerprint, as another finger or for another user.",
)
FAILED = (
    422,
    "enroll_failed",
    "El dispositivo no pudo registrar la huella con las muestras tomadas.",
    "The device could not enrol the fingerprint from the samples taken.",
)
CANCELLED = (410, "enroll_cancelled", "El enrolamiento se canceló.", "The enrolment was cancelled.")
#: What the person does, for how long they are waited for, and what is answered.
OUTCOMES = {
    "bad": ("bad", 60, FAILED),
    "duplicate": ("duplicate", 60, DUPLICATE),
    "nobody": ("wait", 1, TIMEOUT),
}
_numbers = count(1)
#: For what does not depend on the language.
only_spanish = pytest.mark.parametrize("site", ["es"], indirect=True)


@pytest.fixture
def enrol(site: Site, kind: str) -> Callable[..., Any]:
    """Ask for finger 6 of user 700; the rest of the request in the keywords."""

    def ask(**more: Any) -> dict[str, Any]:
        return site.ask(kind, ENROL, {"user_id": "700", "finger_index": 6, **more})

    return ask


def begin(site: Site, kind: str, **more: Any) -> str:
    """Ask for an enrolment, and return its id when the terminal has asked for the finger."""
    request_id = f"e{next(_numbers)}"
    body = {"user_id": "700", "finger_index": 6, "request_id": request_id, **more}
    site.caller.publish(f"zk/{kind}/{ENROL}", body)
    step = site.caller.wait_for(f"zk/{kind}/{ENROL}/progress", of(request_id)).json
    assert step["step"] == "ready"
    return request_id


def of(request_id: str) -> Callable[..., Any]:
    return lambda message: message.json.get("request_id") == request_id


def answer_to(site: Site, kind: str, request_id: str, command: str = ENROL) -> dict[str, Any]:
    return site.caller.wait_for(f"zk/{kind}/{command}/reply", of(request_id), timeout=20).json


def does(terminal: SimulatedTerminal, script: list[int] | str) -> None:
    """What the person does at the terminal."""
    if script == "wait":
        terminal.switches.enrolment = "wait"
    else:
        terminal.enrol(script)


def refusal(site: Site, told: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    status, code, spanish, english = told
    return {"success": False, "error": said(site, spanish, english), "status": status, "code": code, **more}


def success(site: Site, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "success": True,
        "message": said(site, "Huella registrada.", "Fingerprint enrolled."),
        "data": {
            "user_id": "700",
            "finger_index": 6,
            "finger_name": said(site, "Indice derecho", "Right index finger"),
            "device_id": kind,
        },
        "status": 200,
        "code": "enrolled",
        **more,
    }


def steps(site: Site, kind: str, request_id: str) -> list[Message]:
    topic = f"zk/{kind}/{ENROL}/progress"
    return [m for m in site.caller.messages if m.topic == topic and m.json.get("request_id") == request_id]


def test_each_step_is_published_and_the_finger_is_there_at_the_end(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    does(terminal, [100, 0, 100, 100])
    disabled = terminal.counts[Command.DISABLE]

    answer = site.ask(kind, ENROL, {"user_id": 700, "finger_index": "6", "request_id": f"steps-{kind}"})

    assert answer == success(site, kind, request_id=f"steps-{kind}")
    told = steps(site, kind, f"steps-{kind}")
    assert all((message.qos, message.retain) == (1, False) for message in told)
    ready = said(
        site,
        "Modo enrolamiento activado. El usuario debe poner el dedo 3 veces.",
        "Enrolment mode on. The user must put the finger on the sensor 3 times.",
    )
    assert told[0].json == {
        "message": ready,
        "step": "ready",
        "user_id": "700",
        "finger_index": 6,
        "samples": 0,
        "needed": 3,
        "device_id": kind,
        "request_id": f"steps-{kind}",
    }
    assert [(message.json["step"], message.json["samples"]) for message in told] == [
        ("ready", 0),
        ("good_sample", 1),
        ("bad_sample", 1),
        ("good_sample", 2),
        ("good_sample", 3),
    ]
    assert told[1].json["message"] == said(site, "Muestra 1 de 3 tomada.", "Sample 1 of 3 taken.")
    assert told[2].json["message"] == said(
        site,
        "La muestra no sirvió; el usuario debe poner el dedo otra vez.",
        "The sample was no good; the user must put the finger on the sensor again.",
    )
    (user,) = terminal.users()
    assert list(terminal.templates()) == [(user.uid, 6)]
    assert terminal.counts[Command.DISABLE] == disabled
    assert site.ask(kind, "users/fingers", {"user_id": "700"})["total_fingers"] == 1


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_failed_enrolment_is_answered_with_its_cause(
    site: Site, terminal: SimulatedTerminal, enrol: Callable[..., Any], outcome: str
) -> None:
    script, timeout, told = OUTCOMES[outcome]
    does(terminal, script)

    assert enrol(timeout=timeout) == refusal(site, told)
    assert terminal.templates() == {}
    wait_until(lambda: not terminal.machine.terminal.enrolling, what="the end of capture mode")


@only_spanish
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_finger_that_was_to_be_replaced_stays_if_no_new_one_comes(
    site: Site, terminal: SimulatedTerminal, enrol: Callable[..., Any], outcome: str
) -> None:
    script, timeout, told = OUTCOMES[outcome]
    terminal.add_template("700", 6, OLD, flag=3)
    before = terminal.templates()
    does(terminal, script)

    assert enrol(timeout=timeout, overwrite=True) == refusal(site, told)
    assert terminal.templates() == before


def test_an_existing_finger_is_replaced_only_with_overwrite(
    site: Site, kind: str, terminal: SimulatedTerminal, enrol: Callable[..., Any]
) -> None:
    terminal.add_template("700", 6, OLD)
    terminal.add_template("700", 5, OLD)
    before = terminal.counts[Command.STARTENROLL]

    assert enrol(request_id=f"there-{kind}") == {
        "success": False,
        "error": said(
            site,
            "El usuario '700' ya tiene registrado el dedo 6; overwrite lo reemplaza.",
            "User '700' has finger 6 enrolled already; overwrite replaces it.",
        ),
        "status": 409,
        "code": "finger_exists",
        "request_id": f"there-{kind}",
    }
    assert terminal.counts[Command.STARTENROLL] == before
    assert enrol(overwrite=True) == success(site, kind)
    (user,) = terminal.users()
    assert terminal.templates()[user.uid, 6].data != OLD
    assert terminal.templates()[user.uid, 5].data == OLD


def test_an_absent_user_and_a_full_terminal_have_their_errors(
    site: Site, terminal: SimulatedTerminal, enrol: Callable[..., Any]
) -> None:
    assert enrol(user_id="404") == {
        "success": False,
        "error": said(site, "Usuario '404' no encontrado.", "User '404' not found."),
        "status": 404,
        "code": "user_not_found",
    }
    terminal.add_template("700", 1)
    terminal.switches.finger_capacity = 1
    try:
        answer = enrol()
        replaced = enrol(finger_index=1, overwrite=True)
    finally:
        terminal.switches.finger_capacity = 3000
    address = f"{terminal.host}:{terminal.port}"
    assert answer == {
        "success": False,
        "error": said(
            site,
            f"El dispositivo {address} no tiene lugar para una huella más.",
            f"Device {address} has no room for one more fingerprint.",
        ),
        "status": 500,
        "code": "device_full",
    }
    assert replaced["success"]


def test_both_fields_are_required(site: Site, kind: str) -> None:
    answer = site.ask(kind, ENROL, {"request_id": f"both-{kind}"})

    assert (answer["status"], answer["code"]) == (400, "missing_fields")
    assert answer["error"] == said(
        site, "user_id y finger_index son requeridos.", "user_id and finger_index are required."
    )


def test_a_cancel_ends_it_at_once_and_both_are_answered(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    terminal.switches.enrolment = "wait"
    terminal.add_template("700", 6, OLD)
    before = terminal.templates()
    enrolment = begin(site, kind, timeout=300, overwrite=True)

    answer = site.ask(kind, CANCEL, {"request_id": f"c-{enrolment}"})

    assert answer == {
        "success": True,
        "message": said(site, "Enrolamiento cancelado.", "Enrolment cancelled."),
        "data": {"user_id": "700", "finger_index": 6, "device_id": kind},
        "status": 200,
        "code": "cancelled",
        "request_id": f"c-{enrolment}",
    }
    assert answer_to(site, kind, enrolment) == refusal(site, CANCELLED, request_id=enrolment)
    assert terminal.templates() == before
    assert not terminal.machine.terminal.enrolling
    assert site.ask(kind, CANCEL, {"request_id": f"c-{enrolment}"}) == {**answer, "replayed": True}


def test_a_cancel_without_an_enrolment_is_answered_404(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    expected = {
        "success": False,
        "error": said(
            site,
            f"No hay ningún enrolamiento que cancelar en '{kind}'.",
            f"There is no enrolment to cancel on '{kind}'.",
        ),
        "status": 404,
        "code": "enroll_not_found",
    }
    assert site.ask(kind, CANCEL) == expected

    terminal.switches.enrolment = "wait"
    enrolment = begin(site, kind)
    assert site.ask(kind, CANCEL, {"user_id": "701"}) == expected
    assert site.ask(kind, CANCEL, {"user_id": "700", "finger_index": 5}) == expected
    assert site.ask(kind, CANCEL, {"user_id": "700", "finger_index": 6})["success"]
    assert answer_to(site, kind, enrolment)["code"] == "enroll_cancelled"


@only_spanish
def test_an_enrolment_that_waits_its_turn_is_cancelled_without_ever_beginning(
    site: Site, terminal: SimulatedTerminal, kind: str
) -> None:
    terminal.switches.enrolment = "wait"
    first = begin(site, kind)
    begun = terminal.counts[Command.STARTENROLL]
    for index in (1, 2):
        body = {"user_id": "700", "finger_index": index, "request_id": f"{first}-{index}"}
        site.caller.publish(f"zk/{kind}/{ENROL}", body)

    second = site.ask(kind, CANCEL, {"finger_index": 2})
    assert second["data"]["finger_index"] == 2
    assert answer_to(site, kind, f"{first}-2")["code"] == "enroll_cancelled"
    # The one under way comes first, then the one that waits.
    assert [site.ask(kind, CANCEL)["data"]["finger_index"] for _ in range(2)] == [6, 1]
    assert answer_to(site, kind, first)["code"] == "enroll_cancelled"
    assert answer_to(site, kind, f"{first}-1")["code"] == "enroll_cancelled"
    assert terminal.counts[Command.STARTENROLL] <= begun + 1


@only_spanish
def test_a_late_cancel_is_answered_404_and_the_finger_counts(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    """The third sample and the cancel may cross: what the terminal has stored is stored."""
    terminal.switches.enrolment = "wait"
    enrolment = begin(site, kind)
    terminal.faults.add("CANCELCAPTURE", "before", lambda device: device.add_template("700", 6))

    late = site.ask(kind, CANCEL)

    assert (late["status"], late["code"]) == (404, "enroll_not_found")
    assert answer_to(site, kind, enrolment) == success(site, kind, request_id=enrolment)


@only_spanish
def test_what_is_asked_meanwhile_waits_here_and_not_elsewhere(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    terminal.switches.enrolment = "wait"
    elsewhere = next(name for name in site.terminals if name != kind)
    enrolment = begin(site, kind)
    site.caller.publish(f"zk/{kind}/ping", {"request_id": f"p-{enrolment}"})

    assert site.ask(elsewhere, "ping")["success"]
    assert not [m for m in site.caller.messages if m.topic == f"zk/{kind}/ping/reply" and of(f"p-{enrolment}")(m)]
    terminal.enrol("good")
    assert answer_to(site, kind, enrolment)["success"]
    assert answer_to(site, kind, f"p-{enrolment}", "ping")["success"]


@only_spanish
def test_what_was_asked_before_does_not_wait_for_the_person(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    terminal.switches.enrolment = "wait"
    terminal.switches.latency = 0.2  # so that all three wait together
    for command in ("info", "ping"):
        site.caller.publish(f"zk/{kind}/{command}", {"request_id": f"before-{kind}"})
    enrolment = begin(site, kind)
    terminal.switches.latency = 0

    for command in ("info", "ping"):
        assert answer_to(site, kind, f"before-{kind}", command)["success"]
    assert site.ask(kind, CANCEL)["success"]
    answer_to(site, kind, enrolment)


@only_spanish
def test_a_finger_enrolled_at_the_keypad_in_the_meantime_is_there_already(
    terminal: SimulatedTerminal, enrol: Callable[..., Any]
) -> None:
    terminal.faults.add("STARTENROLL", "before", lambda device: device.add_template("700", 6))

    assert enrol()["code"] == "finger_exists"


@only_spanish
def test_a_terminal_that_will_not_begin_keeps_the_old_finger(
    terminal: SimulatedTerminal, enrol: Callable[..., Any]
) -> None:
    terminal.add_template("700", 6, OLD)
    before = terminal.templates()
    # In whichever of the forms that the bridge tries.
    terminal.faults.add("STARTENROLL", "before", "refuse", count=9)

    answer = enrol(overwrite=True)
    terminal.faults.clear()

    assert (answer["status"], answer["code"]) == (500, "device_rejected")
    assert "STARTENROLL" in answer["error"]
    assert terminal.templates() == before


def test_an_old_finger_that_cannot_be_written_back_is_reported_as_lost(
    site: Site, terminal: SimulatedTerminal, enrol: Callable[..., Any]
) -> None:
    terminal.add_template("700", 6, OLD)
    for command in ("TMP_WRITE", "SAVE_USERTEMPS"):
        terminal.faults.add(command, "before", "refuse")
    terminal.enrol("bad")

    answer = enrol(overwrite=True)

    lost = said(site, " La huella anterior se perdió.", " The earlier fingerprint is lost.")
    status, code, *sentences = FAILED
    assert answer == refusal(site, (status, code, *(sentence + lost for sentence in sentences)), old_finger_lost=True)


@only_spanish
@pytest.mark.parametrize("way", ["TMP_WRITE", "SAVE_USERTEMPS"])
def test_an_old_finger_is_put_back_by_either_way(
    terminal: SimulatedTerminal, enrol: Callable[..., Any], way: str
) -> None:
    terminal.add_template("700", 6, OLD)
    before = terminal.templates()
    record = terminal.users()
    terminal.faults.add(way, "before", "refuse")
    terminal.enrol("bad")

    assert enrol(overwrite=True)["code"] == "enroll_failed"
    terminal.faults.clear()
    assert terminal.templates() == before
    assert terminal.users() == record


@only_spanish
def test_no_message_has_a_template(site: Site, terminal: SimulatedTerminal, enrol: Callable[..., Any]) -> None:
    terminal.add_template("700", 6, OLD)
    enrol(overwrite=True)
    templates = [OLD, *(template.data for template in terminal.templates().values())]

    heard = b"".join(message.payload for message in site.caller.messages)
    written = b"".join(path.read_bytes() for path in site.daemon.folder.rglob("*") if path.is_file())
    for template in templates:
        for shown in (template[:12], template[:12].hex().encode(), json.dumps(list(template[:12])).encode()):
            assert shown not in heard
            assert shown not in written


@only_spanish
def test_capture_mode_is_ended_by_the_order_of_the_documents(
    terminal: SimulatedTerminal, enrol: Callable[..., Any]
) -> None:
    mark = len(terminal.log)
    enrol()
    wait_for_session_end(terminal)
    names = asked(terminal, since=mark)
    inside = [name for name in names[names.index("CANCELCAPTURE") : names.index("EXIT")] if name != "OK"]

    assert inside[:4] == ["CANCELCAPTURE", "REG_EVENT", "STARTENROLL", "STARTVERIFY"]
    assert inside[4:7] == ["CANCELCAPTURE", "REG_EVENT", "STARTVERIFY"]
