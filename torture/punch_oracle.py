"""Compares the punches of the terminals with those published: each one, no other, in the order of its terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: A recorded punch: user_id, time as it is published, how, what for.
Record = tuple[str, str, int, int]


@dataclass(frozen=True)
class Verdict:
    """What was expected, what came of it, and everything that is wrong."""

    expected: int
    published: int
    again: int
    late: int
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        wrong = f"{len(self.findings)} VIOLATIONS" if self.findings else "none lost, none invented, all in order"
        return (
            f"{self.expected} punches recorded, {self.published} published ({self.late} late, {self.again} told again "
            f"under the same id): {wrong}"
        )


def ids(device: str, records: Iterable[Record]) -> list[str]:
    """The `id` of each, as docs/contract.md has it."""
    seen: Counter[Record] = Counter()
    made = []
    for record in records:
        user_id, when, status, punch = record
        made.append(f"{device}/{when}/{user_id}/{status}/{punch}/{seen[record]}")
        seen[record] += 1
    return made


def judge(recorded: Mapping[str, Sequence[Record]], published: Sequence[Mapping[str, Any]]) -> Verdict:
    """Compare the events, in the order in which they came, with what each terminal recorded."""
    findings: list[str] = []
    first: dict[str, Mapping[str, Any]] = {}
    for event in published:
        known = first.setdefault(event["id"], event)
        if {**known, "late": None} != {**event, "late": None}:
            findings.append(f"{event['id']} was published in two ways: {known} and {event}")
    expected = {device: ids(device, records) for device, records in recorded.items()}
    everywhere = {each for those in expected.values() for each in those}
    findings += [f"{each} was never recorded" for each in first if each not in everywhere]
    for device, wanted in expected.items():
        told = [each for each, event in first.items() if event["device_id"] == device and each in everywhere]
        findings += [f"{each} was never published" for each in wanted if each not in first]
        in_order = [each for each in wanted if each in first]
        pairs = enumerate(zip(told, in_order, strict=False))
        wrong = next((place for place, (got, due) in pairs if got != due), None)
        if wrong is not None:
            findings.append(f"{device}: {told[wrong]} was published where {in_order[wrong]} was to come")
        for each, record in zip(wanted, recorded[device], strict=True):
            event = first.get(each)
            fields = None if event is None else tuple(event[key] for key in ("user_id", "timestamp", "status", "punch"))
            if fields not in (None, record):
                findings.append(f"{each} says {fields}")
    return Verdict(
        expected=len(everywhere),
        published=len(first),
        again=len(published) - len(first),
        late=sum("late" in event for event in first.values()),
        findings=findings,
    )
