"""What Prometheus would read of a running bridge."""

import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scrape:
    """One reading: the text as it came, and each sample's value by its name and its labels."""

    text: str

    @property
    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    def get(self, name: str, **labels: str) -> float | None:
        """The one sample with just these labels, None if there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples that carry at least these labels."""
        return sum(
            value
            for (known, carried), value in self.samples.items()
            if known == name and carried >= set(labels.items())
        )

    def values(self, label: str) -> set[str]:
        """Everything that stands under a label."""
        return {value for _, labels in self.samples for name, value in labels if name == label}


def scrape(port: int, host: str = "127.0.0.1") -> Scrape:
    """Read once, over the loopback interface."""
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=20) as answer:
        assert answer.status == 200
        return Scrape(answer.read().decode())
