"""Copy, block, restore and name people while everything breaks, from a seed: `python -m torture people --seed N`."""

from __future__ import annotations

import argparse
import base64
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import click

from tests.support.caller import Caller
from torture.frame import Outcome, Progress, Scene, Spec, run_program
from torture.havoc import SILENT_FOR_S, Deed
from torture.people_alone import Alone
from torture.people_desk import Desk
from torture.people_keypad import MARK, Keypad
from torture.people_oracle import KINDS, Book, Finding
from torture.people_plan import Town
from torture.people_state import Request
from zkbridge.simulator import SimulatedTerminal

_ROOM: dict[str, Any] = {"user_capacity": 12_000, "finger_capacity": 12_000}
#: Kinds of terminals, which repeat: profile, what the simulator and what the bridge is told.
KINDS_OF_TERMINALS: tuple[Spec, ...] = (
    ("tft", _ROOM, {}),
    ("ma300", {**_ROOM, "idle_timeout": 20.0}, {"transport": "udp"}),
    ("tft", {**_ROOM, "idle_timeout": 20.0, "udp_duplicate": 0.02, "udp_reorder": 0.02}, {"transport": "udp"}),
    ("ma300", {**_ROOM, "transport": "tcp", "delivery": "split-500", "split_delay": 0.0}, {}),
    ("tft", {**_ROOM, "second_connection": "refuse", "comm_key": 1234}, {"comm_key": 1234}),
)
#: A terminal that does one of these and says that it does not would make a liar of anybody. So would one that refuses
#: GET_USERTEMP, for that says that there is no such finger.
WRITES = ("USER_WRQ", "DELETE_USER", "DELETE_USERTEMP", "TMP_WRITE")
FRAMES = (
    *("CONNECT", "AUTH", "DISABLE", "ENABLE", "EXIT", "GET_FREE_SIZES", "PREPARE_BUFFER", "READ_BUFFER", "FREE_DATA"),
    *(*WRITES, "USER_WRQ", "TMP_WRITE", "REFRESHDATA", "PREPARE_DATA", "DATA"),
)
TICK_S = 0.005
ABSENCES_S = (0.0, 0.0, 0.3, 1.0)
REPLIES = ("zk/+/users/+/reply", "zk/+/device/+/reply", "zk/+/users/desired/plan")
#: Seconds without any answer after which what has none by then never will: a large restore takes its time.
PATIENCE_S = 2 * SILENT_FOR_S
#: People that one list brings to their first terminal.
LIST = 200
#: A share of whom has fingers.
WITH_FINGERS = 0.3
MOST_ALONE = 3


@dataclass(frozen=True)
class Verdict:
    """What was done, and everything that is wrong."""

    requests: int
    publications: int
    people: int
    records: int
    fingers: int
    unknown: int
    codes: Counter[str]
    findings: Sequence[Finding]

    def __str__(self) -> str:
        kinds = Counter(finding.kind for finding in self.findings)
        told = ", ".join(f"{count} {code}" for code, count in self.codes.most_common())
        return (
            f"{self.requests} requests published {self.publications} times; at the end {self.records} records of "
            f"{self.people} people and {self.fingers} fingers, of {self.unknown} it is honestly unknown; "
            f"answers: {told}; " + ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)
        )


class Torture:
    """So many people and requests, with everything going wrong meanwhile; `go` returns the verdict."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        people: int,
        terminals: int,
        requests: int,
        kills: int,
        tell: Callable[[str], None],
    ) -> None:
        self._random = Random(seed)
        self._wanted, self._kills, self._tell = requests, kills, tell
        names = [f"puerta-{number}" for number in range(terminals)]
        self.book = Book()
        self.town = Town(self._random, self.book, names, people=people)
        self._scene = Scene(
            folder,
            "people",
            [KINDS_OF_TERMINALS[number % len(KINDS_OF_TERMINALS)] for number in range(terminals)],
            random=self._random,
            listen_again=lambda: None,  # the broker stays: what it forgets is the matter of the other programs
            settings={},
            broker=["max_queued_messages 0", "max_packet_size 67108864"],
            daemon={
                "covered": False,
                "mqtt": {"keepalive": 5, "max_payload": 4_000_000, "max_reply": 16_000_000},
                "groups": {name: members for name, members in self.town.groups.items() if members},
                "desired": {"enabled": True},
                "queue_limit": 10_000,
            },
            havoc={"absences": ABSENCES_S},
        )
        self.daemon, self._havoc = self._scene.daemon, self._scene.havoc
        self.broken = self._havoc.broken
        for name, terminal in self._scene.terminals.items():
            terminal.listen(partial(self._scene.diary.note, name))
        self.keypad = Keypad(self._random, self.town, self._scene.terminals)
        self._caller = Caller(self._scene.broker.port)
        self.desk = Desk(self._random, self._caller, self.town, later=self._havoc.soon)
        self._alone = Alone(self._random, self.town, self.desk, self.keypad, self._scene.terminals)
        self._most = 2 * terminals
        self._findings_told = 0

    def go(self) -> Verdict:
        """Do it all, from the main thread."""
        with closing(self._scene), self._caller:
            for topic in REPLIES:
                self._caller.subscribe(topic)
            self._scene.keeper.start(online=True)
            self._populate()
            self._break_everything()
            self._havoc.mend()
            self._tell("nothing goes wrong any more; waiting until all is answered")
            self._finish()
            return self._judge(self._stop())

    def story(self, finding: Finding) -> Iterator[str]:
        """All that is known of a finding, line by line."""
        return self.book.story(finding, self._scene.diary)

    # -- what people do ----------------------------------------------------------------------------------------------

    def _populate(self) -> None:
        """Everybody gets a first terminal, and some of them fingers there."""
        people, names = list(self.town.people), self.town.terminals
        self._random.shuffle(people)
        for number, start in enumerate(range(0, len(people), LIST)):
            self.desk.ask(self.town.populate(names[number % len(names)], people[start : start + LIST]))
        self._wait_for_answers()
        for user_id in people:
            if self._random.random() < WITH_FINGERS:
                self.keypad.enrol(user_id)
        self._tell(f"{len(people)} people are at their first terminals")

    def _break_everything(self) -> None:
        """Until as much was asked as wanted, and the daemon was killed as often."""
        self._havoc.plan(self._deeds())
        progress = Progress(self._tell)
        while self.desk.asked < self._wanted or self.broken["kill -9"] < self._kills:
            self._havoc.step()
            self._listen()
            if len(self.desk.active) < self._most:
                self._ask()
            progress.now(
                lambda: (
                    f"{self.desk.asked} requests, {len(self.desk.active)} open, {len(self._alone)} alone, "
                    f"{len(self.book.findings)} findings, {dict(self.broken)}"
                )
            )
            time.sleep(TICK_S)

    def _deeds(self) -> dict[Deed, float]:
        """What is done, and about how many seconds pass between."""
        havoc, many = self._havoc, len(self.town.terminals) / 4
        return {
            self._kill: 6,
            havoc.terminate: 40,
            havoc.pause: 40,
            havoc.restart: 8 / many,
            havoc.go_dark: 10 / many,
            lambda: havoc.fault(FRAMES, honest=WRITES): 2 / many,
            havoc.repair: 5,
            havoc.neighbour: 20,
            self.keypad.act: 0.2,
        }

    def _kill(self) -> None:
        self._havoc.kill()

    def _ask(self) -> None:
        drawn = self.town.draw()
        if isinstance(drawn, Request):
            self.desk.ask(drawn)
        elif drawn is not None and len(self._alone) < min(MOST_ALONE, len(self.town.terminals) // 3):
            self._alone.begin(*drawn.split())

    def _listen(self) -> None:
        """Take what was answered, and go on with what waits for it."""
        self.desk.listen()
        self._alone.step()
        for finding in self.book.findings[self._findings_told :]:
            self._tell(f"{finding.kind}: {finding.key or ''} {finding.sentence}")
        self._findings_told = len(self.book.findings)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _wait_for_answers(self) -> None:
        """Return when everything is answered, or nothing was for long."""
        heard = time.monotonic()
        while (self.desk.active or self._alone) and time.monotonic() - heard < PATIENCE_S:
            before = self.desk.heard
            self._havoc.step()
            self._listen()
            heard = time.monotonic() if self.desk.heard > before else heard
            time.sleep(TICK_S)

    def _finish(self) -> None:
        """Wait for all answers; whatever is unknown now is asked again, so that it is settled."""
        self.desk.asked_again = 1.0
        self._havoc.plan({self._havoc.repair: 5})
        self._wait_for_answers()
        for request in self.desk.active:
            self.book.unanswered(request)

    def _stop(self) -> list[str]:
        """Stop the daemon as systemd does: what it leaves undone, and what lies about."""
        self._havoc.wait(self._havoc.is_online, SILENT_FOR_S)
        found = self._scene.stop_daemon() + self._scene.keeper.collapses
        for what, query in (
            ("unfinished requests", "SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')"),
            ("unsent answers", "SELECT count(*) FROM answers WHERE owed = 1"),
            ("terminals to be enabled", "SELECT count(*) FROM debts"),
        ):
            ((count,),) = self._scene.stored(query)
            found += [f"the ledger holds {count} {what}"] if count else []
        return found + self._templates_that_lie_about()

    def _templates_that_lie_about(self) -> list[str]:
        """The ledger and the log hold no template at the end."""
        coded = [base64.b64encode(b"M\xfdSS21" + MARK)[:40], MARK.hex().encode(), MARK]
        files = [*(path for path in self.daemon.state.iterdir() if path.is_file()), self.daemon.log_path]
        return [f"{path.name} holds a template" for path in files if any(each in path.read_bytes() for each in coded)]

    def _judge(self, wrong: Sequence[str]) -> Verdict:
        for sentence in wrong:
            self.book.blame("other", sentence)
        for device, terminal in self._scene.terminals.items():
            self.book.compare(device, terminal, when="at the end")
            if terminal.disabled:
                self.book.blame("left disabled", device)
        terminals: Sequence[SimulatedTerminal] = list(self._scene.terminals.values())
        return Verdict(
            requests=self.desk.asked,
            publications=self.desk.published,
            people=len(self.town.people),
            records=sum(len(each.users()) for each in terminals),
            fingers=sum(len(each.templates()) for each in terminals),
            unknown=sum(len(states) > 1 for name in self.town.terminals for states in self.book.of(name).values()),
            codes=self.book.codes,
            findings=self.book.findings,
        )


def main(arguments: Sequence[str]) -> int:
    """Run, tell the story of what is wrong and a line of counts; 1 if anybody was lost, doubled or told wrongly."""
    parser = argparse.ArgumentParser(prog="people", description=__doc__)
    parser.add_argument("--terminals", type=int, default=20)
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--requests", type=int, default=3000, help="at least, beside the lists that bring the people")
    parser.add_argument("--kills", type=int, default=100, help="kill -9 of the daemon, at least")
    return run_program(parser, arguments, _run)


def _run(wanted: argparse.Namespace, folder: Path) -> Outcome:
    torture = Torture(
        folder,
        seed=wanted.seed,
        people=wanted.people,
        terminals=wanted.terminals,
        requests=wanted.requests,
        kills=wanted.kills,
        tell=click.echo,
    )
    verdict = torture.go()
    stories = [line for finding in verdict.findings[:20] for line in ("", *torture.story(finding))]
    counts = f"seed {wanted.seed}, {wanted.terminals} terminals, {dict(sorted(torture.broken.items()))}"
    return Outcome([*stories, "", counts, str(verdict)], bool(verdict.findings))
