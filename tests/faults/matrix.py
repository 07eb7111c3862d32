"""The fault matrix: every frame with every fault, topic in and topic out, and the table that comes of it.

`python -m tests.faults.matrix` writes docs/faults.md anew.
"""

import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

from tests.faults import promises
from tests.faults.frames import ALWAYS, BUDGET_S, TIMEOUT_S, VARIANTS, Case, Variant
from tests.faults.others import OTHERS, Other, release
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
#: Cases under way at once: so many that waiting for silence costs little, so few that nobody is late by our own load.
WINDOW = 30
#: A terminal may be disabled for so long: the seconds that DISABLE carries, and what a slow machine adds.
LONGEST_DISABLED_S = ceil(BUDGET_S + TIMEOUT_S) + 2.0
USER = {"user_id": "777", "name": "Ana", "password": "4711", "card": 90210}
AnyCase = Case | Other


@dataclass(frozen=True)
class Outcome:
    """What became of a case: the answer as "status code/effect", the attempts it took, whether the user is there.

    `open`: a session of a terminal over UDP did not end, as where a machine under load answers CONNECT so late that the
    bridge has given up and does not know its number.
    """

    answer: str
    attempts: int
    there: bool
    open: bool = False

    def __str__(self) -> str:
        said = f"{self.answer}; {self.attempts}; {'there' if self.there else 'absent'}"
        return f"{said}; session open" if self.open else said


class Run:
    """One daemon with a terminal for each case."""

    def __init__(self, folder: Path, broker_port: int, simulator: Simulator, cases: Iterable[AnyCase]) -> None:
        self.cases = {f"t{number}": case for number, case in enumerate(cases)}
        self.terminals = {name: case.start(simulator) for name, case in self.cases.items()}
        self.daemon = Daemon(
            folder,
            broker_port,
            {
                name: {**device(terminal, timeout=TIMEOUT_S), **self.cases[name].settings()}
                for name, terminal in self.terminals.items()
            },
            mqtt={"base_topic": folder.name},
            covered=False,
            session_budget=BUDGET_S,
        )
        self._base = folder.name
        self._open: set[str] = set()

    def outcomes(self, broker_port: int) -> dict[AnyCase, Outcome]:
        """Carry out every case. Raises AssertionError that names each case that broke a promise."""
        with self.daemon, Caller(broker_port) as caller:
            caller.subscribe(f"{self._base}/+/users/create/reply")
            for name, terminal in self.terminals.items():
                self.cases[name].spoil(terminal)
            answers = self._ask_all(caller)
            for terminal in self.terminals.values():
                terminal.faults.clear()
                if not terminal.powered:
                    terminal.power_on()
            broken = [fault for name in self.cases for fault in self._check(name, answers[name])]
            broken += self._check_pending_enables()
            assert not broken, "\n".join(broken)
            again = [message.topic for message in caller.messages]
            assert len(again) == len(set(again)), "a request was answered twice"
        return {case: self._outcome(name, answers[name]) for name, case in self.cases.items()}

    def _ask_all(self, caller: Caller) -> dict[str, dict[str, Any]]:
        names = iter(self.cases)
        answers: dict[str, dict[str, Any]] = {}
        for name in islice(names, WINDOW):
            self._ask(caller, name)
        while len(answers) < len(self.cases):
            message = caller.wait_for(timeout=60)
            answers[message.topic.split("/")[1]] = message.json
            for name in islice(names, 1):
                self._ask(caller, name)
        return answers

    def _ask(self, caller: Caller, name: str) -> None:
        caller.publish(f"{self._base}/{name}/users/create", USER)

    def _check(self, name: str, answer: dict[str, Any]) -> Iterator[str]:
        """The promises of contract section 5 and 6 that this case broke."""
        case, terminal = self.cases[name], self.terminals[name]
        found = [user for user in terminal.users() if user.user_id == USER["user_id"]]
        if answer["status"] == 409:
            yield f"{case}: the writer heard {answer['code']}"
        if answer["success"] and [_fields(user) for user in found] != [USER]:
            yield f"{case}: success, and the terminal holds {[_fields(user) for user in found]}"
        if not answer["success"] and answer.get("effect", "none") == "none" and found:
            yield f"{case}: {answer['code']}, effect none, and the user is there"
        if len(found) > 1:
            yield f"{case}: the user is there {len(found)} times"
        yield from _in_vain(case, "the terminal to be enabled", lambda: not terminal.disabled)
        if case.says_goodbye:
            in_vain = list(_in_vain(case, "the sessions to end", lambda: terminal.sessions_open == 0))
            if in_vain and case.settings().get("transport") == "udp":
                self._open.add(name)
            else:
                yield from in_vain
        longest = max(terminal.disabled_spans(), default=0)
        if longest > LONGEST_DISABLED_S:
            yield f"{case}: disabled for {longest:.1f} s"

    def _check_pending_enables(self) -> Iterator[str]:
        def pending() -> list[str]:
            with closing(sqlite3.connect(self.daemon.state / "ledger.db")) as ledger:
                return [row[0] for row in ledger.execute("SELECT device FROM debts")]

        yield from _in_vain(
            "all", f"pending enables to be carried out ({pending()})", lambda: not pending(), timeout=40
        )

    def _outcome(self, name: str, answer: dict[str, Any]) -> Outcome:
        said = f"{answer['status']} {answer['code']}"
        if "effect" in answer:
            said += f"/{answer['effect']}"
        retries = len(re.findall(rf"device={name} attempt \d+ of", self.daemon.log))
        there = any(user.user_id == USER["user_id"] for user in self.terminals[name].users())
        return Outcome(said, retries + 1, there, name in self._open)


def _fields(user: Any) -> dict[str, Any]:
    return {name: getattr(user, name) for name in USER}


def _in_vain(case: object, what: str, condition: Any, *, timeout: float = 15) -> Iterator[str]:
    try:
        wait_until(condition, timeout=timeout, what=what)
    except AssertionError as error:
        yield f"{case}: {error}"


@contextmanager
def _run(folder: Path, broker_port: int, cases: Iterable[AnyCase]) -> Iterator[Run]:
    with Simulator() as simulator:
        yield Run(folder, broker_port, simulator, cases)


def measure(folder: Path, broker_port: int, cases: Iterable[AnyCase]) -> dict[AnyCase, Outcome]:
    """The outcome of each case. Raises AssertionError when a promise is broken."""
    with _run(folder, broker_port, cases) as run:
        try:
            return run.outcomes(broker_port)
        finally:
            release()


# -- the page ------------------------------------------------------------------------------------------------------

HEAD = """\
# What happens when something goes wrong

`python -m tests.faults.matrix` writes this page, and tests/faults/test_matrix.py checks it.

One `users/create` is a sequence of frames.
In the tables each frame has each fault: *once*, so that the next attempt has no fault, and *always*.
A cell has the caller's answer (status, code and, where the contract gives one, effect), the number of attempts,
and whether the user is on the terminal afterwards (there or absent).
The test also checks in each case: exactly one answer; after a success the user is there exactly once, as requested,
after `effect: none` not at all; no 409; the terminal is enabled, its session has ended, no enable is pending;
it was never disabled for longer than the session's budget and one answer.

The last table has the test for each promise of
[section 5 of the contract](guarantees.md#5-exactly-one-effect-one-honest-answer).
"""


def section(variant: Variant, outcomes: Mapping[AnyCase, Outcome]) -> str:
    """The table of one kind of terminal."""
    lines = [f"## {variant.title}", "", "| frame | fault | once | always |", "|---|---|---|---|"]
    for frame in variant.frames:
        for fault in variant.faults:
            cells = [outcomes[Case(variant, frame, fault, count)] for count in (1, ALWAYS)]
            lines.append(f"| {frame.name} | {fault.name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


OTHERS_TITLE = "The terminal itself, and the way to it"


def others_section(outcomes: Mapping[AnyCase, Outcome]) -> str:
    """The table of what is not a matter of one frame."""
    lines = [f"## {OTHERS_TITLE}", "", "| what | outcome |", "|---|---|"]
    return "\n".join([*lines, *(f"| {other.name} | {outcomes[other]} |" for other in OTHERS)]) + "\n"


def committed(title: str) -> str:
    """The table as the page has it, "" if it has none."""
    found = re.search(rf"^## {re.escape(title)}\n(?s:.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE)
    return found.group().rstrip("\n") + "\n" if found else ""


def rows(text: str) -> dict[str, list[str]]:
    """A table's outcomes by what stands before them."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return {" | ".join(cell for cell in row if ";" not in cell): [c for c in row if ";" in c] for row in cells[2:]}


def main() -> None:
    """Write the page."""
    sections = []
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder) / "mosquitto") as broker:
        for variant in VARIANTS:
            outcomes = measure(Path(folder) / variant.name, broker.port, variant.cases())
            sections.append(section(variant, outcomes))
        sections.append(others_section(measure(Path(folder) / "others", broker.port, OTHERS)))
    PAGE.write_text("\n".join([HEAD, *sections, promises.page()]), "utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
