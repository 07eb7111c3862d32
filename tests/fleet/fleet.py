"""Several bridges on a cluster of brokers, with the terminals divided among them, and one that stands by."""

import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.support import processes
from tests.support.caller import Caller
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

PATIENCE_S = 120.0


class Fleet:
    """`bridges` daemons on two brokers in turn, each with `terminals` terminals of its own; a context manager.

    The brokers are a cluster as Mosquitto makes one: the second is a `connection` of the first. Each bridge's
    terminals are simulated by a process of their own.
    """

    def __init__(self, folder: Path, *, bridges: int, terminals: int) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._bridges = bridges
        self._terminals = terminals

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._open = stack
            first = stack.enter_context(Mosquitto(self._folder / "a", persistence=True, extra=LIMITS))
            link = [*LIMITS, "connection cluster", f"address {first.host}:{first.port}", *LINK]
            second = stack.enter_context(Mosquitto(self._folder / "b", persistence=True, extra=link))
            self.brokers = (first, second)
            self.devices = [self._simulate(number) for number in range(self._bridges)]
            self.callers = tuple(stack.enter_context(Caller(broker.port)) for broker in self.brokers)
            self._wait_for_cluster()
            self.daemons = [self._daemon(number) for number in range(self._bridges)]
            for daemon in self.daemons:
                stack.enter_context(daemon)
            for caller in self.callers:
                caller.subscribe("zk/+/users/+/reply")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def ids(self) -> list[str]:
        """Every device's id."""
        return [device for devices in self.devices for device in devices]

    def ask(self, device: str, command: str, body: dict[str, Any], *, by: int) -> None:
        """Publish a request to one of the brokers; wait for nothing but its confirmation."""
        self.callers[by].publish(f"zk/{device}/{command}", body, timeout=PATIENCE_S)

    def answers(self, by: int) -> dict[str, list[dict[str, Any]]]:
        """What has been heard at a broker so far, by request_id."""
        found: dict[str, list[dict[str, Any]]] = {}
        for message in list(self.callers[by].messages):
            if message.topic.endswith("/reply"):
                found.setdefault(message.json["request_id"], []).append(message.json)
        return found

    def wait_for(self, requests: set[str], *, by: int) -> dict[str, list[dict[str, Any]]]:
        """Wait until each has been answered at a broker."""
        wait_until(
            lambda: requests <= self.answers(by).keys(),
            timeout=PATIENCE_S,
            what=f"the answers to {sorted(requests - self.answers(by).keys())[:20]}",
        )
        return self.answers(by)

    def standby(self, number: int, *, ledger: str) -> Daemon:
        """Another bridge with the client id and the configuration of one that is dead; it is not started yet.

        `ledger`: what it has of the dead one's, `shared` (the folder itself), `copied`, or `none`.
        """
        dead = self.daemons[number]
        daemon = Daemon(self._folder / f"standby{number}", 0, {})
        state = {"shared": dead.state}.get(ledger, daemon.state)
        if ledger == "copied":
            shutil.copytree(dead.state, daemon.state)
        daemon.config = {**dead.config, "state_dir": str(state), "lock_dir": str(daemon.folder / "locks")}
        return daemon

    def tables(self, tag: str) -> dict[str, list[str]]:
        """The user ids on every terminal, as it says itself."""
        requests = {f"{tag}-{device}": device for device in self.ids}
        for request_id, device in requests.items():
            self.ask(device, "users/list", {"request_id": request_id}, by=0)
        answers = self.wait_for(set(requests), by=0)
        return {device: [row["user_id"] for row in answers[key][0]["data"]] for key, device in requests.items()}

    def _daemon(self, number: int) -> Daemon:
        mqtt = {"unknown_devices": "ignore"}
        broker = self.brokers[number % len(self.brokers)]
        return Daemon(self._folder / f"bridge{number}", broker.port, self.devices[number], mqtt=mqtt, covered=False)

    def _simulate(self, number: int) -> dict[str, dict[str, Any]]:
        """So many terminals in a process; their devices by id."""
        log = self._folder / f"terminals{number}.log"
        command = [sys.executable, "-m", "zkbridge", "simulate", "--lines", "--count", str(self._terminals)]
        process = processes.start([*command, "--port", "0"], log=log)
        self._open.callback(processes.stop, process)
        ready = re.compile(r"ready on ([\d.]+):(\d+)")
        wait_until(
            lambda: len(ready.findall(log.read_text())) == self._terminals, timeout=PATIENCE_S, what="the terminals"
        )
        return {
            f"b{number}-t{place}": {"host": host, "port": int(port), "timeout": 10}
            for place, (host, port) in enumerate(ready.findall(log.read_text()))
        }

    def _wait_for_cluster(self) -> None:
        """What is said at one broker is heard at the other, both ways."""
        for here, there in (self.callers, self.callers[::-1]):
            there.subscribe("zk/cluster/#")

            def crossed(here: Caller = here, there: Caller = there) -> bool:
                here.publish(f"zk/cluster/{id(here)}", b"{}")
                return any(message.topic == f"zk/cluster/{id(here)}" for message in list(there.messages))

            wait_until(crossed, timeout=PATIENCE_S, what="the brokers to be one")


#: More than waits at once: what is beyond it Mosquitto drops in silence.
LIMITS = ("max_queued_messages 20000",)
#: mosquitto.conf(5), bridges: both ways at QoS 1, with MQTT 5's properties, and kept for a broker that is away.
LINK = (
    "topic zk/# both 1",
    "bridge_protocol_version mqttv50",
    "cleansession false",
    "remote_clientid cluster",
    "notifications false",
    "restart_timeout 1",
)
