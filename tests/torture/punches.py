"""People punch while everything breaks at random, from a seed: `python -m tests.torture.punches --seed N`."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.torture.punch_oracle import Record, Verdict, judge
from tests.torture.world import Diary, Keeper
from zkbridge.config import Device
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.terminal.deadline import Deadline
from zkbridge.terminal.session import reach

#: Terminals: profile, what the simulator and what the bridge is told.
TERMINALS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
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
TIMEOUT_S = 2.0
TICK_S = 0.005
A_SECOND = 40
#: Seconds without any news after which what was not published by then never will be.
SILENT_FOR_S = 60.0
EVENTS = "zk/+/attendance/event"
FIRST_DAY = datetime(2026, 3, 2, 6, 0, 0)  # noqa: DTZ001 - a terminal's clock has no zone
COMMANDS = ("ping", "time/get", "users/list", "users/create", "attendance/list", "info")
FRAMES = ("CONNECT", "REG_EVENT", "GET_FREE_SIZES", "PREPARE_BUFFER", "READ_BUFFER", "FREE_DATA", "OPTIONS_RRQ", "EXIT")
ACTIONS = ("close", "reset", "half", "garbage", "silence", "late", "refuse", "twice", "bad_reply_id", "power_off")


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
        self._seconds = punches / A_SECOND
        self._tell = tell
        self.broken: Counter[str] = Counter()
        self._diary = Diary()
        self._simulator = Simulator()
        self._turnstiles: list[Turnstile] = []
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._threads: list[threading.Thread] = []
        devices: dict[str, Any] = {}
        for number, (profile, switches, settings) in enumerate(TERMINALS[:terminals]):
            told = dict(switches)
            terminal = self._simulator.add(
                TerminalConfig(profile=profile, comm_key=told.pop("comm_key", 0), switches=told)
            )
            terminal.fill_users(USERS)
            name = f"puerta-{number}"
            self._turnstiles.append(Turnstile(name, terminal, Random(f"{seed} {number}")))
            devices[name] = device(terminal, timeout=TIMEOUT_S, attendance="live", **settings)
        self._broker = Mosquitto(folder / "mosquitto", persistence=True)
        self._broker.start()
        self._broker_paused = False
        self._mark = 0
        self._doomed = False
        self._told: set[str] = set()
        self._read = 0
        self.daemon = Daemon(folder / "punches", self._broker.port, devices, mqtt={"keepalive": 5})
        self.keeper = Keeper(self.daemon, self._diary)

    def go(self) -> Verdict:
        """Do it all, from the main thread."""
        with self._all_of_it(), Caller(self._broker.port) as witness:
            # At QoS 0: what Mosquitto 2.0.11 keeps of a session over its own restarts is nothing to judge a bridge by.
            witness.subscribe(EVENTS, qos=0)
            self.keeper.start(online=True)
            self._wait(lambda: self.daemon.log.count("listened to for the first time") == len(self._turnstiles), 60)
            self._break_everything(witness)
            self._mend(witness)
            wanted = sum(len(turnstile.recorded) for turnstile in self._turnstiles)
            self._tell(f"nothing goes wrong any more; waiting until all {wanted} are published")
            heard = 0
            while heard < wanted and self._wait(lambda: self._heard(witness) > heard, SILENT_FOR_S):  # noqa: B023 - called at once
                heard = self._heard(witness)
            left = self._stop()
            verdict = judge(
                {turnstile.name: turnstile.recorded for turnstile in self._turnstiles},
                [message.json for message in list(witness.messages)],
            )
            verdict.findings.extend(self.keeper.collapses + left)
            return verdict

    def _stop(self) -> list[str]:
        """Stop the daemon as systemd does: what it leaves undone."""
        self._wait(self._is_online, SILENT_FOR_S)
        code = self.daemon.stop()
        with closing(sqlite3.connect(self.daemon.state / "ledger.db")) as ledger:
            (kept,) = ledger.execute("SELECT count(*) FROM punches").fetchone()
        found = [f"the daemon stopped with {code}"] if code else []
        return found + ([f"{kept} punches were kept although they were published"] if kept else [])

    @contextmanager
    def _all_of_it(self) -> Iterator[None]:
        try:
            yield
        finally:
            for thread in self._threads:
                thread.join()
            if self.daemon.running:
                self.keeper.resume()
                self.daemon.kill()
            if self._broker_paused:
                self._broker.resume()
            self._broker.stop()
            self._simulator.stop()

    def _heard(self, witness: Caller) -> int:
        """How many different punches were published by now."""
        news = witness.messages[self._read :]
        self._read += len(news)
        for message in news:
            self._told.add(json.loads(message.payload)["id"])
        return len(self._told)

    # -- people --------------------------------------------------------------------------------------------------

    def _break_everything(self, witness: Caller) -> None:
        """People come one by one and in rushes, until there were as many as wanted."""
        random, began = self._random, time.monotonic()
        deeds = self._deeds(witness)
        due = {deed: began + random.uniform(0.5, 1) * every for deed, every in deeds.items()}
        told = began
        while (done := sum(len(turnstile.recorded) for turnstile in self._turnstiles)) < self._punches:
            now = time.monotonic()
            if done < (now - began) * A_SECOND:
                turnstile = random.choice(self._turnstiles)
                for _ in range(random.choice([1, 1, 1, 1, 1, 1, 1, 1, 60])):
                    turnstile.act()
            for deed in [deed for deed, at in due.items() if at <= now]:
                due[deed] = now + random.uniform(0.5, 1.5) * deeds[deed]
                deed()
            for act in [act for at, act in self._later if at <= now]:
                act()
            self._later = [(at, act) for at, act in self._later if at > now]
            self.keeper.look(random.choice([0.0, 0.3, 1.0]))
            if now - told > 15:
                told = now
                self._tell(f"{now - began:4.0f} s: {done} punches, {len(witness.messages)} heard, {dict(self.broken)}")
            time.sleep(TICK_S)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _deeds(self, witness: Caller) -> dict[Callable[[], object], float]:
        """What is done, and about how many seconds pass between."""
        return {
            self._kill: 9,
            self._terminate: 30,
            self._pause: 25,
            lambda: self._stop_broker(witness): 25,
            self._pause_broker: 25,
            self._restart: 3,
            self._go_dark: 20,
            self._fault: 1,
            self._neighbour: 8,
            lambda: self._command(witness): 0.3,
        }

    def _soon(self, seconds: float, act: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    def _somewhere(self) -> Turnstile:
        return self._random.choice(self._turnstiles)

    def _kill(self) -> None:
        """Now and then before it has begun; but as a rule it is to get some work done."""
        if self._random.random() < 0.2:
            self._strike()
        elif not self._doomed:
            self._doomed = True
            self._kill_once_online()

    def _kill_once_online(self) -> None:
        if self._is_online():
            self._soon(self._random.uniform(0, 5), self._strike)
        else:
            self._soon(0.2, self._kill_once_online)

    def _strike(self) -> None:
        self._doomed = False
        if self.keeper.kill("at random"):
            self.broken["kill -9"] += 1
            self._mark = len(self.daemon.log)

    def _is_online(self) -> bool:
        return self.keeper.alive and "connected to" in self.daemon.log[self._mark :]

    def _terminate(self) -> None:
        if self.keeper.terminate():
            self.broken["SIGTERM"] += 1
            self._mark = len(self.daemon.log)

    def _pause(self) -> None:
        if self.keeper.pause():
            self.broken["SIGSTOP"] += 1
            self._soon(self._random.choice([0.3, 2, 6]), self.keeper.resume)

    def _stop_broker(self, witness: Caller) -> None:
        if self._broker.pid is not None and not self._broker_paused:
            self.broken["broker stopped"] += 1
            self._broker.stop()
            self._soon(self._random.choice([0.5, 3, 8]), lambda: self._start_broker(witness))

    def _start_broker(self, witness: Caller) -> None:
        """Nobody publishes before the witness listens again."""
        held = self.keeper.pause()
        self._broker.start()
        self._wait(lambda: witness.connected, SILENT_FOR_S)
        witness.subscribe(EVENTS, qos=0, timeout=SILENT_FOR_S)
        if held:
            self.keeper.resume()

    def _pause_broker(self) -> None:
        if self._broker.pid is not None and not self._broker_paused:
            self.broken["broker paused"] += 1
            self._broker.pause()
            self._broker_paused = True
            self._soon(self._random.choice([0.3, 2, 6]), self._resume_broker)

    def _resume_broker(self) -> None:
        self._broker_paused = False
        self._broker.resume()

    def _restart(self) -> None:
        terminal = self._somewhere().terminal
        if terminal.powered:
            self.broken["restart"] += 1
            terminal.restart()

    def _go_dark(self) -> None:
        """Without a word, and for a while."""
        terminal = self._somewhere().terminal
        if terminal.powered:
            self.broken["dark"] += 1
            terminal.power_off("silent")
            self._soon(self._random.choice([0.5, 4, 15]), lambda: self._power_on(terminal))

    def _power_on(self, terminal: SimulatedTerminal) -> None:
        if not terminal.powered:
            terminal.power_on()

    def _fault(self) -> None:
        random, terminal = self._random, self._somewhere().terminal
        do, frame = random.choice(ACTIONS), random.choice(FRAMES)
        more: dict[str, Any] = {"delay": random.choice([0.1, 1.0])} if do == "late" else {}
        self.broken["fault"] += 1
        terminal.faults.add(frame, random.choice(["before", "after"]), do, skip=random.choice([0, 0, 1]), **more)
        if do == "power_off":
            self._soon(5, lambda: self._power_on(terminal))

    def _neighbour(self) -> None:
        """Another program of the machine that heeds the lock, as `zkbridge check --connect` does."""
        name = self._somewhere().name
        settings = Device.model_validate({**self.daemon.config["devices"][name], "id": name})

        def call() -> None:
            with suppress(Exception):  # in all this it may well fail
                reach(settings, deadline=Deadline.after(5), lock_dir=Path(self.daemon.config["lock_dir"]))
                self.broken["neighbour"] += 1

        thread = threading.Thread(target=call, name="neighbour")
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _command(self, witness: Caller) -> None:
        name, command = self._somewhere().name, self._random.choice(COMMANDS)
        number = self._random.randrange(900_000, 999_999)
        body = {"user_id": str(number), "name": "Eva"} if command == "users/create" else {}
        self.broken["command"] += 1
        witness._client.publish(f"zk/{name}/{command}", json.dumps(body), 1)

    def _mend(self, witness: Caller) -> None:
        for turnstile in self._turnstiles:
            turnstile.terminal.faults.clear()
            turnstile.terminal.switches.update({"udp_loss": 0.0, "udp_duplicate": 0.0, "udp_reorder": 0.0})
            self._power_on(turnstile.terminal)
        self.keeper.resume()
        if self._broker_paused:
            self._resume_broker()
        if self._broker.pid is None:
            self._start_broker(witness)

    def _wait(self, condition: Callable[[], bool], within: float) -> bool:
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.keeper.look(0.0)
            time.sleep(0.05)
        return True


def main() -> int:
    """Run, print what is wrong and a line of counts; 1 if any punch was lost, invented or out of order."""
    parser = argparse.ArgumentParser(prog="punches", description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000))
    parser.add_argument("--punches", type=int, default=10_000, help="at least; about forty come a second")
    parser.add_argument("--keep", type=Path, help="leave logs, ledger and broker's files in this new folder")
    wanted = parser.parse_args()
    if wanted.keep:
        wanted.keep.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="zkbridge-punches-") as folder:
        torture = Torture(wanted.keep or Path(folder), seed=wanted.seed, punches=wanted.punches, tell=_say)
        verdict = torture.go()
    for finding in verdict.findings[:50]:
        _say(finding)
    _say(f"seed {wanted.seed}, {len(TERMINALS)} terminals, {dict(sorted(torture.broken.items()))}")
    _say(str(verdict))
    return 1 if verdict.findings else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
