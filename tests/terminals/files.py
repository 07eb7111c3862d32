"""The reports that people have sent, and the examples."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "reports"


def reported() -> list[Path]:
    """Every report; those named `example-…` come from the simulator, all others from real terminals."""
    return sorted(FOLDER.glob("*.jsonl"))
