"""Whether a conversation has given back what it opened."""

from pathlib import Path

from tests.support.waiting import wait_until


def open_files() -> int:
    """How many files and sockets this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def assert_none_left(before: int) -> None:
    """Both ends of a connection are in this process: the terminal's end closes a moment later."""
    wait_until(lambda: open_files() <= before, what=f"at most {before} open files")
