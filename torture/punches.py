"""People punch while everything breaks at random, from a seed: `python -m torture punches --seed N`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import click

from tests.support.caller import Caller
from torture.frame import Outcome, Progress, Scene, Spec, run_program
from torture.havoc import SILENT_FOR_S
from torture.punch_oracle import Record, Verdict, judge
from zkbridge.simulator import SimulatedTerminal

#: Terminals: profile, what the simulator and what the bridge is told.
TERMINALS: tuple[Spec, ...] = (
    ("tft", {}, {}),
    ("tft", {"second_connection": "refuse"}, {}),
    ("ma300", {"idle_timeout": 20.0}, {"transport": "udp"}),
    ("face", {"silent_restart": True}, {}),
    ("bw", {"idle_timeout": 20.0, "udp_loss": 0.02, "udp_duplicate": 0.05, "udp_reorder": 0.05}, {"transport": "udp"}),
    ("tft", {"second_connection": "replace", "delivery": "split-9", "split_delay": 0.0}, {}),
    ("tft", {"comm_key": 1234, "latency": 0.01}, {"comm_key": 1234}),
    ("bw", {"transport": "both"}, {}),
)
USERS = 12
TICK_S = 0.005
A_SECOND = 40
EVENTS = "zk/+/attendance/event"
FIRST_DAY = datetime(2026, 3, 2, 6, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone
FRAMES = ("CONNECT", "REG_EVENT", "GET_FREE_SIZES", "PREPARE_BUFFER", "READ_BUFFER", "FREE_DATA", "OPTIONS_RRQ", "EXIT")


class Turnstile:
    """One terminal, the people who pass it, and what it has recorded of them."""

    def __init__(self, name: str, terminal: SimulatedTerminal, random: Random) -> None:
        self.terminal = terminal
        self.recorded: list[Record] = []
        self._random = random
        self._users = [view.user_id for view in terminal.users()]
        self._clock = FIRST_DAY
        self._last = (self._users[0], 1, 0)
        self.name = name

    def act(self) -> bool:
        """Somebody punches; whether the terminal has recorded it."""
        random = self._random
        chance = random.random()
        if chance < 0.05:  # the same person, the same second
            user_id, verify, state = self._last
        else:
            user_id = random.choice(self._users)
            verify, state = random.choice([0, 1, 1, 1, 2, 15]), random.choice([0, 0, 1, 1, 4, 255])
            if chance < 0.8:
                self._clock += timedelta(seconds=random.randint(1, 40))
            elif chance < 0.81:
                self._clock -= timedelta(hours=1)
            elif chance < 0.815:
                self._clock += timedelta(days=1)
        if not self.terminal.punch(user_id, verify=verify, state=state, when=self._clock):
            return False
        self._last = (user_id, verify, state)
        self.recorded.append((user_id, self._clock.isoformat(), verify, state))
        return True


class Torture:
    """So many punches, with everything going wrong meanwhile; `go` returns the verdict."""

    def __init__(
        self, folder: Path, *, seed: int, punches: int, terminals: int = len(TERMINALS), tell: Callable[[str], None]
    ) -> None:
        self._random = Random(seed)
        self._punches = punches
        self._tell = tell
        self._scene = Scene(
            folder,
            "punches",
            TERMINALS[:terminals],
            random=self._random,
            listen_again=self._listen,
            settings={"attendance": "live"},
            daemon={"mqtt": {"keepalive": 5}},
        )
        self._turnstiles: list[Turnstile] = []
        for number, (name, terminal) in enumerate(self._scene.terminals.items()):
            terminal.fill_users(USERS)
            self._turnstiles.append(Turnstile(name, terminal, Random(f"{seed} {number}")))
        self._told: set[str] = set()
        self._read = 0
        self.daemon, self._havoc = self._scene.daemon, self._scene.havoc
        self._witness = Caller(self._scene.broker.port)
        self.broken = self._havoc.broken

    def go(self) -> Verdict:
        """Do it all, from the main thread."""
        # Who also writes may lose what is still to be read when the broker goes: the witness only listens.
        with closing(self._scene), self._witness as witness, Caller(self._scene.broker.port) as caller:
            # At QoS 0: what Mosquitto 2.0.11 keeps of a session over its own restarts is nothing to judge a bridge by.
            witness.subscribe(EVENTS, qos=0)
            self._scene.keeper.start(online=True)
            self._havoc.wait(
                lambda: self.daemon.log.count("listened to for the first time") == len(self._turnstiles), 60
            )
            self._break_everything(witness, caller)
            self._havoc.mend()
            wanted = self._done()
            self._tell(f"nothing goes wrong any more; waiting until all {wanted} are published")
            heard = 0
            while heard < wanted and self._havoc.wait(lambda: self._heard(witness) > heard, SILENT_FOR_S):  # noqa: B023 - called at once
                heard = self._heard(witness)
            left = self._stop()
            verdict = judge(
                {turnstile.name: turnstile.recorded for turnstile in self._turnstiles},
                [message.json for message in list(witness.messages)],
            )
            verdict.findings.extend(self._scene.keeper.collapses + left)
            return verdict

    def _stop(self) -> list[str]:
        """Stop the daemon as systemd does: what it leaves undone."""
        self._havoc.wait(self._havoc.is_online, SILENT_FOR_S)
        found = self._scene.stop_daemon()
        ((kept,),) = self._scene.stored("SELECT count(*) FROM punches")
        return found + ([f"{kept} punches were kept although they were published"] if kept else [])

    def _heard(self, witness: Caller) -> int:
        """How many different punches were published by now."""
        news = witness.messages[self._read :]
        self._read += len(news)
        for message in news:
            self._told.add(json.loads(message.payload)["id"])
        return len(self._told)

    # -- people --------------------------------------------------------------------------------------------------

    def _done(self) -> int:
        return sum(len(turnstile.recorded) for turnstile in self._turnstiles)

    def _break_everything(self, witness: Caller, caller: Caller) -> None:
        """People come one by one and in rushes, until there were as many as wanted, and the daemon was killed."""
        random, began = self._random, time.monotonic()
        self._havoc.plan(self._deeds(caller))
        progress = Progress(self._tell)
        while (done := self._done()) < self._punches or not self.broken["kill -9"]:
            now = time.monotonic()
            if done < (now - began) * A_SECOND:
                turnstile = random.choice(self._turnstiles)
                for _ in range(random.choice([1, 1, 1, 1, 1, 1, 1, 1, 60])):
                    turnstile.act()
            self._havoc.step()
            progress.now(lambda: f"{done} punches, {len(witness.messages)} heard, {dict(self.broken)}")
            time.sleep(TICK_S)

    def _deeds(self, caller: Caller) -> dict[Callable[[], object], float]:
        """What is done, and about how many seconds pass between."""
        havoc = self._havoc
        return {
            havoc.kill: 9,
            havoc.terminate: 30,
            havoc.pause: 25,
            havoc.stop_broker: 25,
            havoc.pause_broker: 25,
            havoc.restart: 3,
            havoc.go_dark: 20,
            lambda: havoc.fault(FRAMES): 1,
            havoc.neighbour: 8,
            lambda: havoc.command(caller): 0.3,
        }

    def _listen(self) -> None:
        """The witness hears what is published from now on."""
        self._havoc.wait(lambda: self._witness.connected, SILENT_FOR_S)
        self._witness.subscribe(EVENTS, qos=0, timeout=SILENT_FOR_S)


def main(arguments: Sequence[str]) -> int:
    """Run, print what is wrong and a line of counts; 1 if any punch was lost, invented or out of order."""
    parser = argparse.ArgumentParser(prog="punches", description=__doc__)
    parser.add_argument("--punches", type=int, default=10_000, help="at least; about forty come a second")
    return run_program(parser, arguments, _run)


def _run(wanted: argparse.Namespace, folder: Path) -> Outcome:
    torture = Torture(folder, seed=wanted.seed, punches=wanted.punches, tell=click.echo)
    verdict = torture.go()
    counts = f"seed {wanted.seed}, {len(TERMINALS)} terminals, {dict(sorted(torture.broken.items()))}"
    return Outcome([*verdict.findings[:50], counts, str(verdict)], bool(verdict.findings))
