"""A week of a school in some minutes, and whether anything grows: `python -m torture soak --minutes 10 --seed N`.

A run of more than an hour lives as many weeks as it has hours.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import click

from tests.support import processes
from tests.support.caller import Caller
from tests.support.certificates import make_certificates, sign_server
from tests.support.daemon import device
from torture import soak_end
from torture.frame import Outcome, Progress, run_program
from torture.havoc import SILENT_FOR_S
from torture.punch_oracle import judge as judge_punches
from torture.soak_bridge import environment
from torture.soak_clock import BEGIN, WEEK_S, SharedClock
from torture.soak_heap import HeapGauge
from torture.soak_office import ALL, Office
from torture.soak_samples import Growth, Sample, judge, sample, table
from torture.soak_school import School
from torture.soak_stage import KINDS, SoakScene
from zkbridge.simulator import TerminalConfig

#: A terminal that comes with one configuration and goes with the next; nobody passes it.
VISITOR = "taller"
TICK_S, SAMPLE_S = 0.01, 1.0
#: Seconds without news after which what has not come never will: the bridge waits a minute for a broker at most.
PATIENCE_S = 1.5 * SILENT_FOR_S
#: Simulated seconds by which the time goes on at once.
STEP_S = 900.0
#: Seconds for which the machine's clock is wrong, and by how many seconds it is.
WRONG_FOR_S, WRONG_BY_S = 2.0, (-86_400.0, -3_600.0, 600.0, 86_400.0)
#: Seconds for which the broker shows a certificate that has expired.
EXPIRED_FOR_S = 25.0
TOPICS = ("zk/+/+/+/reply", "zk/+/+/reply", "zk/+/users/desired/plan", "zk/bridge/health")
PUNCHES = "zk/+/attendance/event"


@dataclass(frozen=True)
class Verdict:
    """What was done, what the daemon took for it, and everything that is wrong."""

    lines: Sequence[str]
    growth: Sequence[Growth]
    findings: list[str] = field(default_factory=list)


class Soak:
    """So many weeks in so many seconds; `go` returns the verdict."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        seconds: float,
        people: int,
        terminals: int,
        tell: Callable[[str], None],
        weeks: int = 1,
        scene: type[SoakScene] = SoakScene,
    ) -> None:
        folder = folder.resolve()  # the configuration names files in it
        self._random, self._seconds, self._tell = Random(seed), seconds, tell
        self._week = seconds / weeks
        self._faster = WEEK_S / self._week
        self.clock, self._gauge = SharedClock(folder / "clock"), HeapGauge(folder / "heap")
        self._certificates = make_certificates(folder / "certificates")
        port = processes.free_port()
        self._scene = scene(
            folder,
            "soak",
            [KINDS[number % len(KINDS)] for number in range(terminals)],
            random=self._random,
            listen_again=self._listen,
            settings={"attendance": "live", "timezone": str(BEGIN.tzinfo)},
            broker=["max_queued_messages 0", f"listener {port} 127.0.0.1"],
            tls=self._certificates,
            daemon=self._settings(folder, terminals),
        )
        self._daemon, self._havoc, self._terminals = self._scene.daemon, self._scene.havoc, self._scene.terminals
        self._visitor = device(self._scene.simulator.add(TerminalConfig(profile="tft")))
        for terminal in self._terminals.values():
            terminal.fill_users(people)
        self.school = School(self._terminals, people, self._random)
        self._witness, self._caller = Caller(port), Caller(port)
        self.office = Office(self._random, self._caller, self._terminals, self.clock)
        self._samples: list[Sample] = []
        self._health: dict[str, Any] = {}
        self._passed = 0.0
        self._punches: list[dict[str, Any]] = []

    def _settings(self, folder: Path, terminals: int) -> dict[str, Any]:
        return {
            "covered": False,
            "environment": environment(folder, self._faster),
            "mqtt": {"keepalive": 5, "tls": {"ca_file": str(self._certificates.ca)}},
            "groups": {ALL: [f"puerta-{number}" for number in range(terminals)]},
            "desired": {"enabled": True, "repair": True, "check_interval": 6 * 3600 / self._faster},
            "backup": {"nightly": "03:00", "keep": 2},
            # So that a day of answers is kept, and the ledger's size does not depend on the week's end.
            "ledger": {"keep": 86_400},
            "probe_interval": 5,
        }

    def go(self) -> Verdict:
        """Do it all, from the main thread."""
        with closing(self._scene), self._witness, self._caller:
            self.clock.set(passed=BEGIN.timestamp() - time.time())
            self._let_time_pass(0.0)
            self._listen()
            self._scene.keeper.start(online=True)
            first = "listened to for the first time"
            self._havoc.wait(lambda: self._daemon.log.count(first) == len(self._terminals), 60)
            self._live()
            self._havoc.mend()
            self._tell("the week is over; waiting until all is answered and published")
            return self._end()

    # -- the week ----------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        self._havoc.plan(self._deeds())
        began = time.monotonic()
        progress = Progress(self._tell)
        sampled = -SAMPLE_S
        while (elapsed := time.monotonic() - began) < self._seconds:
            self._turn_clocks(elapsed)
            self._havoc.step()
            self.school.step(self.clock.local())
            self._hear()
            if elapsed - sampled >= SAMPLE_S * max(1.0, self._seconds / 600):
                sampled = elapsed
                self._sample(elapsed)
            progress.now(
                lambda: (
                    f"{self.clock.local():%A %H:%M}: {self.school.punches} punches, {len(self._punches)} published, "
                    f"{len(self.office.asked)} requests, {dict(self._havoc.broken)}"
                )
            )
            time.sleep(TICK_S)

    def _turn_clocks(self, elapsed: float) -> None:
        """Time goes on by steps; every night, after the clocks may have changed, the terminals are told the time."""
        due = elapsed * (self._faster - 1)
        if due - self._passed < STEP_S and self._faster > 1:
            return
        before = self.clock.local()
        self._let_time_pass(due - self._passed)
        self._passed = due
        night = before.replace(hour=4, minute=0, second=0)
        if before < night <= self.clock.local() or before < night + timedelta(days=1) <= self.clock.local():
            self.office.set_clocks()

    def _let_time_pass(self, seconds: float) -> None:
        """So many seconds pass at once for the bridge and the terminals, which have no quartz of their own."""
        self.clock.set(passed=self.clock.fields[1] + seconds)
        for terminal in self._terminals.values():
            memory = terminal.machine.terminal.memory
            with memory.lock:
                memory.change(["clock", memory.tables.clock_offset_s + seconds])

    def _deeds(self) -> dict[Callable[[], object], float]:
        """What is done, and about how many seconds pass between."""
        havoc, whole = self._havoc, self._week
        often = min(1.0, whole / 600)
        return {
            self.office.ask: 0.2,
            havoc.restart: 10 * often,
            havoc.go_dark: 15 * often,
            havoc.neighbour: 20 * often,
            # A broker that stops more often finds the bridge waiting, up to a minute, for most of the week.
            havoc.stop_broker: max(80.0, whole / 7),
            self._reload: whole / 14,
            self._replace_certificate: max(150.0, whole / 4),
            self._let_certificate_expire: max(200.0, whole / 3),
            self._set_clock_wrong: whole / 8,
        }

    def _reload(self) -> None:
        """A terminal comes or goes with the configuration."""
        devices = self._daemon.config["devices"]
        if devices.pop(VISITOR, None) is None:
            devices[VISITOR] = self._visitor
        self._daemon.write_configuration()
        os.kill(self._daemon.pid, signal.SIGHUP)
        self._havoc.broken["reload"] += 1

    def _replace_certificate(self) -> None:
        sign_server(self._certificates)
        self._havoc.broken["certificate replaced"] += 1
        self._havoc.stop_broker()

    def _let_certificate_expire(self) -> None:
        sign_server(self._certificates, days=0)
        self._havoc.broken["certificate expired"] += 1
        self._havoc.stop_broker()
        self._havoc.soon(EXPIRED_FOR_S, self._replace_certificate)

    def _set_clock_wrong(self) -> None:
        """The machine's clock jumps while no time server is there, and is set right after a while."""
        self._havoc.broken["clock wrong"] += 1
        self.clock.set(synchronised=False)
        self.clock.set(jump=self._random.choice(WRONG_BY_S))
        self._havoc.soon(WRONG_FOR_S, lambda: self.clock.set(jump=0.0, synchronised=True))

    # -- what is heard and seen --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Hear what is published from now on; at QoS 0, for what a broker keeps over its restarts is not judged."""
        self._havoc.wait(lambda: self._witness.connected, SILENT_FOR_S)
        for topic in (*TOPICS, PUNCHES):
            self._witness.subscribe(topic, qos=0, timeout=SILENT_FOR_S)

    def _hear(self) -> None:
        news = self._witness.messages[:]
        del self._witness.messages[: len(news)]  # so that this program does not grow either
        for message in news:
            if message.topic.endswith("/attendance/event"):
                self._punches.append(message.json)
            elif message.topic == "zk/bridge/health":
                self._health = message.json
            else:
                self.office.hear(message)

    def _sample(self, elapsed: float) -> None:
        with suppress(OSError, StopIteration):  # it has just ended, which is found elsewhere
            figures = {"set_aside": self._health.get("set_aside", 0), "answered": self.office.answered}
            self._samples.append(sample(self._daemon, self._gauge.read(), at=elapsed, **figures))

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self) -> Verdict:
        self.clock.set(jump=0.0, synchronised=True)
        sign_server(self._certificates)
        self._scene.broker.stop()
        self._havoc.start_broker()
        self._wait_for_all()
        self.office.set_clocks()
        self._wait_for_all()
        clocks = soak_end.clocks_that_are_off(self._terminals, self.clock.local())
        checked = soak_end.check(self._scene)
        left = self._scene.stop_daemon() + self._scene.keeper.collapses
        punches = judge_punches(self.school.recorded, self._punches)
        growth = judge(self._samples)
        findings = [
            *(f"{one.name} grows: from {one.middle:.2f} to {one.end:.2f}" for one in growth if one.grows),
            *self.office.findings(),
            *punches.findings,
            *(f"{name} was left disabled" for name, terminal in self._terminals.items() if terminal.disabled),
            *(*clocks, *checked, *left, *soak_end.left_in_ledger(self._scene)),
            *soak_end.life(self._scene, expired=self._havoc.broken["certificate expired"] > 0),
        ]
        return Verdict([*table(growth), "", *self._figures(), str(punches)], growth, findings)

    def _wait_for_all(self) -> None:
        """Return when everything is answered and published, or nothing was for long."""
        heard, since = (-1, -1), time.monotonic()
        while time.monotonic() - since < PATIENCE_S:
            self._hear()
            now = self.office.answered, len(self._told)
            if now[0] == len(self.office.asked) and now[1] >= self.school.punches:
                return
            if now > heard:
                heard, since = now, time.monotonic()
            time.sleep(0.1)

    @property
    def _told(self) -> set[str]:
        return {punch["id"] for punch in self._punches}

    def _figures(self) -> list[str]:
        told = ", ".join(f"{count} {code}" for code, count in self.office.codes.most_common())
        shifts = {BEGIN.utcoffset(), self.clock.local().replace(tzinfo=BEGIN.tzinfo).utcoffset()}
        return [
            f"{len(self._terminals)} terminals, {len(self.office.asked)} requests: {told}",
            f"answers that came again: {self.office.again}",
            f"done: {dict(sorted(self._havoc.broken.items()))}",
            f"until {self.clock.local():%A %d %B %H:%M}; changes to summer time: {len(shifts) - 1}",
        ]


def main(arguments: Sequence[str]) -> int:
    """Run, print the figures and what is wrong; 1 if anything grows, or any promise was not kept."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for which it runs")
    parser.add_argument("--hours", type=float, help="the same in hours")
    parser.add_argument("--weeks", type=int, help="which pass meanwhile; one, or one an hour")
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--terminals", type=int, default=20)
    return run_program(parser, arguments, _run)


def _run(wanted: argparse.Namespace, folder: Path) -> Outcome:
    seconds = wanted.hours * 3600 if wanted.hours else wanted.minutes * 60
    weeks = wanted.weeks or max(1, round(seconds / 3600))
    size = {"people": wanted.people, "terminals": wanted.terminals, "weeks": weeks}
    soak = Soak(folder, seed=wanted.seed, seconds=seconds, tell=click.echo, **size)
    verdict = soak.go()
    wrong = [f"*** {finding}" for finding in verdict.findings[:50]]
    end = f"{len(verdict.findings)} FINDINGS" if verdict.findings else "nothing grows, and every promise was kept"
    head = f"seed {wanted.seed}; weeks: {weeks}, minutes: {seconds / 60:.0f}, people: {wanted.people}"
    return Outcome([*wrong, "", head, *verdict.lines, end], bool(verdict.findings))
