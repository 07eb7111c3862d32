"""`python -m benchmarks`: measure everything, print the table, and write it as two pages, as JSON and as a picture."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import alone, burst, fleet, growth, one, people, picture, report, results

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Users and (latency in ms, pairs); (users, latency, requests); fleets and their stream; people and the terminals that
    get them.
    """

    users: Sequence[int]
    latencies: Sequence[tuple[float, int]]
    bursts: Sequence[tuple[int, float, int]]
    fleets: Sequence[int]
    stream_s: float
    rest_s: float
    people: Sequence[tuple[people.How, int, int]]


FULL = Plan(
    users=(0, 500, 5_000, 10_000, 30_000),
    latencies=((0, 15), (2, 15), (20, 5), (100, 2)),
    bursts=(
        *((10_000, 0, requests) for requests in (1, 10, 50, 200, 1_000)),
        *((users, 0, 200) for users in (0, 500, 5_000, 30_000)),
        *((users, 20, 200) for users in (0, 500, 5_000, 10_000)),
    ),
    fleets=(10, 100, 300, 1_000),
    stream_s=60,
    rest_s=45,
    people=(("create-many", 5_000, 20), ("copy", 500, 20)),
)
QUICK = Plan(
    users=(500, 10_000),
    latencies=((0, 5), (2, 5), (20, 3)),
    bursts=((10_000, 0, 1), (10_000, 0, 200), (500, 20, 200)),
    fleets=(10, 50),
    stream_s=5,
    rest_s=5,
    people=(("create-many", 200, 4), ("copy", 50, 4)),
)
#: The stream of the goal, and half of it: what the dead cost where the machine is not full without them.
LATENCY_MS, RATES = 20, (100, 50)


def main() -> None:
    """Measure as told; with `--quick` nothing is written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that only prints")
    parser.add_argument("--out", type=Path, default=DOCS, help="where to write (%(default)s)")
    chosen = parser.parse_args()
    plan = QUICK if chosen.quick else FULL
    began = time.monotonic()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="zkbridge-bench-") as folder:
        pairs, bursts, fleets, daemon, brought = _measure(Path(folder), plan)
    charts = list(growth.charts(pairs, bursts, fleets))
    lines = [*report.rows(pairs, bursts, fleets, daemon, brought), *report.slopes(charts)]
    print(report.plain(lines))
    if chosen.quick:
        return
    measured: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(),
            "kind": platform.machine(),
            "python": platform.python_version(),
            "load_before": round(load, 1),
        },
        "seconds": round(time.monotonic() - began),
        "rows": [asdict(line) for line in lines],
        "one": [asdict(pair) for pair in pairs],
        "burst": [asdict(one_burst) for one_burst in bursts],
        "fleet": [asdict(one_fleet) for one_fleet in fleets],
        "alone": asdict(daemon),
        "people": [asdict(one_people) for one_people in brought],
    }
    (chosen.out / "performance.json").write_text(json.dumps(measured, indent=1) + "\n")
    for name, (columns, width) in picture.PICTURES.items():
        (chosen.out / name).write_text(picture.draw(charts, columns, width))
    _put_into(chosen.out / "performance.md", results.page(measured))
    _put_into(chosen.out / "benchmarks.md", report.page(measured))


def _measure(
    folder: Path, plan: Plan
) -> tuple[list[one.Pairs], list[burst.Burst], list[fleet.Fleet], alone.Alone, list[people.People]]:
    with _told("one create"):
        pairs = list(one.measure(folder, plan.users, plan.latencies))
    with _told("bursts"):
        bursts = list(burst.measure(folder, plan.bursts))
    with _told("people to many terminals"):
        brought = list(people.measure(folder, plan.people))
    fleets = []
    for count in plan.fleets:
        with _told(f"{count} terminals"):
            largest = count == max(plan.fleets)
            place = folder / f"fleet-{count}"
            place.mkdir()
            fleets.append(
                fleet.measure(
                    place,
                    terminals=count,
                    latency_ms=LATENCY_MS,
                    rates=RATES if largest else (),
                    seconds=plan.stream_s,
                    dead=count // 10,
                )
            )
    with _told("the daemon alone"):
        place = folder / "alone"
        place.mkdir()
        daemon = alone.measure(place, rest_s=plan.rest_s)
    return pairs, bursts, fleets, daemon, brought


@contextmanager
def _told(what: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"measuring {what} … ", end="", file=sys.stderr, flush=True)
    yield
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _put_into(page: Path, table: str) -> None:
    """Replace what stands between the marks."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
