"""pyzk 0.9, unmodified: its whole public surface against every profile, TCP and UDP."""

# ruff: noqa: DTZ001  a terminal knows no time zone
import re
import struct
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from zk import ZK
from zk.exception import ZKErrorResponse, ZKNetworkError
from zk.finger import Finger
from zk.user import User

from tests.simulator.pyzk_client import pyzk
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.device import profile

KEY = 1234
ADMIN = 14
WAYS = {
    "tft": (False, True),
    "f19": (False, True),
    "bw": (False, True),
    "ma300": (True,),
    "face": (False,),
}
CASES = [
    pytest.param((name, udp), id=f"{name}-{'udp' if udp else 'tcp'}") for name, ways in WAYS.items() for udp in ways
]


@pytest.fixture(params=CASES)
def way(request: pytest.FixtureRequest) -> tuple[str, bool]:
    """A profile, and whether by UDP."""
    return request.param


@pytest.fixture
def met(start: Callable[..., SimulatedTerminal], way: tuple[str, bool]) -> Iterator[tuple[SimulatedTerminal, Any]]:
    """A terminal of a profile, and pyzk connected to it with the key."""
    name, udp = way
    terminal = start(profile=name, comm_key=KEY, transport="both" if len(WAYS[name]) == 2 else "udp" if udp else "tcp")
    with pyzk(terminal, udp=udp, password=KEY) as client:
        yield terminal, client


def test_there_is_a_way_for_every_profile() -> None:
    assert {*WAYS, "push"} == set(profile.available())


def test_a_push_only_terminal_is_not_connected(start: Callable[..., SimulatedTerminal]) -> None:
    with (
        pyzk(start(profile="push"), connect=False) as client,
        pytest.raises(ZKErrorResponse, match="Can't connect"),
    ):
        client.connect()


def test_it_reads_what_the_terminal_is(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met

    assert client.get_serialnumber() == terminal.option("~SerialNumber")
    assert client.get_platform() == terminal.option("~Platform")
    assert client.get_mac() == terminal.option("MAC")
    assert client.get_device_name() == terminal.option("~DeviceName")
    assert client.get_fp_version() == int(terminal.option("~ZKFPVersion"))
    assert client.get_firmware_version() == terminal.machine.terminal.profile.firmware
    assert client.get_pin_width() == terminal.switches.user_id_width
    assert client.get_network_params() == {"ip": "192.168.1.201", "mask": "255.255.255.0", "gateway": "192.168.1.1"}


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("get_face_version", "ZKFaceVersion"),
        ("get_extend_fmt", "~ExtendFmt"),
        ("get_user_extend_fmt", "~UserExtFmt"),
        ("get_face_fun_on", "FaceFunOn"),
        ("get_compat_old_firmware", "CompatOldFirmware"),
    ],
)
def test_an_option_has_its_value_or_is_missing_and_the_next_call_is_right(
    met: tuple[SimulatedTerminal, Any], method: str, option: str
) -> None:
    terminal, client = met
    value = terminal.option(option)

    assert getattr(client, method)() == (None if value is None else int(value))
    assert client.get_platform() == terminal.option("~Platform")


def test_it_reads_the_sizes(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.add_user("11", privilege=ADMIN)
    terminal.add_template("11", 0)
    terminal.punch("11")

    assert client.read_sizes()

    assert (client.users, client.fingers, client.records, client.cards) == (1, 1, 1, 1)
    assert client.users_cap == terminal.switches.user_capacity
    assert client.users_av == client.users_cap - 1
    assert "users[" in str(client)


def test_it_lets_people_in_and_keeps_them_off(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.add_user("11", group=1)

    assert client.disable_device()
    assert not terminal.punch("11")
    assert client.enable_device()
    assert terminal.punch("11")


def test_it_sets_and_reads_the_clock(met: tuple[SimulatedTerminal, Any]) -> None:
    _terminal, client = met

    assert client.set_time(datetime(2024, 2, 29, 12, 0, 0))

    assert client.get_time().date().isoformat() == "2024-02-29"


@pytest.mark.parametrize("count", [0, 1, 3, 400])
def test_it_reads_users_inline_and_in_pieces(met: tuple[SimulatedTerminal, Any], count: int) -> None:
    terminal, client = met
    terminal.fill_users(count)

    users = client.get_users()

    assert [(user.uid, user.user_id, user.name) for user in users] == [
        (user.uid, user.user_id, user.name) for user in terminal.users()
    ]
    assert client.next_uid == count + 1


def test_it_writes_changes_and_deletes_a_user(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.add_user("11", "Ana")
    client.get_users()

    client.set_user(name="Bob", privilege=ADMIN, password="1234", user_id="12", card=4294967295)
    client.set_user(uid=1, name="Eva", user_id="11")
    client.refresh_data()

    ana, bob = terminal.users()
    assert (ana.name, ana.uid, bob.uid, bob.user_id, bob.name) == ("Eva", 1, 2, "12", "Bob")
    assert (bob.password, bob.privilege, bob.card) == ("1234", ADMIN, 4294967295)
    client.delete_user(uid=1)
    client.delete_user(user_id="12")
    assert terminal.users() == []
    with pytest.raises(ZKErrorResponse, match="delete"):
        client.delete_user(uid=1)
    assert client.delete_user(user_id="12") is False


def test_it_reads_writes_and_deletes_fingers(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.add_user("11")
    template = bytes(range(1, 201)) * 9
    user = client.get_users()[0]

    client.save_user_template(user, [Finger(user.uid, 2, 1, template), Finger(user.uid, 7, 1, b"x" * 50)])

    assert {key: stored.data for key, stored in terminal.templates().items()} == {(1, 2): template, (1, 7): b"x" * 50}
    assert client.get_user_template(1, 2).template == template
    assert client.get_user_template(1, 3) is None
    assert [(finger.fid, finger.template) for finger in client.get_templates()] == [(2, template), (7, b"x" * 50)]
    assert client.delete_user_template(uid=1, temp_id=2)
    assert not client.delete_user_template(uid=1, temp_id=2)
    assert sorted(terminal.templates()) == [(1, 7)]


def test_it_saves_a_finger_for_a_user_given_by_number_or_record(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.add_user("11", "Ana", card=77)

    client.save_user_template(1, Finger(1, 0, 1, b"a" * 1100))
    client.save_user_template(User(2, "Bob", 0, user_id="12"), [])

    assert [(user.user_id, user.name) for user in terminal.users()] == [("11", "Ana"), ("12", "Bob")]
    assert (1, 0) in terminal.templates()


def test_it_reads_the_log_with_the_dates_that_the_layout_allows(
    met: tuple[SimulatedTerminal, Any], way: tuple[str, bool]
) -> None:
    terminal, client = met
    terminal.add_user("11")
    when = datetime(2026, 5, 10, 8, 30, 15)
    for minute in range(3):
        terminal.punch("11", verify=1, state=1, when=when.replace(minute=minute))

    if way[0] == "ma300":
        assert [line.timestamp for line in client.get_attendance()] != [when.replace(minute=0)] * 3
        return
    log = client.get_attendance()

    expected = 3 if way[0] != "face" else 3 * 49 // 40
    assert len(log) == expected
    assert (log[0].user_id, log[0].timestamp, log[0].status, log[0].punch) == ("11", when.replace(minute=0), 1, 1)


def test_it_clears_the_log_and_cannot_clear_the_rest(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.add_user("11")
    terminal.punch("11")

    assert client.clear_attendance()
    with pytest.raises(TypeError):
        client.clear_data()

    assert terminal.attendance() == []
    assert len(terminal.users()) == 1


def test_it_enrols_a_finger(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.add_user("11")

    assert client.enroll_user(uid=1, temp_id=4)
    assert client.get_user_template(1, 4).template == terminal.templates()[1, 4].data

    for script in ("duplicate", "bad"):
        terminal.enrol(script)
        assert client.enroll_user(user_id="11", temp_id=5) is False
    terminal.switches.enrolment_timeout = 0.05
    terminal.enrol("timeout")
    assert client.enroll_user(user_id="11", temp_id=5) is False
    with pytest.raises(ZKErrorResponse, match="Enroll"):
        client.enroll_user(user_id="12", temp_id=4)


LENGTHS = {"tft": "32", "f19": "52", "bw": "12", "ma300": "12", "face": "36"}


def test_it_sees_punches_live(met: tuple[SimulatedTerminal, Any], way: tuple[str, bool]) -> None:
    terminal, client = met
    terminal.add_user("11", uid=9)
    # The lengths that 0.9 understands; it ignores 10 and crashes on 14 and 37.
    terminal.switches.event = LENGTHS[way[0]]
    live = client.live_capture(new_timeout=5)

    def punch_once_registered() -> None:
        wait_until(lambda: terminal.counts[500] and terminal.log[-1].direction == "out")
        terminal.punch("11", verify=2, state=1)

    person = Thread(target=punch_once_registered)
    person.start()
    seen = next(live)
    client.end_live_capture = True
    person.join()

    assert list(live) == []
    assert (seen.user_id, seen.uid, seen.status, seen.punch) == ("11", 9, 2, 1)


def test_it_does_the_small_things(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met

    assert client.set_sdk_build_1()
    assert terminal.option("SDKBuild") == "1"
    assert client.test_voice(0)
    assert client.test_voice(17) is False
    assert client.unlock(1)
    assert terminal.door_open
    assert client.free_data()
    assert client.cancel_capture()
    assert client.verify_user()
    client.reg_event(0xFFFF)
    data, size = client.read_with_buffer(34)
    assert size == len(data) >= 4


def connects(client: Any) -> bool:
    """Whether the terminal takes a connection now; while it restarts it takes none."""
    try:
        client.connect()
    except ZKNetworkError:
        client._ZK__sock.close()
        return False
    return True


def test_it_restarts_the_terminal_and_turns_it_off(met: tuple[SimulatedTerminal, Any]) -> None:
    terminal, client = met
    terminal.switches.restart_seconds = 0.01
    changes: list[str] = []
    terminal.listen(changes.append)

    if terminal.switches.restart_ack:
        assert client.restart()
    else:  # an F19, by its document: pyzk takes the missing answer for a network error
        with pytest.raises(ZKNetworkError):
            client.restart()
        client.is_connect = False
    client._ZK__sock.close()
    # A client that is quick meets the terminal before it restarts, and what it switches off then comes back.
    wait_until(lambda: "power on" in changes, what="the restart")
    wait_until(lambda: connects(client), what="the terminal to be back")
    assert client.poweroff()
    wait_until(lambda: not terminal.powered)


def test_a_wrong_key_is_refused_and_no_session_stays_authorised(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start(comm_key=KEY)

    with pytest.raises(ZKErrorResponse, match="Unauthenticated"), pyzk(terminal, password=KEY + 1):
        pass
    wait_until(lambda: terminal.sessions_open == 0)


def test_disconnect_leaves_no_session(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start()
    with pyzk(terminal) as client:
        assert terminal.sessions_open == 1
        assert client.disconnect()

    assert terminal.sessions_open == 0


def test_the_probe_of_connect_is_seen(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start()
    with pyzk(terminal):
        assert terminal.connections_accepted == 2


def test_delivery_in_all_ways_that_it_can_read(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start()
    terminal.fill_users(1500)
    for delivery in ("js", "separate", "coalesced", "split-128"):
        terminal.switches.update({"delivery": delivery, "split_delay": 0.0})
        with pyzk(terminal) as client:
            assert len(client.get_users()) == 1500, delivery


def test_with_segments_of_sixteen_bytes_it_reads_no_user(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start(delivery="split-16", split_delay=0.02)
    terminal.fill_users(3)
    with pyzk(terminal) as client:
        assert client.get_users() == []


def test_an_event_in_place_of_an_answer_is_taken_for_it(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start()
    terminal.add_user("1")
    with pyzk(terminal) as client:
        terminal.faults.add("OPTIONS_RRQ", "after", "event")
        with pytest.raises(ZKErrorResponse):
            client.get_platform()


def test_a_lost_datagram_loses_users_without_an_error(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start()
    terminal.fill_users(100)
    terminal.switches.udp_packet = 1024
    terminal.faults.add(1504, "after", "lose", frame=3)
    with pyzk(terminal, udp=True) as client:
        users = client.get_users()

    assert len(users) == 85
    assert sum(user.user_id == str(user.uid) for user in users) == 28


def test_its_template_deletion_by_user_id_is_broken_on_tcp(start: Callable[..., SimulatedTerminal]) -> None:
    terminal = start()
    terminal.add_user("11")
    terminal.add_template("11", 0)
    with pyzk(terminal) as client, pytest.raises(struct.error):
        client.delete_user_template(user_id="11", temp_id=0)
    with pyzk(terminal, udp=True) as client:
        assert client.delete_user_template(user_id="11", temp_id=0)


def test_every_public_method_is_called_here() -> None:
    public = {name for name, value in vars(ZK).items() if callable(value) and not name.startswith("_")}
    called = set(re.findall(r"""client\.(\w+)\(|"(get_\w+)\"""", Path(__file__).read_text("utf-8")))

    assert public - {name for pair in called for name in pair} == set()
