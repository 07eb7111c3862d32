"""What a conversation received is given back when it ends, however it ends and whoever keeps its error."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.hostile_terminal import LOG, READ_BUFFER, USERS, HostileTerminal, reply, table
from tests.support.memory import MB
from zkbridge.config.models import Device
from zkbridge.contract.errors import TerminalError
from zkbridge.simulator.wire.frames import Frame
from zkbridge.terminal.known import Known
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.records.user_table import RecordTable
from zkbridge.terminal.session import Session, open_session

PUNCHES, USERS_COUNT = 100_000, 20_000
PUNCH = b"\x01\x001001".ljust(26, b"\0") + b"\x01" + (838_000_000).to_bytes(4, "little") + bytes(9)
USER = b"\x01\x00\x00".ljust(11, b"\0") + b"Ana".ljust(37, b"\0") + b"1001".ljust(24, b"\0")
LARGE_LOG, LARGE_TABLE = table(PUNCH * PUNCHES), table(USER * USERS_COUNT)


def refuses_the_end(request: Frame) -> list[Frame] | None:
    """All pieces but those behind the third megabyte."""
    is_late = request.command == READ_BUFFER and int.from_bytes(request.data[:4], "little") > 3 * MB
    return [reply(request, 2001)] if is_late else None


@pytest.fixture
def open_to(locks: Path) -> Callable[..., Any]:
    def open_to(terminal: HostileTerminal) -> Session:
        device = Device.model_validate({"id": "x", "host": terminal.host, "port": terminal.port, "timeout": 5})
        return open_session(device, deadline=Deadline.after(20), known=Known(), disable_for=None, lock_dir=locks)

    return open_to


@pytest.fixture
def held() -> Iterator[Callable[..., int]]:
    """The bytes that Python holds more than at first; cycles are not collected meanwhile."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    yield lambda: tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    gc.enable()


def test_an_error_that_is_kept_keeps_no_log(open_to: Callable[..., Any], held: Callable[..., int]) -> None:
    with HostileTerminal(
        refuses_the_end,
        tables={LOG: LARGE_LOG, USERS: LARGE_TABLE},
        sizes={4: USERS_COUNT, 8: PUNCHES},
    ) as terminal:
        kept = []
        try:
            with open_to(terminal) as session:
                session.users()
                session.attendance()
        except TerminalError as error:
            kept.append(error)

        assert kept[0].code == "device_rejected"
        assert held() < MB


def test_a_conversation_that_broke_keeps_no_log(open_to: Callable[..., Any], held: Callable[..., int]) -> None:
    with (
        HostileTerminal(
            lambda request: [b"HTTP/1.1 400"] if refuses_the_end(request) else None,
            tables={LOG: LARGE_LOG},
            sizes={8: PUNCHES},
        ) as terminal,
        open_to(terminal) as session,
    ):
        with suppress(TerminalError):
            session.attendance()

        assert held() < MB

        with pytest.raises(TerminalError):
            session.attendance()


def test_a_table_of_users_needs_no_collector(held: Callable[..., int]) -> None:
    table = RecordTable(USER * 60_000, record_size=72, encoding="utf-8")
    assert table.by_user_id("1001") is not None
    assert held() > 4 * MB

    del table

    assert held() < MB
