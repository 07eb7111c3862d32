"""The few figures that a user looks for, out of all that were measured: the table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: What a terminal's answer takes in the rows that are shown, and the sizes of its table.
LATENCY_MS, TABLES = 20, (500, 10_000, 30_000)
AT_ONCE, AT_ONCE_USERS = 200, 10_000
MEGA = 1_000_000


def page(measured: Mapping[str, Any]) -> str:
    """What stands between the marks of the page; a size that was not measured is left out."""
    machine = f"{measured['machine']['cores']} cores ({measured['machine']['kind']})"
    return "\n".join(
        [
            f"Measured on {machine}, which bridge, broker, caller and simulated terminals shared.",
            "",
            "| what you do | the bridge | a plain pyzk script |",
            "|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in _against_pyzk(measured)),
            "",
            "| many terminals | what you get |",
            "|---|---|",
            *(f"| {' | '.join(row)} |" for row in _fleet(measured["fleet"])),
            "",
            "| the program | what it needs |",
            "|---|---|",
            *(f"| {' | '.join(row)} |" for row in _program(measured["alone"])),
        ]
    )


def _against_pyzk(measured: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for pair in measured["one"]:
        if pair["latency_ms"] == LATENCY_MS and pair["users"] in TABLES:
            what = f"create one user on a terminal with {pair['users']:,} users"
            yield what, _seconds(pair["bridge_s"]), _seconds(pair["bare_s"])
    for burst in measured["burst"]:
        if (burst["latency_ms"], burst["requests"], burst["users"]) == (LATENCY_MS, AT_ONCE, AT_ONCE_USERS):
            what = f"create {AT_ONCE} users at once on a terminal with {burst['users']:,} users"
            yield what, _seconds(burst["seconds"]), _seconds(burst["bare_s"] * AT_ONCE)


def _fleet(fleets: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for fleet in fleets:
        at_once, terminals = fleet["at_once"], f"{fleet['terminals']:,} terminals"
        yield (
            f"{terminals}, one user each at the same moment",
            f"all are created within {_seconds(at_once['longest_s'])}, {_megabytes(fleet['peak_bytes'])} of memory",
        )
        for stream in fleet["streams"]:
            steady = stream["steady"]
            yield (
                f"{terminals}, {stream['rate']:g} creates a second",
                f"half of the replies within {_seconds(steady['p50_s'])}, 99% within {_seconds(steady['p99_s'])}",
            )


def _program(alone: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "to start", f"{alone['start_cpu_s']:.1f} s of CPU"
    yield "at rest, with 10 terminals", f"{_megabytes(alone['idle_bytes'])} and {alone['idle_cpu']:.2%} of a core"
    yield "on the disk, for a request alone", f"{alone['bytes_apart'] / 1000:.0f} kB written"
    yield f"on the disk, for each of {AT_ONCE} at once", f"{alone['bytes_at_once'] / 1000:.0f} kB written"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _megabytes(count: float) -> str:
    return f"{count / MEGA:.0f} MB"
