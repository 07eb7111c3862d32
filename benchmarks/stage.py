"""What is measured against: simulated terminals in a process of their own, a broker, the daemon, a caller."""

from __future__ import annotations

import itertools
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support import processes
from tests.support.daemon import Daemon
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.config.models import Retry

HOST = processes.LOCALHOST
#: Room for every table that is measured, and for what is added to it.
CAPACITY = 65_000
ANSWER_TIMEOUT_S = 300.0
#: How often free ports are looked for.
_TRIES = 5
#: Mosquitto as a site would set it where a thousand requests come at once: its default queue holds 1,000.
BROKER_LINES = ("max_queued_messages 100000", "max_inflight_messages 100", "set_tcp_nodelay true")
_NUMBERS = itertools.count(1)
#: No probes in between: they would be counted with the requests. The queue takes the longest burst, and so do the
#: attempts, whose time is that of a daemon whose configuration says nothing of it (the tests' is in more of a hurry).
DAEMON = {"probe_interval": 0, "queue_limit": 100_000, "retry": Retry().model_dump()}
#: What the systemd unit sets too.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}


class Terminals:
    """Simulated terminals in one process; a context manager. `do` is the simulator's remote control."""

    def __init__(
        self, folder: Path, *, count: int = 1, users: int = 0, profile: str = "tft", transport: str = "tcp"
    ) -> None:
        self._log = folder / f"simulator-{count}-{users}-{time.monotonic_ns()}.log"
        self._count = count
        self._command = [
            *(sys.executable, "-m", "zkbridge", "simulate", "--lines", "--host", HOST, "--profile", profile),
            *("--count", str(count), "--users", str(users), "--control", "0"),
            *("--transport", transport, "--set", f"user_capacity={CAPACITY}", "--set", "user_id_width=24"),
        ]
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        for _ in range(_TRIES):
            if self._start():
                break
        else:
            raise RuntimeError(f"the simulator does not start: {self._text()}")
        self._socket = socket.create_connection((HOST, self._control_port()))
        self._lines = self._socket.makefile("rb")
        self.ports = [int(port) for port in re.findall(r"ready on [\d.]+:(\d+)", self._text())]
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()
        processes.stop(self._process, timeout=60)

    @property
    def pid(self) -> int:
        """The simulator's process."""
        return self._process.pid

    def do(self, what: str, port: int | None = None, **arguments: Any) -> Any:
        """One request to the remote control, and its result."""
        wanted = {"do": what, **arguments, **({} if port is None else {"terminal": port})}
        self._socket.sendall(json.dumps(wanted).encode() + b"\n")
        answer = json.loads(self._lines.readline())
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def set_latency(self, seconds: float) -> None:
        """Seconds before each answer of every terminal."""
        for port in self.ports:
            self.do("set", port, name="latency", value=seconds)

    def round_trips(self, port: int | None = None) -> int:
        """How often a terminal was asked; what is asked together is one round trip."""
        return int(self.do("state", port)["round_trips"])

    def connections(self, port: int | None = None) -> int:
        """How many connections a terminal has accepted."""
        return int(self.do("state", port)["connections_accepted"])

    def disabled_s(self, port: int | None = None) -> list[float]:
        """Each time that people were kept off."""
        return [float(seconds) for seconds in self.do("disabled", port)]

    def _start(self) -> bool:
        """Whether the terminals listen; not so if somebody else was quicker to take one of their ports."""
        self._log.unlink(missing_ok=True)
        command = [*self._command, "--port", str(_first_of_free_ports(self._count))]
        self._process = processes.start(command, log=self._log)
        wait_until(
            lambda: self._control_port() or self._process.poll() is not None,
            timeout=120,
            what=f"the simulator {self._log}",
        )
        return self._process.poll() is None

    def _text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _control_port(self) -> int:
        found = re.search(r"control on [\d.]+:(\d+)\n", self._text())
        return int(found[1]) if found else 0


class Caller:
    """Publishes requests and notes when each reply comes, by its request_id. Names never repeat."""

    def __init__(self, port: int) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.max_inflight_messages_set(1000)
        self._client.max_queued_messages_set(0)
        self._client.on_message = self._on_message
        self._news = threading.Condition()
        self._asked: dict[str, float] = {}
        self._answered: dict[str, tuple[float, int]] = {}
        self._client.connect(HOST, port)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        sock = self._client.socket()
        if isinstance(sock, socket.socket):  # else what paho sends waits up to 40 ms for the kernel on the other side
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.subscribe("zk/+/users/create/reply", 1)
        self._client.loop_start()
        if not subscribed.wait(10):
            raise RuntimeError("the broker did not grant the subscription")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, device: str) -> str:
        """Publish a create of a new user; the request_id. Returns without waiting."""
        number = next(_NUMBERS)
        name = f"z{number}"
        body = {"user_id": name, "name": f"Usuario {number}", "password": "1234", "request_id": name}
        payload = json.dumps(body)
        self._asked[name] = time.perf_counter()
        self._client.publish(f"zk/{device}/users/create", payload, 1)
        return name

    def wait(self, names: Iterable[str], timeout: float = ANSWER_TIMEOUT_S) -> None:
        """Return when all of these are answered."""
        wanted = list(names)
        with self._news:
            if not self._news.wait_for(lambda: all(name in self._answered for name in reversed(wanted)), timeout):
                missing = sum(name not in self._answered for name in wanted)
                raise RuntimeError(f"{missing} of {len(wanted)} replies did not come in {timeout:g} s")

    def create(self, device: str) -> float:
        """One create; the seconds from publish to reply. It must have succeeded."""
        name = self.ask(device)
        self.wait([name])
        self.expect_success([name])
        return self.seconds(name)

    def seconds(self, name: str) -> float:
        """From publish to reply."""
        return self._answered[name][0] - self._asked[name]

    def times(self, name: str) -> tuple[float, float]:
        """When it was asked and answered, in seconds of one clock."""
        return self._asked[name], self._answered[name][0]

    def answered(self, names: Iterable[str]) -> list[str]:
        """Those of them that are answered by now."""
        return [name for name in names if name in self._answered]

    def span(self, names: Iterable[str]) -> float:
        """From the first publish to the last reply."""
        wanted = list(names)
        return max(self._answered[name][0] for name in wanted) - min(self._asked[name] for name in wanted)

    def statuses(self, names: Iterable[str]) -> list[int]:
        """The status of each reply that has come."""
        return [self._answered[name][1] for name in names if name in self._answered]

    def expect_success(self, names: Iterable[str]) -> None:
        """Raise unless all of these were answered 200."""
        wanted = list(names)
        good = self.statuses(wanted).count(200)
        if good != len(wanted):
            raise RuntimeError(f"{len(wanted) - good} of {len(wanted)} requests failed")

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        now = time.perf_counter()
        reply = json.loads(message.payload)
        with self._news:
            self._answered[reply["request_id"]] = (now, reply["status"])
            self._news.notify_all()


Devices = Mapping[str, Mapping[str, Any]]


def devices(ports: Iterable[int], **more: Any) -> dict[str, dict[str, Any]]:
    """The configuration of terminals on these ports: d0, d1 and so on."""
    each = {"host": HOST, "user_id_charset": "any"}
    return {f"d{place}": {**each, "port": port, **more} for place, port in enumerate(ports)}


@contextmanager
def bridge(folder: Path, configured: Devices, **more: Any) -> Iterator[tuple[Daemon, Caller]]:
    """A broker of its own, the daemon as systemd would run it, and a caller."""
    folder.mkdir(parents=True, exist_ok=True)
    with Mosquitto(folder / "mosquitto", extra=BROKER_LINES) as broker:
        daemon = Daemon(folder / "zkb", broker.port, configured, environment=ENVIRONMENT, **{**DAEMON, **more})
        with daemon, Caller(broker.port) as caller:
            yield daemon, caller


def _first_of_free_ports(count: int) -> int:
    """The first of so many ports in a row that are free."""
    while True:
        first = processes.free_port()
        if all(not processes.accepts(port) for port in range(first, first + count)):
            return first
