"""One holder per terminal, whoever else wants it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.support.waiting import wait_until
from tests.terminal.files import open_files
from zkbridge.contract.errors import DeviceTimeout, DeviceUnreachable
from zkbridge.terminal.lock_files import LockUnusable, folder, open_lock
from zkbridge.terminal.locks import Held, hold
from zkbridge.terminal.protocol.deadline import Deadline

ADDRESS = "10.0.0.5:4370"
#: Takes the lock, says so, and keeps it until its input ends.
HOLDER = """
import sys
from pathlib import Path
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.locks import hold
with hold(sys.argv[1], lock_dir=Path(sys.argv[2]), deadline=Deadline.after(20)):
    print("held", flush=True)
    sys.stdin.read()
"""


def held(locks: Path, address: str = ADDRESS, *, seconds: float = 0.0) -> AbstractContextManager[Held]:
    return hold(address, lock_dir=locks, deadline=Deadline.after(seconds))


@pytest.fixture
def other_process(locks: Path) -> Iterator[Callable[..., Any]]:
    """Start processes that hold the lock, as another user if told so; killed at the end."""
    with ExitStack() as stack:

        def start(*, where: Path = locks, user: int | None = None) -> Popen[str]:
            # The project is imported first: another user may not be allowed to read it.
            become = "" if user is None else f"import os, zkbridge.terminal.locks; os.setuid({user})"
            process = subprocess.Popen(
                [sys.executable, "-c", f"{become}\n{HOLDER}", ADDRESS, str(where)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
            return process

        yield start


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_second_thread_waits_its_turn(locks: Path) -> None:
    order = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with held(locks, seconds=10):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with held(locks):
        inside.set()
        time.sleep(0.05)  # time enough to push in, for a lock that does not hold
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_a_thread_gives_up_at_its_deadline(locks: Path) -> None:
    with held(locks):
        began = time.monotonic()
        with pytest.raises(DeviceTimeout) as caught, held(locks, seconds=0.2):
            pytest.fail("two hold the lock")
        assert 0.2 <= time.monotonic() - began < 2

    assert caught.value.sentence("en") == "Connection timeout to device 10.0.0.5:4370"


def test_a_second_process_is_kept_out_until_the_first_lets_go(locks: Path, other_process: Callable[..., Any]) -> None:
    first = other_process()
    assert first.stdout.readline() == "held\n"

    with pytest.raises(DeviceTimeout), held(locks, seconds=0.1):
        pytest.fail("two hold the lock")
    first.communicate("")

    with held(locks):
        pass


def test_a_killed_process_holds_nothing(locks: Path, other_process: Callable[..., Any]) -> None:
    first = other_process()
    assert first.stdout.readline() == "held\n"

    first.send_signal(signal.SIGKILL)

    with held(locks, seconds=10):
        pass


def test_two_threads_never_hold_it_at_once_beside_another_process(
    locks: Path, other_process: Callable[..., Any]
) -> None:
    inside = []
    most = []

    def work() -> None:
        for _ in range(20):
            with held(locks, seconds=60):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    process = other_process()
    assert process.stdout.readline() == "held\n"
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    process.communicate("")
    for thread in threads:
        thread.join()

    assert len(most) == 80
    assert max(most) == 1


def test_terminals_do_not_wait_for_each_other(locks: Path) -> None:
    with held(locks), held(locks, "10.0.0.6:4370"), held(locks, "10.0.0.5:4371"):
        assert sorted(path.name for path in locks.iterdir()) == [
            "10.0.0.5:4370.lock",
            "10.0.0.5:4371.lock",
            "10.0.0.6:4370.lock",
        ]


def test_a_host_name_s_case_makes_no_other_lock(locks: Path) -> None:
    with held(locks, "Door.example:4370"), pytest.raises(DeviceTimeout), held(locks, "door.example:4370"):
        pytest.fail("two hold the lock")


@pytest.mark.parametrize("host", ["fe80::1%eth0", "x" * 250, "ñ" * 90])
def test_any_host_has_a_lock_file_in_the_folder(locks: Path, host: str) -> None:
    with held(locks, f"{host}:4370"):
        (path,) = locks.iterdir()
    assert path.parent == locks


def test_any_user_may_lock_and_none_may_remove(locks: Path) -> None:
    before = os.umask(0o077)
    try:
        with held(locks):
            pass
    finally:
        os.umask(before)

    assert stat.S_IMODE(locks.stat().st_mode) == 0o1777
    assert [stat.S_IMODE(path.stat().st_mode) for path in locks.iterdir()] == [0o666]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as somebody else")
def test_another_user_s_process_shares_the_lock(other_process: Callable[..., Any]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        open_to_all = Path(name)
        open_to_all.chmod(0o755)
        locks = open_to_all / "locks"
        with held(locks):
            pass
        stranger = other_process(where=locks, user=65534)
        assert stranger.stdout.readline() == "held\n"

        with pytest.raises(DeviceTimeout), held(locks, seconds=0.1):
            pytest.fail("two hold the lock")
        stranger.communicate("")
        with held(locks):
            pass


def test_a_link_in_the_place_of_the_lock_file_is_not_followed(locks: Path, tmp_path: Path) -> None:
    locks.mkdir()
    target = tmp_path / "precious"
    target.write_text("kept")
    (locks / f"{ADDRESS}.lock").symlink_to(target)

    with pytest.raises(DeviceUnreachable) as caught, held(locks):
        pytest.fail("the link was followed")
    assert "lock file" in caught.value.sentence("en")


def _a_fifo(path: Path) -> None:
    os.mkfifo(path, 0o666)


def _a_folder(path: Path) -> None:
    path.mkdir()


def _a_socket(path: Path) -> None:
    folder = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/{path.name}")  # a socket's path may have 108 bytes only
    os.close(folder)


@pytest.mark.parametrize("put", [_a_fifo, _a_folder, _a_socket])
@pytest.mark.parametrize("kind", ["lock", "wanted"])
def test_what_is_no_regular_file_is_refused_at_once_and_named(locks: Path, put: Callable[..., Any], kind: str) -> None:
    locks.mkdir()
    path = locks / f"{ADDRESS}.{kind}"
    put(path)

    with pytest.raises(LockUnusable, match=str(path)):
        open_lock(ADDRESS, locks, kind)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as somebody else")
def test_an_unreadable_file_or_folder_of_another_user_is_named_with_its_owner() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        locks = Path(name) / "locks"
        locks.mkdir(mode=0o1777)
        locks.chmod(0o1777)
        (locks / f"{ADDRESS}.lock").touch(mode=0o600)
        closed = Path(name) / "closed"
        closed.mkdir(mode=0o700)

        said = as_another_user(lambda: _refusal(locks), lambda: _refusal(closed))

    assert said == [
        f"{locks / ADDRESS}.lock cannot be opened: Permission denied (it belongs to user root)",
        f"{closed / ADDRESS}.lock cannot be opened: Permission denied (closed belongs to user root)",
    ]


def as_another_user(*calls: Any) -> list[Any]:
    """What each returns where the effective user is not root; the user of the file system is a thread's own."""
    os.seteuid(65534)
    try:
        return [call() for call in calls]
    finally:
        os.seteuid(0)


def _refusal(locks: Path) -> str:
    with pytest.raises(LockUnusable) as caught:
        open_lock(ADDRESS, locks, "lock")
    return str(caught.value)


def test_a_folder_in_which_any_user_may_remove_files_of_others_is_refused(locks: Path) -> None:
    locks.mkdir()
    locks.chmod(0o777)

    with pytest.raises(DeviceUnreachable) as caught, held(locks):
        pytest.fail("no lock in such a folder keeps anybody out")
    assert f"{locks} lets every user remove" in caught.value.sentence("en")


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DeviceUnreachable), held(tmp_path / "locks"):
        pytest.fail("the link was followed")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_and_leaves_no_lock_held(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for _ in range(2):
        with pytest.raises(DeviceUnreachable) as caught, held(tmp_path / "file" / "locks"):
            pytest.fail("there is no such folder")
        assert "Not a directory" in caught.value.sentence("en")


def test_without_a_folder_in_the_configuration_all_processes_find_the_same() -> None:
    assert folder(None) == folder(None)
    assert folder(None).name in ("zkbridge", "zkbridge-lock")


def test_no_file_stays_open(locks: Path) -> None:
    before = open_files()

    with held(locks):
        pass
    with held(locks), pytest.raises(DeviceTimeout), held(locks):
        pytest.fail("two hold the lock")

    wait_until(lambda: open_files() == before, what="the files of before")


class Enough(Exception):
    """Whoever waits has something better to do."""


def give_up() -> None:
    raise Enough


def test_who_waits_for_another_process_may_give_up(locks: Path, other_process: Callable[..., Any]) -> None:
    holder = other_process()
    assert holder.stdout.readline() == "held\n"

    with pytest.raises(Enough), hold(ADDRESS, lock_dir=locks, deadline=Deadline.after(60), waiting=give_up):
        pass


def test_who_waits_for_another_thread_may_give_up_and_leaves_the_lock_to_others(locks: Path) -> None:
    gone = []

    def wait() -> None:
        with pytest.raises(Enough), hold(ADDRESS, lock_dir=locks, deadline=Deadline.after(60), waiting=give_up):
            pass
        gone.append(True)

    with held(locks):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(30)
        assert gone
    with held(locks):
        pass
