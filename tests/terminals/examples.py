"""Make the example reports anew from the simulator's profiles: `python -m tests.terminals.examples`.

They show the machinery at work until the first report of a real terminal is there, and are named as what they are.
"""

from __future__ import annotations

import sys

from tests.support import reports
from tests.terminals.files import FOLDER
from zkbridge.simulator import Simulator
from zkbridge.simulator.device.profile import available
from zkbridge.terminal.report import findings, report_file, summary
from zkbridge.terminal.report.redaction import redacted

PEOPLE = 16
_LETS_IN = 2000
REMARK = "An example made from a profile of the simulator, not from a real terminal."


def main() -> None:
    """Write one for each profile."""
    for profile in available():
        with Simulator() as simulator:
            staff = reports.staffed(simulator, {"profile": profile}, PEOPLE)
            lets_in = staff.terminal.switches.connect_code == _LETS_IN
            made = redacted(reports.probe(staff.terminal, write=lets_in), reports.KEY)
        path = FOLDER / f"example-{profile}.jsonl"
        lines = [REMARK, *summary.summary(made, "(example)")]
        path.write_text(report_file.written(made, findings.findings(made), lines), "ascii")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
