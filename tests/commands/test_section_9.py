"""Section 9 of the contract in one table: each command, each answer it names, in the words of both languages.

The files beside this one look at what each command does to the terminal; here is what its caller is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.commands.conftest import Site, said
from tests.support.frames import wait_for_session_end
from zkbridge.commands import commands
from zkbridge.simulator import SimulatedTerminal

PASSWORD = "73915"
FINGER = {"user_id": "700", "finger_index": 6}
NOT_FOUND = ("Usuario '404' no encontrado.", "User '404' not found.")
USER_ID = ("user_id es requerido.", "user_id is required.")


def _nothing(_terminal: SimulatedTerminal) -> None:
    """The terminal as it is: user 700, no finger, and whoever is asked for one gives a good one."""


def _nobody_comes(terminal: SimulatedTerminal) -> None:
    terminal.switches.enrolment = "wait"


def _bad_samples(terminal: SimulatedTerminal) -> None:
    terminal.enrol("bad")


def _known_finger(terminal: SimulatedTerminal) -> None:
    terminal.enrol("duplicate")


def _has_the_finger(terminal: SimulatedTerminal) -> None:
    terminal.add_template("700", 6)


@dataclass(frozen=True)
class Row:
    """One request and its answer; `to` is another device than that of the kind, `{kind}` in a sentence its id."""

    command: str
    body: Mapping[str, Any] | bytes
    status: int
    code: str
    sentences: tuple[str, str] | None = None
    holds: tuple[str, ...] = ()
    given: Callable[[SimulatedTerminal], None] = field(default=_nothing)
    to: str | None = None


ROWS = [
    Row("users/list", b"", 200, "ok", holds=("total", "data")),
    Row("users/list", {"offset": -1}, 400, "invalid_field"),
    Row(
        "users/update",
        {"user_id": "700", "card": 5},
        200,
        "updated",
        ("Usuario '700' actualizado.", "User '700' updated."),
    ),
    Row("users/update", {"user_id": "404", "card": 5}, 404, "user_not_found", NOT_FOUND),
    Row("users/update", {"card": 5}, 400, "missing_fields", USER_ID),
    Row("users/update", b"", 400, "body_required", ("Body JSON requerido.", "JSON body required.")),
    Row("users/fingers", {"user_id": "700"}, 200, "ok", holds=("total_fingers", "data")),
    Row("users/fingers", {"user_id": "404"}, 404, "user_not_found", NOT_FOUND),
    Row("users/enroll-finger", FINGER, 200, "enrolled", ("Huella registrada.", "Fingerprint enrolled.")),
    Row(
        "users/enroll-finger",
        {**FINGER, "finger_index": 10},
        400,
        "invalid_field",
        ("finger_index debe ser 0-9.", "finger_index must be 0-9."),
    ),
    Row("users/enroll-finger", {**FINGER, "user_id": "404"}, 404, "user_not_found", NOT_FOUND),
    Row(
        "users/enroll-finger",
        FINGER,
        409,
        "finger_exists",
        (
            "El usuario '700' ya tiene registrado el dedo 6; overwrite lo reemplaza.",
            "User '700' has finger 6 enrolled already; overwrite replaces it.",
        ),
        given=_has_the_finger,
    ),
    Row(
        "users/enroll-finger",
        {**FINGER, "overwrite": True},
        200,
        "enrolled",
        ("Huella registrada.", "Fingerprint enrolled."),
        given=_has_the_finger,
    ),
    Row(
        "users/enroll-finger",
        FINGER,
        409,
        "finger_duplicate",
        (
            "El dispositivo ya tiene esta huella, de otro dedo o de otro usuario.",
            "The device already has this fingerprint, as another finger or for another user.",
        ),
        given=_known_finger,
    ),
    Row(
        "users/enroll-finger",
        FINGER,
        422,
        "enroll_failed",
        (
            "El dispositivo no pudo registrar la huella con las muestras tomadas.",
            "The device could not enrol the fingerprint from the samples taken.",
        ),
        given=_bad_samples,
    ),
    Row(
        "users/enroll-finger",
        {**FINGER, "timeout": 1},
        408,
        "enroll_timeout",
        ("La huella no se registró a tiempo.", "The fingerprint was not enrolled in time."),
        given=_nobody_comes,
    ),
    Row(
        "users/enroll-finger/cancel",
        b"",
        404,
        "enroll_not_found",
        ("No hay ningún enrolamiento que cancelar en '{kind}'.", "There is no enrolment to cancel on '{kind}'."),
    ),
    Row("attendance/list", {"limit": 1}, 200, "ok", holds=("total", "data")),
    Row("attendance/list", {"since": "yesterday"}, 400, "invalid_field"),
    Row("info", b"", 200, "ok", holds=("data",)),
    Row(
        "ping",
        b"",
        200,
        "ok",
        ("Conexion exitosa con '{kind}'.", "Connection to '{kind}' successful."),
        holds=("data",),
    ),
    Row(
        "ping",
        b"",
        404,
        "device_not_found",
        ("Dispositivo 'nowhere' no encontrado.", "Device 'nowhere' not found."),
        to="nowhere",
    ),
    Row("time/get", b"", 200, "ok", holds=("data",)),
    Row(
        "time/sync",
        b"",
        200,
        "synchronized",
        ("[{kind}] Hora sincronizada.", "[{kind}] Time synchronized."),
        holds=("data",),
    ),
    Row("time/sync", {"time": "soon"}, 400, "invalid_field"),
    Row("door/unlock", {"seconds": 1}, 200, "unlocked", ("Puerta abierta.", "Door opened.")),
    Row("door/unlock", {"seconds": 61}, 400, "invalid_field"),
    Row("door/unlock", {"expires_at": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}, 408, "expired"),
    Row(
        "door/unlock",
        b"",
        403,
        "forbidden",
        (
            "Abrir la puerta de 'shut' no está permitido (door.enabled).",
            "Opening the door of 'shut' is not allowed (door.enabled).",
        ),
        to="shut",
    ),
    Row("users/delete", {"user_id": "404"}, 404, "user_not_found", NOT_FOUND),
    Row("users/delete", b"", 400, "body_required", ("Body JSON requerido.", "JSON body required.")),
    Row("users/delete", {"user_id": "700"}, 200, "deleted", ("Usuario '700' eliminado.", "User '700' deleted.")),
]


def test_every_row_is_of_a_command() -> None:
    assert {row.command for row in ROWS} <= set(commands())


def test_every_answer_is_the_one_of_the_table(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    wrong = []
    for number, row in enumerate(ROWS):
        terminal.delete_user("700")
        terminal.add_user("700", "Ana", password=PASSWORD, card=77, group=3)
        terminal.switches.enrolment = "good"
        row.given(terminal)
        answer = site.ask(
            row.to or kind, row.command, dict(row.body) if isinstance(row.body, Mapping) and row.body else b""
        )
        if (told := _as_told(answer, row)) != (expected := _expected(site, kind, row)):
            wrong.append((number, row.command, told, expected))
        assert PASSWORD not in str(answer), row

    assert wrong == []
    wait_for_session_end(terminal)


def _as_told(answer: Mapping[str, Any], row: Row) -> tuple[Any, ...]:
    sentence = answer.get("message") if answer["success"] else answer["error"]
    return (
        answer["success"],
        answer["status"],
        answer["code"],
        sentence if row.sentences or answer["success"] else None,
        tuple(key for key in row.holds if key in answer),
    )


def _expected(site: Site, kind: str, row: Row) -> tuple[Any, ...]:
    sentence = None
    if row.sentences is not None:
        sentence = row.sentences[site.language == "en"].format(kind=kind)
    return row.status == 200, row.status, row.code, sentence, row.holds


def test_a_cancelled_enrolment_and_its_cancel_are_answered(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    _nobody_comes(terminal)
    ids = f"s9-{kind}", f"s9c-{kind}"
    site.caller.publish(f"zk/{kind}/users/enroll-finger", {**FINGER, "request_id": ids[0]})
    ready = site.caller.wait_for(
        f"zk/{kind}/users/enroll-finger/progress", lambda m: m.json.get("request_id") == ids[0]
    )
    assert ready.json["step"] == "ready"

    cancel = site.ask(kind, "users/enroll-finger/cancel", {"request_id": ids[1]})

    ended = site.caller.wait_for(f"zk/{kind}/users/enroll-finger/reply", lambda m: m.json.get("request_id") == ids[0])
    assert (ended.json["status"], ended.json["code"], ended.json["error"]) == (
        410,
        "enroll_cancelled",
        said(site, "El enrolamiento se canceló.", "The enrolment was cancelled."),
    )
    assert (cancel["status"], cancel["code"]) == (200, "cancelled")
