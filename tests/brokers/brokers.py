"""The brokers of the smoke suite, all started and stopped alike."""

import contextlib
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import pytest

from tests.support import processes
from tests.support.mosquitto import Mosquitto
from tests.support.npm import installed
from tests.support.waiting import wait_until
from zkbridge.demo.broker import EmbeddedBroker

AEDES = Path(__file__).with_name("aedes")
RABBITMQ_LIBRARIES = Path("/usr/lib/rabbitmq/lib")
STARTS = 3
RABBITMQ_CONF = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
mqtt.listeners.tcp.1 = 127.0.0.1:{mqtt}
mqtt.default_user = guest
mqtt.default_pass = guest
mqtt.retained_message_store = rabbit_mqtt_retained_msg_store_dets
log.console = true
"""


class Broker(ABC):
    """One kind of broker on a port of the loopback interface; `start` returns when it accepts clients."""

    #: What the bridge speaks with it.
    protocols: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def restart(self) -> None:
        """As an update does it."""
        self.stop()
        self.start()


class MosquittoBroker(Broker):
    protocols = ("5", "3.1.1")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._mosquitto = Mosquitto(folder, persistence=True)

    def start(self) -> None:
        self._mosquitto.start()
        self.port = self._mosquitto.port

    def stop(self) -> None:
        self._mosquitto.stop()


class Iotcore(Broker):
    """What `zkbridge demo` carries along."""

    protocols = ("5", "3.1.1")

    def start(self) -> None:
        self._broker = EmbeddedBroker(port=self.port, prefer="iotcore")
        self._broker.start()
        assert self._broker.kind == "iotcore"
        self.port = self._broker.port

    def stop(self) -> None:
        self._broker.stop()


class Program(Broker):
    """A broker that is one program."""

    patience_s: ClassVar[float] = 20
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        for _ in range(STARTS):
            self.port = self.port or processes.free_port()
            self._process = self._run()
            wait_until(
                lambda: processes.accepts(self.port) or self._process.poll() is not None,
                timeout=self.patience_s,
                what=f"{type(self).__name__}:\n{self.log}",
            )
            if self._process.poll() is None:
                return
        raise AssertionError(f"{type(self).__name__} did not start:\n{self.log}")

    def stop(self) -> None:
        if self._process is not None:
            processes.stop(self._process, timeout=30)
        self._process = None

    @abstractmethod
    def _run(self) -> subprocess.Popen[bytes]: ...


class Aedes(Program):
    """*forbidden* is a topic on which nobody may publish, or a filter to which nobody may subscribe."""

    protocols = ("3.1.1",)

    def __init__(self, folder: Path, *, forbidden: str = "") -> None:
        super().__init__(folder)
        self._forbidden = forbidden

    def _run(self) -> subprocess.Popen[bytes]:
        installed(AEDES, "aedes")
        command: list[str | Path] = ["node", AEDES / "broker.mjs", str(self.port), self._forbidden]
        return processes.start(command, log=self.folder / "log")


class RabbitMq(Program):
    """RabbitMQ 3.10 of Debian 12 with its MQTT plugin; a node and an epmd of its own."""

    protocols = ("3.1.1",)
    patience_s = 60

    def start(self) -> None:
        servers = sorted(RABBITMQ_LIBRARIES.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
        if not servers or shutil.which("epmd") is None:
            pytest.fail("RabbitMQ is missing: apt install --no-install-recommends rabbitmq-server")
        self._server = servers[-1]
        self._amqp, self._dist, epmd = (processes.free_port() for _ in range(3))
        # It would start an epmd that outlives it; one of ours is there already.
        self._epmd_port = epmd
        self._epmd = processes.start(
            ["epmd", "-port", str(epmd), "-address", processes.LOCALHOST], log=self.folder / "epmd.log"
        )
        wait_until(lambda: processes.accepts(epmd), what="epmd")
        super().start()

    def stop(self) -> None:
        super().stop()
        with contextlib.suppress(ProcessLookupError):
            processes.stop(self._epmd)

    def _run(self) -> subprocess.Popen[bytes]:
        (self.folder / "rabbitmq.conf").write_text(RABBITMQ_CONF.format(amqp=self._amqp, mqtt=self.port))
        (self.folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        environment = os.environ | {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"zkbridge{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_DIST_PORT": str(self._dist),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": processes.LOCALHOST,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # So that the script becomes the server instead of watching over it.
            "RUNNING_UNDER_SYSTEMD": "1",
        }
        return processes.start([self._server], log=self.folder / "log", env=environment)


BROKERS: dict[str, type[Broker]] = {
    "Mosquitto": MosquittoBroker,
    "iotcore": Iotcore,
    "aedes": Aedes,
    "RabbitMQ": RabbitMq,
}
