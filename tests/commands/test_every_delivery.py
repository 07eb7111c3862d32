"""Every command over every delivery that is captured or that clients need, and real pyzk beside the bridge.

The combinations are pairwise: any two values meet in one of them. `make deliveries` runs all of them.
"""

# ruff: noqa: DTZ001  a terminal knows no time zone

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from zk.exception import ZKNetworkError

from tests.simulator.pyzk_client import pyzk
from tests.support.frames import wait_for_session_end
from tests.support.pairwise import pairwise
from zkbridge.asyncapi.examples import example_request
from zkbridge.commands import Change, Context, HandOver, commands
from zkbridge.commands.api.backups import Backups
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected, DeviceTimeout, InvalidField
from zkbridge.simulator import Punch, SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.simulator.wire.frames import encode_time
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Known, open_session

WHEN = datetime(2026, 5, 10, 8, 0, 15)
PUNCHES = 60
#: A table of 10,000 users in frames of 1008 bytes, with a gap after each, takes long on a machine that is busy.
PATIENCE_S = 90


class Variant(NamedTuple):
    """How a terminal delivers. `packet` is what a DATA frame holds on TCP, `closing` the session field of the ACK."""

    kind: tuple[str, str]
    delivery: str
    packet: int
    closing: str
    tail: str
    users: int

    def __str__(self) -> str:
        profile, transport = self.kind
        return f"{profile}-{transport}-{self.delivery}-{self.packet}-{self.closing}-{self.tail}-{self.users}"


#: Captured: frames of 1008, 65528 and 65536 bytes (pyzk test.py, C3), index and size in the closing ACK (pyzk test.py,
#: js_zklib#53), the byte 01 (pyzk test.py). For clients: 65472 bytes, the session in the closing ACK, zeros after a
#: template. 14, 28 and 42 users are where clients lose one over UDP when datagrams are not full (C1).
AXES: dict[str, list[Any]] = {
    "kind": [
        ("tft", "tcp"),
        ("tft", "udp"),
        ("f19", "tcp"),
        ("f19", "udp"),
        ("face", "tcp"),
        ("bw", "tcp"),
        ("bw", "udp"),
        ("ma300", "udp"),
    ],
    "delivery": ["js", "separate", "coalesced", "split-100", "split-1016"],
    "packet": [1008, 0xFFC0, 0xFFF8, 0x10000],
    "closing": ["index", "size", "session"],
    "tail": ["one", "zeros", "none"],
    "users": [14, 28, 42, 500, 10_000],
}
PAIRS = [Variant(**row) for row in pairwise(AXES)]
LARGEST = max(AXES["users"])
#: A table of 10,000 takes half a minute: here one by each transport, the others have 1,000; `make deliveries` has all.
WHOLE = [next(each for each in PAIRS if (each.users, each.kind[1]) == (LARGEST, way)) for way in ("tcp", "udp")]
FEW = [each if each.users < LARGEST or each in WHOLE else each._replace(users=1_000) for each in PAIRS]
#: Datagrams know neither `delivery` nor `packet`.
ALL = [
    variant
    for variant in (Variant(*values) for values in product(*AXES.values()))
    if variant.kind[1] == "tcp" or (variant.delivery, variant.packet) == (AXES["delivery"][0], AXES["packet"][0])
]

#: Command, fields, and what is looked at in the answer.
STEPS: list[tuple[str, dict[str, Any], Callable[[dict[str, Any]], Any]]] = [
    ("ping", {}, lambda body: body["data"]["device_id"]),
    ("info", {}, lambda body: [body["data"][name]["count"] for name in ("users", "fingers", "records")]),
    ("users/list", {"limit": 3}, lambda body: [body["total"], *(row["user_id"] for row in body["data"])]),
    ("users/list", {"user_id": "60000"}, lambda body: [row["name"] for row in body["data"]]),
    ("users/create", {"user_id": "60001", "name": "Eva"}, lambda body: body["data"]["user_id"]),
    ("users/update", {"user_id": "60001", "name": "Ewa"}, lambda body: body["data"]["user_id"]),
    ("users/block", {"user_id": "60000"}, lambda body: body["data"]["user_id"]),
    ("users/unblock", {"user_id": "60000"}, lambda body: body["data"]["user_id"]),
    ("users/fingers", {"user_id": "60000"}, lambda body: [row["finger_index"] for row in body["data"]]),
    ("users/enroll-finger", {"user_id": "60001", "finger_index": 6}, lambda body: body["data"]["finger_index"]),
    ("users/fingers", {"user_id": "60001"}, lambda body: [row["finger_index"] for row in body["data"]]),
    ("users/delete-finger", {"user_id": "60000", "finger_index": 3}, lambda body: body["data"]["finger_index"]),
    ("users/copy", {"user_id": "60000", "to": ["q"]}, lambda body: body["handed_over"]),
    ("attendance/list", {}, lambda body: [body["total"], body["data"][-1]["user_id"], body["data"][-1]["timestamp"]]),
    ("attendance/clear", {"total": PUNCHES}, lambda body: body["data"]["cleared"]),
    ("users/delete", {"user_id": "60001"}, lambda body: body["data"]["user_id"]),
    ("time/sync", {"time": "2031-05-06T07:08:09"}, lambda body: body["data"]["device_id"]),
    ("time/get", {}, lambda body: body["data"]["device_time"][:13]),
    ("door/unlock", {"seconds": 1}, lambda body: body["data"]["device_id"]),
    ("door/state", {}, lambda body: body["data"]["open"]),
]
#: Commands without a step of their own run their example, last.
OTHERS = [
    name
    for name, each in commands().items()
    if each.ends is None and each.each is None and name not in {"device/restart", *(name for name, _, _ in STEPS)}
]


def expected(variant: Variant) -> list[Any]:
    last = WHEN + timedelta(minutes=PUNCHES - 1)
    return [
        "p",
        [variant.users, 2, PUNCHES],
        [variant.users, "1", "2", "3"],
        ["Ana"],
        "60001",
        "60001",
        "60000",
        "60000",
        [0, 3],
        6,
        [6],
        3,
        ["60000"],
        [PUNCHES, "60000", last.isoformat()],
        PUNCHES,
        "60001",
        "p",
        "2031-05-06T07",
        "p",
        True,
    ]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def start(sim: Simulator, variant: Variant) -> SimulatedTerminal:
    """A terminal with so many users, two fingers and an hour of punches of the last one."""
    profile, _transport = variant.kind
    switches = {
        "transport": "both",
        "delivery": variant.delivery,
        "tcp_packet": variant.packet,
        "session_field_of_closing_ack": variant.closing,
        "template_tail": variant.tail,
        "user_capacity": 20_000,
        "group_zero_locks_out": False,
        "gap": 0.001,
        "split_delay": 0.0,
        "ack_wait": 0.5,
        "restart_seconds": 0.01,
    }
    terminal = sim.add(TerminalConfig(profile=profile, switches=switches))
    terminal.fill_users(variant.users - 1)
    terminal.add_user("60000", "Ana")
    for finger in (0, 3):
        terminal.add_template("60000", finger)
    for minute in range(PUNCHES):
        when = encode_time(WHEN + timedelta(minutes=minute))
        terminal.add_punch(Punch(variant.users, "60000", 2, minute % 2, when))
    return terminal


def asked(
    terminal: SimulatedTerminal, transport: str, locks: Path, name: str, fields: dict[str, Any], *, timeout: int = 30
) -> dict[str, Any]:
    """The body of the answer to one command, in a session of its own, as the bridge has it."""
    command = commands()[name]
    door = {"enabled": True, "trust_clock": True}
    device = Device.model_validate(
        {
            "id": "p",
            "host": terminal.host,
            "port": terminal.port,
            "timeout": timeout,
            "transport": transport,
            "door": door,
        }
    )
    with open_session(
        device,
        deadline=Deadline.after(PATIENCE_S),
        known=Known(),
        disable_for=PATIENCE_S if command.disables else None,
        lock_dir=locks,
    ) as session:
        context = Context(device, backups=Backups(locks.parent / f"backups-{terminal.port}"))
        answer = command.run(session, command.parse(fields, strict=True), context)
        if isinstance(answer, HandOver):
            return {"handed_over": [each.subject for each in answer.asked]}
        if isinstance(answer, Change):
            change, answer = answer, answer.apply()
            assert not command.disables or change.kept(session.users(again=True))
    return dict(answer)


def read_by_the_bridge(sim: Simulator, variant: Variant, locks: Path) -> None:
    terminal = start(sim, variant)
    found = []
    for name, fields, look in STEPS:
        found.append(look(asked(terminal, variant.kind[1], locks, name, fields)))
        wait_for_session_end(terminal)

    assert found == expected(variant)
    assert len(terminal.users()) == variant.users
    assert sorted(terminal.templates()) == [(variant.users, 0)]
    for name in OTHERS:
        with suppress(InvalidField, *commands()[name].errors):  # old records hold shorter names than the example's
            asked(terminal, variant.kind[1], locks, name, example_request(commands()[name]))
    if variant.kind == ("f19", "udp"):  # no answer, and datagrams have no connection that could end
        with pytest.raises(DeviceTimeout):
            asked(terminal, "udp", locks, "device/restart", {}, timeout=1)
    else:
        answer = asked(terminal, variant.kind[1], locks, "device/restart", {})
        assert answer["data"]["acknowledged"] is (variant.kind[0] != "f19")


def pyzk_reads(variant: Variant) -> bool:
    """Whether pyzk 0.9 reads tables and templates that are delivered so.

    Over TCP it takes a first segment that is short for a broken frame, and stalls where several DATA frames arrive at
    once: with a pause before each it reads them, which takes long for many.
    """
    if variant.kind[1] == "udp":
        return True
    return (variant.delivery == "separate" and variant.users < 100) or (
        variant.delivery == "js" and variant.packet >= 0xFFC0
    )


def read_by_pyzk(sim: Simulator, variant: Variant) -> None:
    """The same tables by pyzk 0.9 as it is published; it misreads the logs of 8b and 49 bytes (pyzk#56, #166)."""
    terminal = start(sim, variant)
    users, punches, fingers, one = all_that_pyzk_reads(terminal, variant)

    assert [(user.uid, user.user_id) for user in users] == [(user.uid, user.user_id) for user in terminal.users()]
    assert punches is None or [p.timestamp for p in punches] == [
        WHEN + timedelta(minutes=minute) for minute in range(PUNCHES)
    ]
    assert {(each.uid, each.fid): each.template for each in fingers} == {
        key: template.data for key, template in terminal.templates().items()
    }
    cut = {"one": 0, "zeros": 0, "none": 1}[variant.tail]
    stored = terminal.templates()[variant.users, 3].data
    assert one.template == stored[: len(stored) - cut]


def all_that_pyzk_reads(terminal: SimulatedTerminal, variant: Variant) -> tuple[Any, ...]:
    """Users, punches, templates, one template; with longer pauses where a slow machine let the frames run together."""
    for gap in (0.005, 0.05, 0.5):
        terminal.switches.gap = gap
        with suppress(OSError, ZKNetworkError), pyzk(terminal, udp=variant.kind[1] == "udp", timeout=5) as client:
            users = client.get_users()
            punches = client.get_attendance() if variant.kind[0] not in ("ma300", "face") else None
            return users, punches, client.get_templates(), client.get_user_template(variant.users, 3)
    raise AssertionError("pyzk reads it with no pause")


@pytest.mark.parametrize("variant", FEW, ids=str)
def test_every_command_reads_every_delivery(sim: Simulator, tmp_path: Path, variant: Variant) -> None:
    read_by_the_bridge(sim, variant, tmp_path)


@pytest.mark.parametrize("variant", [each for each in FEW if pyzk_reads(each)], ids=str)
def test_pyzk_reads_the_same(sim: Simulator, variant: Variant) -> None:
    read_by_pyzk(sim, variant)


@pytest.mark.parametrize(
    ("switches", "users"),
    [
        ({"record_tail": 48}, 3),  # 3 records of 120 bytes have the length of 5 of 72 (pyzk#240, NGTeco)
        ({"record_tail": 48}, 14),
        ({"record_tail": 48}, 500),
        ({"users_shown": 0}, 14),  # a terminal that was busy (php_zklib#14)
        ({"users_shown": 0}, 500),
    ],
    ids=str,
)
def test_a_table_of_unknown_records_or_one_that_reads_as_empty_is_refused(
    sim: Simulator, tmp_path: Path, switches: dict[str, int], users: int
) -> None:
    terminal = sim.add(TerminalConfig(switches=switches))
    terminal.fill_users(users)
    before = terminal.users()

    for transport in ("tcp", "udp"):
        for name, fields in (
            ("users/list", {}),
            ("users/create", {"user_id": "60001", "name": "Eva"}),
            ("users/update", {"user_id": "2", "name": "Eva"}),
            ("users/delete", {"user_id": "2"}),
        ):
            with pytest.raises(DeviceRejected):
                asked(terminal, transport, tmp_path, name, fields)

    assert terminal.users() == before
    assert terminal.counts[8] == terminal.counts[18] == 0


@pytest.mark.parametrize(("shown", "users"), [(13, 14), (499, 500)])
def test_a_short_table_is_reported_as_short_and_nothing_is_changed(
    sim: Simulator, tmp_path: Path, shown: int, users: int
) -> None:
    """A busy terminal (vodvud/php_zklib#14): the user_id that seems free, and the uid, may be the last user's."""
    terminal = sim.add(TerminalConfig(switches={"users_shown": shown}))
    terminal.fill_users(users)
    before, last = terminal.users(), str(users)

    for transport in ("tcp", "udp"):
        part = asked(terminal, transport, tmp_path, "users/list", {"limit": 1})
        assert (part["total"], part["counted"]) == (shown, users)
        assert asked(terminal, transport, tmp_path, "users/list", {"user_id": last})["counted"] == users
        assert asked(terminal, transport, tmp_path, "users/fingers", {"user_id": "1"})["total_fingers"] == 0
        for name, fields in (
            ("users/fingers", {"user_id": last}),
            ("users/create", {"user_id": last, "name": "Eva"}),
            ("users/create", {"user_id": "60001", "name": "Eva"}),
            ("users/update", {"user_id": last, "name": "Eva"}),
            ("users/block", {"user_id": "1"}),
            ("users/delete", {"user_id": last}),
            ("users/delete-finger", {"user_id": "1", "finger_index": 0}),
            ("users/enroll-finger", {"user_id": "1", "finger_index": 0}),
        ):
            with pytest.raises(DeviceRejected, match=f"it shows {shown} users, but counts {users}"):
                asked(terminal, transport, tmp_path, name, fields)
    assert terminal.users() == before
    assert terminal.counts[8] == terminal.counts[18] == terminal.counts[61] == 0

    terminal.switches.users_shown = -1
    assert "counted" not in asked(terminal, "tcp", tmp_path, "users/list", {})
    asked(terminal, "tcp", tmp_path, "users/update", {"user_id": last, "name": "Eva"})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", ALL, ids=str)
def test_every_command_reads_every_combination(sim: Simulator, tmp_path: Path, variant: Variant) -> None:
    read_by_the_bridge(sim, variant, tmp_path)
    if pyzk_reads(variant):
        read_by_pyzk(sim, variant)
