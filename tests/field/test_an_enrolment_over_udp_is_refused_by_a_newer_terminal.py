"""The transport chooses the form of an enrolment: a 72-byte terminal over UDP gets the form of the old ones.

Source: attack on 7bb949d, 2026-11 (pyzk 0.9 chooses so, and fananimi/pyzk#30, #44 are enrolments that never begin)
"""

from collections.abc import Iterator

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.odd_terminals import Site, odd, running
from zkbridge.simulator import SimulatedTerminal

KINDS = {
    "newer-udp": odd({"profile": "tft", "enrol_form": "text"}, transport="udp"),
    "newer-tcp": odd({"profile": "tft", "enrol_form": "text"}),
    "older-tcp": odd({"profile": "bw", "transport": "both", "enrol_form": "number"}),
    "other-udp": odd({"profile": "tft", "enrol_form": "number"}, transport="udp"),
    "other-tcp": odd({"profile": "bw", "transport": "both", "enrol_form": "text"}),
    "oldest-udp": odd({"profile": "bw", "enrol_form": "uid"}, transport="udp"),
}
#: How many forms are sent where it is not one.
FORMS = {"other-udp": 2, "other-tcp": 3, "oldest-udp": 2}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    def prepare(terminal: SimulatedTerminal) -> None:
        terminal.add_user("7", "Ana")

    with running(tmp_path_factory.mktemp("forms"), shared_broker, KINDS, prepare=prepare) as site:
        yield site


@pytest.mark.parametrize("device", KINDS)
def test_the_finger_is_enrolled(site: Site, device: str) -> None:
    before = site.terminals[device].counts[61]

    reply = site.ask(device, "users/enroll-finger", user_id="7", finger_index=6)

    assert reply["code"] == "enrolled"
    assert list(site.terminals[device].templates()) == [(1, 6)]
    assert site.terminals[device].counts[61] - before == FORMS.get(device, 1)


def test_a_finger_that_both_forms_cannot_begin_is_refused(site: Site) -> None:
    site.terminals["newer-tcp"].faults.add("STARTENROLL", "before", "refuse", count=2)

    reply = site.ask("newer-tcp", "users/enroll-finger", user_id="7", finger_index=1)

    assert (reply["code"], reply["success"]) == ("device_rejected", False)
    assert not site.terminals["newer-tcp"].machine.terminal.enrolling
