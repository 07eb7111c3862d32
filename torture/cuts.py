"""Power cuts in the middle of everything, from a seed: `python -m torture cuts --cuts 1000 --seed N`.

The daemon's state folder is on storage that loses what was not synced (`torture/disk.py`).
Terminals and broker live on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import click

from tests.support.caller import Caller
from tests.support.nursery import Nursery
from torture.breakage import Breakage
from torture.disk import MODELS, Model
from torture.frame import Outcome, run_program
from torture.havoc import SILENT_FOR_S
from torture.punch_oracle import judge as judge_punches
from torture.punches import EVENTS, Turnstile
from torture.report import stories, table
from torture.run import Result, Run
from torture.storage import CutDaemon, Storage, shimmed_nursery
from torture.world import Equipment, World

#: Terminals: profile, users at the start, what the simulator and what the bridge is told.
TERMINALS: tuple[Equipment, ...] = (
    ("tft", 8, {}, {"attendance": "live"}),
    ("tft", 40, {"comm_key": 1234}, {"comm_key": 1234}),
    ("bw", 10, {"user_id_width": 9, "idle_timeout": 6.0}, {"transport": "udp"}),
    ("tft", 10, {"timed_disable": "refuse"}, {}),
    ("face", 6, {}, {"attendance": "live"}),
)
#: Seconds of the plan, and messages, for each cut.
SECONDS_A_CUT, REQUESTS_A_CUT = 0.6, 3
#: Seconds after which the power goes whatever the daemon has come to, and before which it does not by a kill.
PATIENCE_S = 6.0
PUNCHES_A_SECOND = 8


class CutWorld(World):
    """A world whose daemon has its state on storage that loses what was not synced."""

    def __init__(
        self, folder: Path, *, seed: int, nursery: Nursery, models: Sequence[Model], ignored: Container[str]
    ) -> None:
        self._nursery = nursery
        self.storage = Storage(
            folder / "torture" / "state", random=Random(f"{seed} storage"), models=models, ignored=ignored
        )
        self._points = Random(f"{seed} points")
        super().__init__(folder, seed=seed, terminals=TERMINALS)
        self.keeper.may_be_cut = True

    def _make_daemon(self, folder: Path, devices: dict[str, Any], settings: Mapping[str, Any]) -> CutDaemon:
        self.cut_daemon = CutDaemon(
            folder,
            self.broker.port,
            devices,
            nursery=self._nursery,
            storage=self.storage,
            random=self._points,
            **settings,
        )
        return self.cut_daemon


class Cuts(Breakage):
    """Cuts the power again and again, while people punch, and a few other things go wrong."""

    _world: CutWorld

    def __init__(
        self, random: Random, world: CutWorld, *, cuts: int, seconds: float, turnstiles: Sequence[Turnstile]
    ) -> None:
        self._turnstiles = turnstiles
        self._punched_at = time.monotonic()
        self._work = 0
        super().__init__(random, world, kills=cuts, seconds=seconds)
        world.cut_daemon.calm = False
        world.keeper.kill("for the first cut")

    def tick(self) -> None:
        """Do what is due."""
        super().tick()
        keeper = self._world.keeper
        if keeper.alive and (keeper.age_s > PATIENCE_S or self._is_to_be_killed()):
            keeper.kill("as a power cut")
        if time.monotonic() - self._punched_at > 1 / PUNCHES_A_SECOND:
            self._punched_at = time.monotonic()
            self._random.choice(self._turnstiles).act()

    def end(self) -> None:
        """As its parent does; no more cuts."""
        self._world.cut_daemon.calm = True
        self._world.keeper.kill("so that nothing more is cut")
        super().end()

    def _is_to_be_killed(self) -> bool:
        """By a kill from outside, once it has come to some work."""
        if self._world.cut_daemon.cut_at or self._world.keeper.work < self._work:
            return False
        self._work = self._random.choice([0, 5, 20, 60])
        return True

    def _draw(self, kills: int, seconds: float) -> None:
        rates: list[tuple[Callable[[], None], float]] = [
            (self._terminate, kills / 20),
            (self._fault, kills / 5),
            (self._keypad, kills / 2),
        ]
        for act, times in rates:
            for _ in range(max(1, round(times))):
                self._plan(self._random.uniform(0.5, seconds), act)


class CutRun(Run):
    """A run with `cuts` power cuts. Syncs of `ignored` files do nothing, to show that this is found."""

    #: Seconds without a new punch after which what is not published never will be.
    silent_for_s = SILENT_FOR_S
    _world: CutWorld

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        cuts: int,
        nursery: Nursery,
        models: Sequence[Model] = MODELS,
        ignored: Container[str] = (),
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._nursery, self._models, self._ignored = nursery, models, ignored
        seconds = cuts * SECONDS_A_CUT
        super().__init__(folder, seed=seed, requests=cuts * REQUESTS_A_CUT, kills=cuts, seconds=seconds, tell=tell)
        self._turnstiles = [
            Turnstile(place.device, self._world.terminals[place.device], Random(f"{seed} {place.device}"))
            for place, (*_, told) in zip(self._world.places, TERMINALS, strict=True)
            if "attendance" in told
        ]
        self._witness = Caller(self._world.broker.port)

    @property
    def storage(self) -> Storage:
        """What was cut."""
        return self._world.storage

    def _make_world(self, folder: Path, terminals: int) -> World:  # noqa: ARG002 - it has terminals of its own
        return CutWorld(folder, seed=self._seed, nursery=self._nursery, models=self._models, ignored=self._ignored)

    def _make_breakage(self) -> Breakage:
        world = self._world
        first = len(self._turnstiles)
        self._wait(lambda: world.daemon.log.count("listened to for the first time") == first, "live punches")
        return Cuts(self._random, world, cuts=self._kills, seconds=self._seconds, turnstiles=self._turnstiles)

    def go(self) -> Result:
        """Do it all. Call it from the main thread."""
        with self._witness:
            self._witness.subscribe(EVENTS, qos=0)
            return super().go()

    def _finish(self) -> None:
        """As its parent does, once every punch is published."""
        heard, changed = 0, time.monotonic()
        wanted = sum(len(turnstile.recorded) for turnstile in self._turnstiles)

        def all_heard() -> bool:
            nonlocal heard, changed
            if (now := len(self._published())) != heard:
                heard, changed = now, time.monotonic()
            return heard >= wanted or time.monotonic() - changed > self.silent_for_s

        self._wait(all_heard, "all punches", within=float("inf"))
        super()._finish()
        recorded = {turnstile.name: turnstile.recorded for turnstile in self._turnstiles}
        verdict = judge_punches(recorded, [message.json for message in list(self._witness.messages)])
        self._tell(str(verdict))
        self._history.collapses += [f"punches: {finding}" for finding in verdict.findings[:20]]
        self._history.collapses += self._world.storage.findings[:20]
        if "the ledger is damaged" in self._world.daemon.log:
            self._history.collapses.append("a ledger could not be read after a cut")

    def _published(self) -> set[str]:
        return {json.loads(message.payload)["id"] for message in list(self._witness.messages)}


def main(arguments: Sequence[str]) -> int:
    """Run, print the stories of what went wrong and the table; 1 if anything was lost, doubled, wrong or disabled."""
    parser = argparse.ArgumentParser(prog="cuts", description=__doc__)
    parser.add_argument("--cuts", type=int, default=1000, help="power cuts, at least")
    parser.add_argument("--model", choices=MODELS, help="what a cut does to names; default: each at random")
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="FILE",
        help="heed no sync of this file, to see that it is found",
    )
    return run_program(parser, arguments, _run)


def _run(wanted: argparse.Namespace, folder: Path) -> Outcome:
    click.echo(f"seed {wanted.seed}: {wanted.cuts} power cuts")
    models = MODELS if wanted.model is None else (wanted.model,)
    with shimmed_nursery(folder) as nursery:
        run = CutRun(
            folder,
            seed=wanted.seed,
            cuts=wanted.cuts,
            nursery=nursery,
            models=models,
            ignored=wanted.forget,
            tell=click.echo,
        )
        result = run.go()
    storage = run.storage
    counts = f"{storage.cuts} cuts, {storage.operations} operations on files, {storage.moments} other moments looked at"
    lines = [line for story in stories(result) for line in ("", story)]
    return Outcome([*lines, "", table(result), counts], bool(result.findings))
