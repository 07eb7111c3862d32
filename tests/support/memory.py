"""The memory of another process, as Linux counts it."""

from pathlib import Path

MB = 1024 * 1024


def resident(pid: int) -> int:
    """Bytes that are in memory now."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    """The most bytes that were in memory since `reset_peak`."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Count the most from now on. Source: proc(5), clear_refs."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
