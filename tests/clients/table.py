"""The table of clients in docs/simulator.md: one row for each, made of what its runs gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clients import stand, trial
from tests.clients.catalogue import Client, Way

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"
BEGIN, END = "<!-- clients: written by `make clients` -->\n", "<!-- end of clients -->\n"
HEAD = (
    "| client | language | simulator, TCP | simulator, UDP | second terminal | not right |\n|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Outcome:
    """What one run gave: how many operations were tried, and the names of those that were not right."""

    tried: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.tried - len(self.wrong)} of {self.tried}"


@dataclass(frozen=True)
class Row:
    """A client's outcomes; None by a transport that it does not have."""

    client: Client
    tcp: Outcome | None
    udp: Outcome | None
    second: Outcome

    def __str__(self) -> str:
        outcomes = (self.tcp, self.udp, self.second)
        wrong = {name: None for outcome in outcomes if outcome for name in outcome.wrong}
        cells = [
            f"{self.client.name} {self.client.version}",
            self.client.language,
            *("" if outcome is None else str(outcome) for outcome in outcomes),
            ", ".join(wrong),
        ]
        return f"| {' | '.join(cells)} |\n"


def row_of(client: Client) -> Row:
    """Run a client against the simulator by each transport that it has, and against the second terminal."""
    by_way: dict[Way, Outcome] = {}
    for way in client.ways:
        with stand.simulated(client, way) as place:
            by_way[way] = outcome(client, place, way)
    with stand.second(client, client.ways[0]) as place:
        last = outcome(client, place, client.ways[0])
    return Row(client, by_way.get("tcp"), by_way.get("udp"), last)


def outcome(client: Client, place: stand.Stand, way: Way) -> Outcome:
    """One run with full tables."""
    place.fill(stand.USERS, stand.PUNCHES)
    results = trial.run(client, place, way)
    return Outcome(len(results), tuple(trial.faults(results, place)))


def written() -> str:
    """The rows of the table as the page has it."""
    return PAGE.read_text().partition(BEGIN + HEAD)[2].partition(END)[0]


def write(rows: Sequence[Row]) -> None:
    """Put the table into the page."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin
    assert end
    PAGE.write_text(before + begin + HEAD + "".join(map(str, rows)) + end + after)
