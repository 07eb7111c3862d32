"""users/delete-finger: one finger goes, whatever the firmware makes of the request, and no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.conftest import Site, said
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.frames import wait_for_session_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

TOPIC = "zk/p/users/delete-finger"
BY_UID_ONLY = "DEL_USER_TEMP"


@pytest.fixture
def terminal(terminal: SimulatedTerminal) -> Iterator[SimulatedTerminal]:
    """The terminal of conftest.py, whose firmware is left as it was."""
    before = terminal.switches.as_dict()
    yield terminal
    terminal.switches.update(before)


def test_one_finger_goes_and_the_others_stay(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    terminal.add_template("700", 6)
    terminal.add_template("700", 0)

    answer = site.ask(kind, "users/delete-finger", {"user_id": "700", "finger_index": 6})

    assert answer == {
        "success": True,
        "message": said(site, "Huella eliminada.", "Fingerprint deleted."),
        "data": {
            "user_id": "700",
            "finger_index": 6,
            "finger_name": said(site, "Indice derecho", "Right index finger"),
            "device_id": kind,
        },
        "status": 200,
        "code": "finger_deleted",
    }
    (uid,) = [user.uid for user in terminal.users()]
    assert sorted(terminal.templates()) == [(uid, 0)]
    wait_for_session_end(terminal)


@pytest.mark.parametrize("user_id", ["700", "404"])
def test_an_absent_finger_or_user_is_answered_404(
    site: Site, kind: str, terminal: SimulatedTerminal, user_id: str
) -> None:
    terminal.add_template("700", 6)

    answer = site.ask(kind, "users/delete-finger", {"user_id": user_id, "finger_index": 5})

    expected = {
        "700": ("finger_not_found", "El usuario '700' no tiene registrado el dedo 5.", "User '700' has no finger 5."),
        "404": ("user_not_found", "Usuario '404' no encontrado.", "User '404' not found."),
    }[user_id]
    assert (answer["status"], answer["code"], answer["error"]) == (404, expected[0], said(site, *expected[1:]))
    assert len(terminal.templates()) == 1


@pytest.mark.parametrize("finger", [0, 6])
def test_firmware_that_deletes_by_uid_only_deletes_one_finger(
    site: Site, kind: str, terminal: SimulatedTerminal, finger: int
) -> None:
    terminal.switches.update({"lacks": BY_UID_ONLY, "delete_finger_zero": "all"})
    terminal.add_template("700", finger)

    answer = site.ask(kind, "users/delete-finger", {"user_id": "700", "finger_index": finger})

    assert answer["code"] == "finger_deleted"
    assert terminal.templates() == {}


def test_finger_zero_is_not_deleted_where_the_others_might_go_too(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    terminal.switches.update({"lacks": BY_UID_ONLY, "delete_finger_zero": "all"})
    terminal.add_template("700", 0)
    terminal.add_template("700", 9)

    answer = site.ask(kind, "users/delete-finger", {"user_id": "700", "finger_index": 0})

    address = f"{terminal.host}:{terminal.port}"
    assert (answer["status"], answer["code"], answer["error"]) == (
        500,
        "device_rejected",
        said(
            site,
            f"El dispositivo {address} podría borrar con el dedo 0 también los demás; no se borró ninguno.",
            f"Device {address} might delete the other fingers together with finger 0; none was deleted.",
        ),
    )
    assert len(terminal.templates()) == 2


def test_firmware_that_confirms_and_keeps_the_finger_is_reported(
    site: Site, kind: str, terminal: SimulatedTerminal
) -> None:
    terminal.switches.delete_template_without_effect = True
    terminal.add_template("700", 6)

    answer = site.ask(kind, "users/delete-finger", {"user_id": "700", "finger_index": 6})

    address = f"{terminal.host}:{terminal.port}"
    assert (answer["status"], answer["code"], answer["effect"], answer["error"]) == (
        500,
        "device_rejected",
        "unknown",
        said(
            site,
            f"El dispositivo {address} aceptó borrar la huella pero todavía la tiene.",
            f"Device {address} accepted to delete the fingerprint but still holds it.",
        ),
    )


def test_firmware_that_cannot_delete_a_finger_is_reported(site: Site, kind: str, terminal: SimulatedTerminal) -> None:
    terminal.switches.lacks = f"{BY_UID_ONLY},DELETE_USERTEMP"
    terminal.add_template("700", 6)

    answer = site.ask(kind, "users/delete-finger", {"user_id": "700", "finger_index": 6})

    assert (answer["code"], "65535" in answer["error"]) == ("device_rejected", True)
    assert "effect" not in answer
    assert len(terminal.templates()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("frame", ["CONNECT", "DEL_USER_TEMP", "REFRESHDATA", "EXIT"])
def test_a_kill_at_any_frame_leaves_one_answer_that_is_true(
    tmp_path: Path, broker: Mosquitto, frame: str, when: str
) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.add_user("7", "Ana")
        terminal.add_template("7", 3)
        terminal.add_template("7", 4)
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal, timeout=1)}, covered=False)
        with daemon, Caller(broker.port) as caller:
            caller.subscribe(f"{TOPIC}/reply")
            terminal.faults.add(on=frame, when=when, do=lambda _: daemon.pause())
            caller.publish(TOPIC, {"user_id": "7", "finger_index": 3, "request_id": "r"})
            wait_until(lambda: not terminal.faults.waiting(), what="the frame")
            daemon.kill()
            daemon.start()
            answer = caller.wait_for(f"{TOPIC}/reply", timeout=20).json

        assert answer["code"] == "finger_deleted"
        assert [finger for _uid, finger in terminal.templates()] == [4]
