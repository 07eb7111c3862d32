"""Derive the findings and summaries of all reports again: `python -m tests.terminals.refresh`.

To be run when what is derived from the frames of a report has changed. The frames themselves stay as they were sent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.terminals.files import reported
from zkbridge.terminal.report import findings, report_file


def refreshed(path: Path) -> str:
    """The report with its findings as they are derived today, and with its own summary."""
    recording = report_file.read(path)
    summary = [line[1:].removeprefix(" ") for line in path.read_text("ascii").splitlines() if line.startswith("#")]
    return report_file.written(recording, findings.findings(recording), summary)


def main() -> None:
    """Rewrite every file."""
    for path in reported():
        path.write_text(refreshed(path), "ascii")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
