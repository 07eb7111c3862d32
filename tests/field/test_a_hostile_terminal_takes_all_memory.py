"""A terminal that sends more than it can hold fills the memory of the bridge, which serves every other terminal.

Source: attack on 7bb949d, 2026-11
"""

import itertools
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.hostile_terminal import (
    CONNECT,
    DATA,
    LOG,
    OK,
    PREPARE,
    PREPARE_BUFFER,
    READ_BUFFER,
    SIZES,
    UNLOCK,
    USER_WRQ,
    USERS,
    HostileTerminal,
    event,
    reply,
    table,
)
from tests.support.memory import MB, peak, reset_peak, resident
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator.wire.frames import Frame, with_top

BASE = "hostile-memory"
#: What one terminal may cost above the baseline, and what the C library may keep of it for later.
LIMIT, KEPT = 32 * MB, 16 * MB

USER = struct.Struct("<HB8s24sIB8s24s")
PUNCH = struct.pack("<H24sBIB8x", 1, b"1001", 1, 838_000_000, 0)
#: Words of the sizes.
USERS_COUNTED, PUNCHES_COUNTED = 4, 8


def users(count: int) -> bytes:
    return b"".join(USER.pack(n, 0, b"", b"Name %d" % n, 0, 1, b"", b"%d" % n) for n in range(1, count + 1))


def sends(command: int, *answer: Any, ever: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Answers requests of this command by bytes and frames, each made of the request; `ever` is sent without an end."""

    def answer_to(request: Frame) -> Iterable[bytes] | None:
        if request.command != command:
            return None
        return itertools.chain((make(request) for make in answer), itertools.repeat(ever(request)) if ever else ())

    return answer_to


def announces(size: int) -> Callable[..., Any]:
    return sends(PREPARE_BUFFER, lambda request: reply(request, OK, struct.pack("<BI", 0, size)))


def streams_a_piece(announced: int) -> Callable[..., Any]:
    """A table of one piece, which is announced with this size and never ends."""

    def answer_to(request: Frame) -> Iterable[bytes] | None:
        return announces(60_000)(request) or sends(
            READ_BUFFER,
            lambda request: reply(request, PREPARE, struct.pack("<I", announced)),
            ever=lambda request: reply(request, DATA, bytes(60_000)),
        )(request)

    return answer_to


SMALL_EVENTS = with_top(event(b"1001".ljust(52, b"\0")).packet()) * 1000
HOSTILE = {
    "events-of-15-mb": sends(SIZES, ever=lambda _: event(bytes(15 * MB))),
    "events-of-60-kb": sends(SIZES, ever=lambda _: event(bytes(60_000))),
    "events-without-end": sends(SIZES, ever=lambda _: SMALL_EVENTS),
    "answer-of-15-mb": sends(SIZES, lambda request: reply(request, OK, bytes(15 * MB))),
    "greeting-of-15-mb": sends(CONNECT, lambda request: reply(request, OK, bytes(15 * MB))),
    "table-of-4-gb": announces(0xFFFFFFFF),
    "table-of-15-mb-at-once": sends(PREPARE_BUFFER, lambda request: reply(request, DATA, bytes(15 * MB))),
    "piece-of-4-gb": streams_a_piece(0xFFFFFFFF),
    "piece-without-end": streams_a_piece(60_000),
}
SHORT_USER = struct.Struct("<HB5s8sIxBHI")
#: More users than there are uids, in fewer bytes than 65,535 users of 72 bytes have.
TOO_MANY = b"".join(SHORT_USER.pack(n % 65535 + 1, 0, b"", b"A", 0, 1, 0, n + 1) for n in range(100_000))
IMPOSSIBLE = {
    "log-of-64-mb": ("attendance/list", {LOG: table(PUNCH * 1_600_000)}, {PUNCHES_COUNTED: 1_600_000}),
    "a-million-users": ("users/list", {USERS: table(bytes(72_000_000))}, {USERS_COUNTED: 1_000_000}),
    "100000-users": ("users/list", {USERS: table(TOO_MANY)}, {USERS_COUNTED: 100_000}),
}
FULL = {
    "300000-punches": ("attendance/list", {LOG: table(PUNCH * 300_000)}, {PUNCHES_COUNTED: 300_000}, 300_000),
    "65535-users": ("users/list", {USERS: table(users(65_535))}, {USERS_COUNTED: 65_535}, 65_535),
}


#: What a terminal does, the request, and what is said of its effect.
CHANGES = {
    "user-written": (sends(USER_WRQ, lambda request: reply(request, OK, bytes(15 * MB))), "users/create"),
    "door-opened": (sends(UNLOCK, lambda request: reply(request, OK, bytes(15 * MB))), "door/unlock"),
}


@dataclass(frozen=True)
class Site:
    daemon: Daemon
    caller: Caller

    def ask(self, device: str, command: str, body: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
        """The reply; by how much the memory had grown at most, and by how much it has grown at last (bytes)."""
        pid = self.daemon.pid
        before = resident(pid)
        reset_peak(pid)
        self.caller.publish(f"{BASE}/{device}/{command}", json.dumps(body).encode())
        answer = self.caller.wait_for(f"{BASE}/{device}/{command}/reply", timeout=60).json
        return answer, peak(pid) - before, resident(pid) - before


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[Site]:
    with ExitStack() as stack:
        answers = HOSTILE | {name: answer for name, (answer, _) in CHANGES.items()}
        terminals = {name: stack.enter_context(HostileTerminal(answer)) for name, answer in answers.items()}
        for name, (_, tables, sizes, *_rest) in (IMPOSSIBLE | FULL).items():
            terminals[name] = stack.enter_context(HostileTerminal(tables=tables, sizes=sizes))
        daemon = Daemon(
            tmp_path_factory.mktemp("memory") / "d",
            shared_broker.port,
            {
                name: {
                    "host": each.host,
                    "port": each.port,
                    "timeout": 5,
                    "door": {"enabled": True, "trust_clock": True},
                }
                for name, each in terminals.items()
            },
            mqtt={"base_topic": BASE},
            language="en",
            covered=False,
        )
        stack.enter_context(daemon)
        caller = stack.enter_context(Caller(shared_broker.port))
        caller.subscribe(f"{BASE}/#", no_local=True)
        site = Site(daemon, caller)
        for command in ("users/list", "attendance/list"):  # what is loaded at the first request is loaded now
            site.ask("table-of-4-gb", command, {})
        yield site


@pytest.mark.parametrize("command", ["users/list", "users/create"])
@pytest.mark.parametrize("device", HOSTILE)
def test_whatever_a_terminal_sends_it_costs_at_most_32_mb_and_is_rejected(
    site: Site, device: str, command: str
) -> None:
    answer, most, left = site.ask(device, command, {"user_id": "1001", "name": "Ana"} if "create" in command else {})

    assert answer["code"] == "device_rejected"
    assert "effect" not in answer, "nothing was written"
    assert most < LIMIT
    assert left < KEPT


@pytest.mark.parametrize("device", IMPOSSIBLE)
def test_what_no_terminal_can_hold_is_rejected_with_the_numbers(site: Site, device: str) -> None:
    command, _, _ = IMPOSSIBLE[device]

    answer, most, left = site.ask(device, command, {})

    assert answer["code"] == "device_rejected"
    assert ("a terminal holds at most" in answer["error"]) or ("the bridge reads at most" in answer["error"])
    assert most < LIMIT
    assert left < KEPT


@pytest.mark.parametrize("device", FULL)
def test_a_full_terminal_is_read_in_32_mb(site: Site, device: str) -> None:
    command, _, _, count = FULL[device]

    answer, most, left = site.ask(device, command, {"limit": 1})

    assert answer["total"] == count
    assert most < LIMIT
    assert left < KEPT


@pytest.mark.parametrize(
    ("device", "body", "code"),
    [
        ("user-written", {"user_id": "1001", "name": "Ana"}, "device_rejected"),
        ("door-opened", {}, "outcome_unknown"),
    ],
)
def test_a_change_whose_answer_is_too_long_is_not_reported_as_refused(
    site: Site, device: str, body: dict[str, Any], code: str
) -> None:
    answer, most, _ = site.ask(device, CHANGES[device][1], body)

    assert answer["code"] == code
    assert most < LIMIT
