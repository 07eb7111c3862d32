"""What a half of the run did, and how it failed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Result:
    """Counts of one half; `failure` is None where every example held."""

    half: str
    first_seed: int
    seeds: int = 0
    examples: int = 0
    messages: int = 0
    sessions: int = 0
    failure: str | None = None

    def __str__(self) -> str:
        last = self.first_seed + max(self.seeds - 1, 0)
        counts = f"{self.examples} examples, {self.messages} messages, {self.sessions} sessions with terminals"
        return (
            f"{self.half}: seeds {self.first_seed} to {last}, {counts}: {'clean' if self.failure is None else 'FAILED'}"
        )
