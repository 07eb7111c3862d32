"""Live events and enrolment, as a client sees them."""

from collections.abc import Callable

# ruff: noqa: DTZ001  a terminal knows no time zone
from datetime import datetime

import pytest

from tests.simulator.raw import Packet, RawClient
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal

TRANSPORTS = pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
WHEN = datetime(2018, 6, 25, 17, 41, 5)
SIX = "120619112905"
PIN = b"999111333".hex() + "00" * 15
QUIET_S = 0.15


def register(client: RawClient, mask: int) -> None:
    assert client.ask(500, mask.to_bytes(4, "little")).code == 2000


@TRANSPORTS
def test_a_punch_is_sent_as_captured_from_an_f19(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    terminal.add_user("999111333", uid=13)
    client = raw(terminal, udp=udp)
    register(client, 1)

    terminal.punch("999111333", verify=1, state=0, when=WHEN)

    assert client.read_packet().hex() == "f401ac1201000000" + PIN + "0100" + SIX


@pytest.mark.parametrize(
    ("size", "data"),
    [
        ("10", "0d00 01 02" + SIX),
        ("12", "a53a8d3b 01 02" + SIX),
        ("14", "0d00 01 02" + SIX + "00000000"),
        ("32", PIN + "0102" + SIX),
        ("36", PIN + "0102" + SIX + "00" * 4),
        ("37", PIN + "0102" + SIX + "00" * 5),
        ("52", PIN + "0102" + SIX + "00" * 20),
    ],
)
def test_a_punch_has_the_length_of_its_firmware(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], size: str, data: str
) -> None:
    terminal.add_user("999111333", uid=13)
    terminal.switches.event = size
    client = raw(terminal)
    register(client, 1)

    terminal.punch("999111333", state=2, when=WHEN)

    event = client.read()
    assert event.data == bytes.fromhex(data)
    assert (event.code, event.session, event.reply_id) == (500, 1, 0)


def test_events_go_to_every_client_that_registered_and_to_no_other(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    terminal.add_user("1")
    first, second, deaf = raw(terminal), raw(terminal), raw(terminal)
    register(first, 1)
    register(second, 0xFFFF)
    register(deaf, 0xFFFF)
    register(deaf, 0)

    terminal.punch("1")

    assert first.read().session == 1
    assert [second.read().session for _ in range(3)] == [2, 128, 1]
    assert deaf.silent(QUIET_S)


@pytest.mark.parametrize(
    ("user_id", "verify", "told"),
    [
        # realtime.md: "On Finger" in normal operation too, "On Verify" ffffffff for a user who cannot be identified.
        ("1", 1, ["2 ", "128 0500000001", "1 31"]),
        ("1", 2, ["128 0500000001", "1 31"]),
        ("404", 1, ["2 ", "128 ffffffff01"]),
        ("404", 2, ["128 ffffffff01"]),
    ],
)
def test_the_steps_of_a_person_are_sent_as_events(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], user_id: str, verify: int, told: list[str]
) -> None:
    terminal.add_user("1", uid=5)
    client = raw(terminal)
    register(client, 0xFFFF)

    terminal.punch(user_id, verify=verify)

    seen = [client.read() for _ in told]
    assert [f"{event.session} {event.data.rstrip(bytes(1)).hex()[:10]}".rstrip() for event in seen[:-1]] == [
        step.rstrip() for step in told[:-1]
    ]
    assert f"{seen[-1].session} {seen[-1].data.hex()}".startswith(told[-1])
    assert client.silent(0.1)


def test_events_do_not_wait_for_acknowledgements(terminal: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    terminal.add_user("1")
    client = raw(terminal)
    register(client, 1)

    for _ in range(50):
        terminal.punch("1")

    assert [client.read().session for _ in range(50)] == [1] * 50
    assert client.ask(50).code == 2000


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("tamper", "37000000"),
        ("exit_button", "35000000"),
        ("misoperation", "3a000000"),
        ("door_closing", "5400000000000000"),
        # realtime.md: ffffffff, type, the user's serial number, the way to match.
        ("duress", "ffffffff2000070001000000"),
        ("passback", "ffffffff2200070001000000"),
    ],
)
def test_an_alarm_is_sent_to_clients_that_registered_for_alarms(
    terminal: SimulatedTerminal, raw: Callable[..., RawClient], kind: str, data: str
) -> None:
    terminal.add_user("1001", uid=7)
    client = raw(terminal)
    register(client, 512)

    terminal.alarm(kind, "1001")

    event = client.read()
    assert (event.session, event.data.hex()) == (512, data)


def test_an_unknown_alarm_is_an_error_of_the_caller(terminal: SimulatedTerminal) -> None:
    with pytest.raises(ValueError, match="tamper"):
        terminal.alarm("fire")
    with pytest.raises(KeyError):
        terminal.alarm("duress", "404")


def test_a_punch_is_recorded_with_time_verify_and_state(terminal: SimulatedTerminal) -> None:
    terminal.add_user("7")

    assert terminal.punch("7", verify=2, state=1, when=WHEN)

    (punch,) = terminal.attendance()
    assert (punch.uid, punch.user_id, punch.verify, punch.state, punch.time) == (1, "7", 2, 1, 0x2368B131)


def test_an_unknown_person_is_refused_and_sees_that(terminal: SimulatedTerminal) -> None:
    assert not terminal.punch("404")
    assert terminal.display == "Invalid ID"
    assert terminal.attendance() == []


def test_no_punch_is_taken_without_power(terminal: SimulatedTerminal) -> None:
    terminal.add_user("7")
    terminal.power_off()

    assert not terminal.punch("7")
    assert terminal.attendance() == []


def begin(client: RawClient, user_id: str = "1001", finger: int = 3) -> Packet:
    if client.udp:
        return client.ask(61, int(user_id).to_bytes(4, "little") + bytes((finger,)))
    return client.ask(61, user_id.encode().ljust(24, b"\0") + bytes((finger, 1)))


def events(client: RawClient, count: int) -> list[tuple[int, bytes]]:
    """Read events and acknowledge each, as pyzk does."""
    seen = []
    for _ in range(count):
        event = client.read()
        assert (event.code, event.reply_id) == (500, 0)
        seen.append((event.session, event.data))
        client.tell(2000)
    return seen


@pytest.fixture
def enrolling(terminal: SimulatedTerminal) -> SimulatedTerminal:
    terminal.add_user("1001")
    terminal.switches.template_size = 1200
    return terminal


SAMPLE = [(2, b""), (256, b"\x64")]
MISSED = [(2, b""), (256, b"\0")]


@TRANSPORTS
def test_a_good_finger_is_enrolled_step_by_step(
    enrolling: SimulatedTerminal, raw: Callable[..., RawClient], udp: bool
) -> None:
    client = raw(enrolling, udp=udp)

    assert begin(client).code == 2000
    told = events(client, 7)

    assert told[:6] == SAMPLE * 3
    assert told[6] == (8, b"\0\0" + (1200).to_bytes(2, "little") + b"1001\0\0\0\0\0" + b"\3")
    assert len(enrolling.templates()[1, 3].data) == 1200


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("bad", [*MISSED, (8, b"\4\0")]),
        ("duplicate", [*SAMPLE * 3, (8, b"\5\0")]),
        ([100, 0, 100, 100], None),
    ],
)
def test_a_finger_may_be_bad_or_known_or_need_another_try(
    enrolling: SimulatedTerminal,
    raw: Callable[..., RawClient],
    script: list[int] | str,
    told: list[tuple[int, bytes]] | None,
) -> None:
    client = raw(enrolling)
    enrolling.enrol(script)
    begin(client)

    if told is None:
        assert events(client, 9)[:8] == SAMPLE + MISSED + SAMPLE * 2
        assert (1, 3) in enrolling.templates()
    else:
        assert events(client, len(told)) == told
        assert enrolling.templates() == {}


def test_without_a_finger_an_enrolment_times_out(enrolling: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    enrolling.switches.enrolment_timeout = 0.1
    enrolling.enrol("timeout")
    client = raw(enrolling)
    begin(client)

    assert events(client, 1) == [(8, b"\6\0")]


def test_a_person_may_put_the_finger_later(enrolling: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    enrolling.switches.enrolment = "wait"
    client = raw(enrolling)
    begin(client)
    assert client.silent(QUIET_S)
    assert client.ask(64).session == 1

    enrolling.enrol("good")

    assert events(client, 7)[-1][0] == 8


def test_cancel_ends_an_enrolment_and_another_may_begin(
    enrolling: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    enrolling.switches.enrolment = "wait"
    client = raw(enrolling)
    begin(client)
    assert begin(client).code == 2001

    assert client.ask(62).code == 2000
    enrolling.enrol("good")
    assert client.silent(QUIET_S)
    assert begin(client).code == 2000
    assert len(events(client, 7)) == 7


def test_a_disabled_terminal_may_read_no_finger_until_it_is_enabled(
    enrolling: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    client = raw(enrolling)
    enrolling.switches.enrol_while_disabled = False
    client.ask(1003)
    begin(client)
    assert client.silent(QUIET_S)

    assert client.ask(1002).code == 2000

    assert len(events(client, 7)) == 7


def test_a_disabled_terminal_enrols(enrolling: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    # pyzk#117, a UA860: disabled, then three good samples.
    client = raw(enrolling)
    client.ask(1003)
    begin(client)

    assert len(events(client, 7)) == 7
    assert enrolling.disabled


def test_an_unknown_user_or_finger_is_refused(enrolling: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    client = raw(enrolling)

    assert begin(client, "404").code == 2001
    assert begin(client, finger=10).code == 2001


def test_an_enrolment_ends_with_the_power(enrolling: SimulatedTerminal, raw: Callable[..., RawClient]) -> None:
    enrolling.switches.enrolment = "wait"
    begin(raw(enrolling))

    enrolling.restart()
    enrolling.enrol("good")
    client = raw(enrolling)

    assert client.ask(64).session == 0
    assert enrolling.templates() == {}


def test_a_client_that_acknowledges_nothing_still_gets_the_result(
    enrolling: SimulatedTerminal, raw: Callable[..., RawClient]
) -> None:
    enrolling.switches.ack_wait = 0.01
    client = raw(enrolling)
    begin(client)

    assert [client.read().session for _ in range(7)] == [2, 256, 2, 256, 2, 256, 8]
    wait_until(lambda: not enrolling.machine.terminal.enrolling)
