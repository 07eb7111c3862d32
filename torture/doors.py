"""People ask for doors while everything breaks at random, from a seed: `python -m torture doors --seed N`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import click

from tests.support.caller import Caller
from torture.door_callers import Listener, Sender, key_of, whose
from torture.door_openings import Openings
from torture.door_oracle import Delivery, History, Publication, Request, Verdict, judge, unanswered
from torture.door_wishes import SECONDS, Wishes
from torture.frame import Outcome, Progress, Scene, Spec, run_program
from torture.havoc import SILENT_FOR_S, Deed

#: Doors: profile, what the simulator and what the bridge is told.
TERMINALS: tuple[Spec, ...] = (
    ("tft", {}, {}),
    ("tft", {"second_connection": "refuse"}, {"attendance": "live"}),
    ("ma300", {"idle_timeout": 20.0}, {"transport": "udp"}),
    ("bw", {"idle_timeout": 20.0, "udp_loss": 0.02, "udp_duplicate": 0.05, "udp_reorder": 0.05}, {"transport": "udp"}),
    ("tft", {"comm_key": 1234, "latency": 0.01}, {"comm_key": 1234}),
    ("face", {"silent_restart": True}, {}),
    ("tft", {"second_connection": "replace", "delivery": "split-9", "split_delay": 0.0}, {"attendance": "live"}),
    ("bw", {"transport": "both"}, {}),
    ("tft", {"second_connection": "refuse"}, {}),
    ("bw", {"idle_timeout": 20.0, "udp_duplicate": 0.2}, {"transport": "udp", "attendance": "live"}),
    ("tft", {"second_connection": "replace"}, {}),
)
MOST = len(TERMINALS) * len(SECONDS)
MAX_AGE_S = 6.0
#: Some for longer than a request may be old.
PAUSES_S = (0.3, 2, MAX_AGE_S + 3)
ABSENCES_S = (0.0, 0.0, 0.3, 0.3, 1.0, MAX_AGE_S + 3)
TICK_S = 0.005
A_SECOND = 3.5
#: The request_id of a ping to each terminal whose reply tells that all earlier requests have arrived.
LAST = "last"
#: Seconds without an answer after which what has none by then never will.
QUIET_S = 15.0
TOPIC = "zk/{}/door/unlock"
REPLIES = ("zk/+/door/unlock/reply", "zk/replies/#")
FRAMES = ("CONNECT", "AUTH", "UNLOCK", "UNLOCK", "UNLOCK", "EXIT", "GET_FREE_SIZES", "OPTIONS_RRQ")
#: A terminal that opens the door and says that it does not would make a liar of anybody.
HONEST = ("UNLOCK",)


class Torture:
    """So many requests, with everything going wrong meanwhile; `go` returns the verdict."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        requests: int,
        terminals: int = len(TERMINALS),
        long_after_s: float = 30,
        tell: Callable[[str], None],
    ) -> None:
        if requests > terminals * len(SECONDS):
            raise ValueError(f"{terminals} doors can tell {terminals * len(SECONDS)} requests from each other, no more")
        self._random = Random(seed)
        self._wanted = requests
        self._pauses_s = ((), (), (0,), (0, 0.1), (2,), (0, 5), (0.4 * long_after_s,), (0, long_after_s))
        self._tell = tell
        self.protocol = protocol_of(seed)
        self._requests: dict[str, Request] = {}
        self._openings = Openings()
        self._sent: list[tuple[Request, int, Sender, int]] = []
        self._retained: set[str] = set()
        self._copies_to_come = 0
        self._scene = Scene(
            folder,
            "doors",
            TERMINALS[:terminals],
            random=self._random,
            listen_again=self._listen,
            settings={"door": {"enabled": True, "max_age": MAX_AGE_S, "trust_clock": True}},
            # Else a broker drops what is more than a thousand for a daemon that is away, and says that all is well.
            broker=["max_queued_messages 0"],
            daemon={"covered": False, "mqtt": {"keepalive": 5, "protocol": self.protocol}},
            havoc={"pauses": PAUSES_S, "absences": ABSENCES_S},
        )
        for name, terminal in self._scene.terminals.items():
            self._openings.watch(name, terminal)
        self._wishes = Wishes(self._random, list(self._scene.terminals), numbered=self.protocol == "5")
        self.daemon, self._havoc = self._scene.daemon, self._scene.havoc
        self._listener = Listener(self._scene.broker.port, self._requests)
        self._sender = Sender(self._scene.broker.port)
        self.broken = self._havoc.broken

    def go(self) -> Verdict:
        """Do it all, from the main thread."""
        with self._all_of_it():
            self._listener.connect()
            self._sender.connect()
            self._subscribe()
            self._scene.keeper.start(online=True)
            self._break_everything()
            self._havoc.mend()
            for name in self._scene.terminals:
                self._clear(name)
            self._tell("nothing goes wrong any more; waiting until all is answered")
            self._havoc.wait(self._havoc.is_online, SILENT_FOR_S)
            while self._awaits_answers() and self._havoc.wait(lambda: self._listener.sort() > 0, QUIET_S):
                pass
            return judge(self._history(self._stop()))

    def _awaits_answers(self) -> bool:
        return any(
            request.publications[number].qos > 0
            for request in self._requests.values()
            for number in unanswered(request)
        )

    def _stop(self) -> list[str]:
        """Stop the daemon as systemd does: what it leaves undone of all that was asked of it, doors or not."""
        self._wait_for_arrival()
        self._havoc.wait(lambda: self._undone() == (0, 0), SILENT_FOR_S)
        found = self._scene.stop_daemon()
        unfinished, owed = self._undone()
        found += [f"the ledger holds {unfinished} unfinished requests"] if unfinished else []
        return found + ([f"the ledger owes {owed} answers"] if owed else [])

    def _wait_for_arrival(self) -> None:
        """Return when the bridge has received all that was published: a request at QoS 0 may still be under way."""
        with Caller(self._scene.broker.port) as caller:
            caller.subscribe("zk/+/ping/reply")
            sender = self._sender if self._sender.connected else caller
            for name in self._scene.terminals:
                sender.send(f"zk/{name}/ping", {"request_id": LAST})
            for name in self._scene.terminals:
                caller.wait_for(
                    f"zk/{name}/ping/reply", lambda m: m.json.get("request_id") == LAST, timeout=SILENT_FOR_S
                )

    def _undone(self) -> tuple[int, int]:
        """Unfinished requests and owed answers, as the disk has them."""
        ((unfinished, owed),) = self._scene.stored(
            "SELECT (SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')),"
            " (SELECT count(*) FROM answers WHERE owed = 1)"
        )
        return unfinished, owed

    @contextmanager
    def _all_of_it(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._listener.close()
            self._sender.close()
            self._scene.close()

    # -- what happened -----------------------------------------------------------------------------------------------

    def _history(self, wrong: list[str]) -> History:
        for request, copy, sender, mid in self._sent:
            publication = request.publications[copy]
            request.publications[copy] = replace(publication, confirmed_at=sender.confirmed.get(mid))
        strays = self._openings.sort(self._requests)
        self._add_deliveries()
        return History(
            requests=list(self._requests.values()),
            max_age_s=MAX_AGE_S,
            strays=strays,
            broker_losses=self._havoc.broker_losses,
            wrong=[*self._scene.keeper.collapses, *wrong],
        )

    def _add_deliveries(self) -> None:
        """What the bridge knows of its answers; only to excuse what a broker that was killed has forgotten."""
        rows = self._scene.stored(
            "SELECT a.correlation, r.request_id, a.reply, a.sent_at"
            " FROM answers a LEFT JOIN requests r ON r.id = a.request"
        )
        for correlation, request_id, reply, sent_at in rows:
            key, copy = request_id or (json.loads(reply).get("request_id") if reply else None), None
            if correlation is not None:
                key, copy = whose(correlation)
            if key in self._requests:
                self._requests[key].deliveries.append(Delivery(copy, sent_at))

    # -- people ------------------------------------------------------------------------------------------------------

    def _break_everything(self) -> None:
        """People come one by one and in rushes, until there were as many as wanted and all copies are published."""
        random, began = self._random, time.monotonic()
        self._havoc.plan(self._deeds())
        next_at, progress = began, Progress(self._tell)
        while len(self._requests) < self._wanted or self._copies_to_come:
            now = time.monotonic()
            if now >= next_at and self._sender.connected:
                rush = random.choice([1, 1, 1, 1, 1, 1, 1, 1, 1, 8])
                next_at = now + random.expovariate(A_SECOND / rush)
                for _ in range(min(rush, self._wanted - len(self._requests))):
                    self._ask()
            self._havoc.step()
            self._listener.sort()
            progress.now(lambda: f"{len(self._requests)} requests, {len(self._openings)} openings, {dict(self.broken)}")
            time.sleep(TICK_S)

    def _deeds(self) -> dict[Deed, float]:
        """What is done, and about how many seconds pass between."""
        havoc = self._havoc
        return {
            havoc.kill: 10,
            havoc.terminate: 30,
            havoc.pause: 20,
            havoc.stop_broker: 45,
            havoc.kill_broker: 30,
            havoc.pause_broker: 25,
            havoc.restart: 3,
            havoc.go_dark: 5,
            lambda: havoc.fault(FRAMES, honest=HONEST): 0.5,
            havoc.repair: 5,
            havoc.neighbour: 10,
            lambda: havoc.command(self._listener): 1,
        }

    def _ask(self) -> None:
        """Somebody wants a door open."""
        random = self._random
        key, request, body, where = self._wishes.draw()
        name = request.device
        self._requests[key] = request
        if name not in self._retained and random.random() < 0.07:
            self._publish(request, body, where, qos=1, retain=True)
            self._retained.add(name)
            self._havoc.soon(random.choice([0.1, 5, 20]), lambda: self._clear(name))
            return
        qos = random.choice([0, 1, 1, 1, 1, 2])
        self._publish(request, body, where, qos=qos)
        # Without a request_id nobody could tell a copy from somebody else who wants the same.
        pauses = random.choice(self._pauses_s) if request.request_id else ()
        for pause in pauses:
            self._copies_to_come += 1
            self._havoc.soon(random.uniform(pause, pause * 1.5), lambda: self._publish_copy(request, body, where, qos))

    def _publish_copy(self, request: Request, body: dict[str, Any], where: str | None, qos: int) -> None:
        """The very same once more, as soon as there is a broker."""
        if not self._sender.connected:
            self._havoc.soon(0.5, lambda: self._publish_copy(request, body, where, qos))
            return
        self._copies_to_come -= 1
        self._publish(request, body, where, qos=qos)

    def _publish(
        self, request: Request, body: dict[str, Any], where: str | None, *, qos: int, retain: bool = False
    ) -> None:
        copy = len(request.publications)
        data = f"{key_of(request.device, request.seconds)} {copy}".encode() if request.numbered else None
        # MQTT 3.1.1 hands on what is retained as if it were not, to whoever is there.
        request.publications.append(Publication(time.time(), qos, retained=retain and self.protocol == "5"))
        info = self._sender.send(
            TOPIC.format(request.device), body, qos=qos, retain=retain, response_topic=where, correlation_data=data
        )
        self._sent.append((request, copy, self._sender, info.mid))

    def _clear(self, name: str) -> None:
        """Take away what was retained, as soon as there is a broker."""
        if self._sender.connected:
            self._sender.send(TOPIC.format(name), b"", retain=True)
            self._retained.discard(name)
        else:
            self._havoc.soon(0.5, lambda: self._clear(name))

    def _listen(self) -> None:
        """Answers are heard from now on, and requests published, by somebody new who remembers nothing."""
        self._havoc.wait(lambda: self._listener.connected, SILENT_FOR_S)
        self._subscribe()
        with suppress(OSError):
            self._sender.close()
        self._sender = Sender(self._scene.broker.port)
        self._sender.connect()

    def _subscribe(self) -> None:
        # At QoS 0: what Mosquitto 2.0.11 keeps of a session over its own restarts is nothing to judge a bridge by.
        for topic in REPLIES:
            self._listener.subscribe(topic, qos=0, timeout=SILENT_FOR_S)


def protocol_of(seed: int) -> str:
    """What the bridge of a run speaks; its callers speak MQTT 5."""
    return Random(f"{seed} protocol").choice(["5", "5", "3.1.1"])


def main(arguments: Sequence[str]) -> int:
    """Run, print what is wrong and a line of counts; 1 if any door opened twice, late or otherwise than was said."""
    parser = argparse.ArgumentParser(prog="doors", description=__doc__)
    parser.add_argument("--requests", type=_countable, default=600, help=f"1 to {MOST}; two or three come a second")
    return run_program(parser, arguments, _run)


def _countable(text: str) -> int:
    """A number of requests of which each opening tells whose it is. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"1 to {MOST}, so that each opening tells whose it is")
    return int(text)


def _run(wanted: argparse.Namespace, folder: Path) -> Outcome:
    torture = Torture(folder, seed=wanted.seed, requests=wanted.requests, tell=click.echo)
    verdict = torture.go()
    found = [f"{finding.kind}: {finding.sentence}" for finding in verdict.findings[:50]]
    place = f"{len(TERMINALS)} terminals, MQTT {torture.protocol}"
    counts = f"seed {wanted.seed}, {place}, {dict(sorted(torture.broken.items()))}"
    return Outcome([*found, counts, str(verdict)], bool(verdict.findings))
