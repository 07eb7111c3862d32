"""Rows of a table from what was measured: each with its goal, and what limits it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.alone import Alone
from benchmarks.burst import Burst
from benchmarks.fleet import Fleet, Spread, Stream
from benchmarks.growth import OURS, slope
from benchmarks.one import Pairs
from benchmarks.people import People
from benchmarks.picture import Chart

MEGA = 1_000_000
#: A line that ends no steeper than this is called linear: single runs scatter.
LINEAR = 1.1


@dataclass(frozen=True)
class Row:
    """One line: what was measured under which condition. `goal` is empty where there is none; `reached` None then."""

    what: str
    measured: str
    goal: str = ""
    reached: bool | None = None
    limit: str = ""


def rows(
    pairs: Iterable[Pairs], bursts: Iterable[Burst], fleets: Iterable[Fleet], alone: Alone, brought: Iterable[People]
) -> list[Row]:
    """Every row, in the order of the measurements."""
    return [*_ones(pairs), *_bursts(bursts), *_people(brought), *_fleets(fleets), *_alone(alone)]


def slopes(charts: Iterable[Chart]) -> Iterator[Row]:
    """How each of our lines in the picture ends."""
    for chart in charts:
        for line in chart.lines:
            steep = slope(line) if line.name.startswith(OURS) else None
            if steep is not None:
                name = f"{chart.title}{line.name.removeprefix(OURS)}: {chart.y} over {chart.x}"
                yield Row(
                    what=f"growth of {name[0].lower()}{name[1:]}",
                    measured=f"to the power of {steep:.2f}",
                    goal="linear or less",
                    reached=steep <= LINEAR,
                )


def page(measured: Mapping[str, Any]) -> str:
    """What stands between the marks of the page: the machine, the table, and what was not reached."""
    machine, lines = measured["machine"], [Row(**row) for row in measured["rows"]]
    missed = [f"- {row.what}: {row.measured}; goal: {row.goal}." for row in lines if row.reached is False]
    load = f", with a load of {machine['load_before']} before it began" if "load_before" in machine else ""
    where = f"on {machine['cores']} cores ({machine['kind']}) by Python {machine['python']}{load}"
    return "\n".join(
        [
            f"Measured in {measured['seconds']} s {where}, for bridge, simulator, broker and caller together.",
            "",
            markdown(lines),
            "",
            *(["Not reached in this run:", "", *missed] if missed else ["Every goal was reached in this run."]),
        ]
    )


def markdown(lines: Iterable[Row]) -> str:
    """The table for a page."""
    head = ["| what | measured | what limits it now |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {row.what} | {row.measured}{_goal(row)} | {row.limit} |" for row in lines)])


def _goal(row: Row) -> str:
    return "" if row.reached is None else f"<br>goal: {row.goal}; reached: {_mark(row)}"


def plain(lines: Iterable[Row]) -> str:
    """The table for a screen."""
    return "\n".join(f"{row.what:<58} {row.measured:<64} {row.goal:<28} {_mark(row)}".rstrip() for row in lines)


def _mark(row: Row) -> str:
    return "" if row.reached is None else "yes" if row.reached else "**no**"


def _ones(pairs: Iterable[Pairs]) -> Iterator[Row]:
    goals: dict[tuple[int, float], float] = {(10_000, 0): 0.6, (10_000, 20): 0.9, (500, 2): 1.1}
    for pair in pairs:
        goal = goals.get((pair.users, pair.latency_ms))
        trips = f"round trips {pair.bridge_round_trips}, bare {pair.bare_round_trips}, least {pair.least_round_trips}"
        yield Row(
            what=f"one create, {pair.users} users, {pair.latency_ms:g} ms",
            measured=f"{pair.ratio:.2f} of bare ({_ms(pair.bridge_s)} to {_ms(pair.bare_s)}); {trips}",
            goal="" if goal is None else f"at most {goal} of bare",
            reached=None if goal is None else pair.ratio <= goal,
            limit=_limit_of_one(pair),
        )


def _limit_of_one(pair: Pairs) -> str:
    if pair.latency_ms >= 20:
        return "the terminal's answers"
    if pair.users >= 5_000:
        return "the terminal preparing its table"
    return "three fsyncs, two MQTT hops and a connection: the fixed cost"


def _bursts(bursts: Iterable[Burst]) -> Iterator[Row]:
    for burst in bursts:
        what = f"{burst.requests} creates at once, {burst.users} users, {burst.latency_ms:g} ms"
        many = burst.requests == 200
        fast = many and burst.latency_ms == 0 and burst.users == 10_000
        yield Row(
            what=what,
            measured=f"{burst.faster:.0f} times bare ({burst.seconds:.2f} s; one bare create {_ms(burst.bare_s)})",
            goal="at least 60 times bare" if fast else "",
            reached=burst.faster >= 60 if fast else None,
            limit="the terminal's answers: one a user" if burst.latency_ms else "CPU of both sides",
        )
        lean = many and burst.latency_ms == 20
        yield Row(
            what=f"{what}: round trips",
            measured=f"{burst.round_trips_per_user:.2f} a user, {burst.connections} connections",
            goal="at most 1.2 a user" if lean else "",
            reached=burst.round_trips_per_user <= 1.2 if lean else None,
            limit="ten for each session of 2 s, beside one a user" if burst.connections > 1 else "",
        )
        # The session's 2 s, and one command: the answers to refresh, count and enable.
        most = 2 + 4 * max(burst.latency_ms / 1000, 0.025)
        yield Row(
            what=f"{what}: longest time disabled",
            measured=f"{burst.longest_disabled_s:.2f} s",
            goal="2 s and one command",
            reached=burst.longest_disabled_s <= most,
        )


def _people(brought: Iterable[People]) -> Iterator[Row]:
    for each in brought:
        how = "by create-many to a group" if each.how == "create-many" else "with a finger each, copied from one more"
        yield Row(
            what=f"{each.people} people to {each.terminals} terminals, {how}",
            measured=(
                f"{each.faster:.1f} times bare ({each.seconds:.1f} s to {each.bare_s:.1f} s); round trips "
                f"{each.round_trips_per_user:.2f} a user and terminal, bare {each.bare_round_trips_per_user:.2f}"
            ),
            limit="CPU of the bridge, and of the simulator beside it",
        )


def _fleets(fleets: Iterable[Fleet]) -> Iterator[Row]:
    for fleet in fleets:
        large = fleet.terminals == 1000
        at_once = fleet.at_once
        yield Row(
            what=f"{fleet.terminals} terminals, 20 ms, a create each at once",
            measured=(
                f"{at_once.per_second:.0f}/s, p50 {at_once.p50_s:.2f} s, p99 {at_once.p99_s:.2f} s; "
                f"the bridge's CPU {_ms(fleet.cpu_s)} a create"
            ),
            limit="one interpreter: CPU of the bridge, and of the simulator beside it" if large else "",
        )
        yield Row(
            what=f"{fleet.terminals} busy terminals: memory at most",
            measured=f"{fleet.peak_bytes / MEGA:.0f} MB",
            goal="at most 90 MB" if large else "",
            reached=fleet.peak_bytes <= 90 * MEGA if large else None,
            limit="a thread and a conversation for each",
        )
        for stream in fleet.streams:
            yield from _streams(fleet.terminals, stream)


def _streams(terminals: int, stream: Stream) -> Iterator[Row]:
    what = f"{terminals} terminals, 20 ms, {stream.rate:g} creates a second"
    yield Row(
        what=what,
        measured=_spread(stream.steady),
        limit="nine answers of 20 ms before the reply",
    )
    yield Row(
        what=f"{what}: the bridge's CPU",
        measured=f"{_ms(stream.cpu_s)} a create: {stream.cpu_s * stream.rate:.0%} of a core",
        limit="paho, SQLite, JSON, the conversation",
    )
    ratio = stream.with_dead.p99_s / stream.steady.p99_s
    yield Row(
        what=f"{what}, with {stream.dead} that take connections and never answer",
        measured=f"{_spread(stream.with_dead)}: {ratio:.2f} times for the living",
        goal="p99 at most 1.1 times",
        reached=ratio <= 1.1,
        limit=_while_dead(stream.while_answered, stream.otherwise),
    )


def _while_dead(answered: Spread | None, otherwise: Spread | None) -> str:
    """Whether the living wait for the dead, or only while those are given up and answered, many at once."""
    parts = []
    if answered is not None:
        parts.append(f"p99 {_ms(answered.p99_s)} in seconds in which the dead are given up, all together")
    if otherwise is not None:
        parts.append(f"p99 {_ms(otherwise.p99_s)} in all others")
    return ", ".join(parts) or "they share nothing but the CPU"


def _alone(alone: Alone) -> Iterator[Row]:
    measures: list[tuple[str, str, str, bool | None, str]] = [
        (
            "start to online",
            f"{alone.start_cpu_s:.2f} s of CPU",
            "at most 0.5 s",
            alone.start_cpu_s <= 0.5,
            f"imports: those of its packages alone take {alone.packages_cpu_s:.2f} s here",
        ),
        (
            "memory at rest, 10 terminals",
            f"{alone.idle_bytes / MEGA:.0f} MB, {alone.idle_threads} threads",
            "at most 45 MB",
            alone.idle_bytes <= 45 * MEGA,
            "imports",
        ),
        ("CPU at rest", f"{alone.idle_cpu * 100:.3f} %", "below 0.2 %", alone.idle_cpu < 0.002, ""),
        ("wake-ups at rest", f"{alone.wakeups_per_s:.2f} a second", "", None, "a pulse each 30 s, paho's keepalive"),
        (
            "disk, requests far apart",
            f"{alone.bytes_apart / 1000:.0f} kB{_fsyncs(alone.fsyncs_apart)} a request",
            "",
            None,
            "kept, noted, finished; then the log is emptied of what was asked",
        ),
        (
            "disk, 200 requests at once",
            f"{alone.bytes_at_once / 1000:.1f} kB{_fsyncs(alone.fsyncs_at_once)} a request",
            "",
            None,
            "shared commits",
        ),
    ]
    for what, measured, goal, reached, limit in measures:
        yield Row(what, measured, goal, reached, limit)


def _fsyncs(count: float | None) -> str:
    return "" if count is None else f", {count:.2f} fsyncs"


def _spread(taken: Spread) -> str:
    return f"{taken.per_second:.0f}/s, p50 {_ms(taken.p50_s)}, p99 {_ms(taken.p99_s)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"
