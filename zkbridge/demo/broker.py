"""An MQTT broker of our own, for a demonstration on a machine that has none."""

import ctypes
import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self

from zkbridge.demo.mux import MAX_CLIENTS, Mux

log = logging.getLogger(__name__)

Kind = Literal["iotcore", "mosquitto"]

LOCALHOST = "127.0.0.1"
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin"
MAX_PAYLOAD = 1_048_576
#: For a broker to come up. One that fails ends, and is not waited for; ten were too few on a busy, emulated Pi.
START_S = 60
STOP_S = 5
POLL_S = 0.01
STARTS = 2
PR_SET_PDEATHSIG = 1  # prctl(2)

# rumqttd, which iotcore carries, has a port for each protocol; the payload limit of its own is 20 KB. A new
# subscriber gets at most max_outgoing_packet_count retained messages.
LISTENER = """
[{version}.1]
name = "{version}"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 10000
max_payload_size = {max_payload}
max_inflight_count = 200
dynamic_filters = true
"""
ROUTER = """\
id = 0
[router]
id = 0
max_connections = {max_connections}
max_outgoing_packet_count = 1000
max_segment_size = 10485760
max_segment_count = 10
"""


class BrokerUnavailable(Exception):
    """There is no broker to be had, or it does not start; the text is one sentence for the person who asked."""


class EmbeddedBroker:
    """A broker on *host* and *port* (0: any free one) for MQTT 3.1.1 and 5 and any client, which stores nothing.

    It is Mosquitto if that is installed, or else iotcore, in a process of its own behind a `Mux`; *prefer* names the
    one to try first. iotcore 0.4 cuts off a client of MQTT 3.1.1 as soon as a message with MQTT 5 properties comes for
    it, as every reply of the bridge is. The broker ends with this process, whatever ends that.
    """

    def __init__(self, host: str = LOCALHOST, port: int = 0, *, prefer: Kind = "mosquitto") -> None:
        self.host = host
        self.port = port
        self.kind: Kind | None = None
        self._prefer: Kind = prefer
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return when clients can connect, `port` and `kind` being known; raise BrokerUnavailable if they never can."""
        kinds = sorted(filter(_installed, _START), key=self._prefer.__ne__)
        if not kinds:
            raise BrokerUnavailable(
                "There is no MQTT broker here: neither iotcore (pip install iotcore, on machines it has a wheel for) "
                "nor Mosquitto (apt install mosquitto) was found."
            )
        failures = []
        for kind in kinds:
            with ExitStack() as parts:
                try:
                    self.port = _START[kind](parts, self.host, self.port)
                except BrokerUnavailable as failure:
                    log.warning("%s", failure)
                    failures.append(str(failure))
                    continue
                self._parts = parts.pop_all()
            self.kind = kind
            log.info("MQTT broker (%s) on %s:%d", kind, self.host, self.port)
            return
        raise BrokerUnavailable(" ".join(failures))

    def stop(self) -> None:
        """End the broker; every connection to it breaks."""
        self._parts.close()


def _installed(kind: Kind) -> bool:
    if kind == "iotcore":
        return importlib.util.find_spec("iotcore") is not None
    return _mosquitto() is not None


def _mosquitto() -> str | None:
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")


def _start_iotcore(parts: ExitStack, host: str, port: int) -> int:
    def configuration(ports: Sequence[int]) -> str:
        listeners = (
            LISTENER.format(version=version, host=LOCALHOST, port=each, max_payload=MAX_PAYLOAD)
            for version, each in zip(("v4", "v5"), ports, strict=True)
        )
        return ROUTER.format(max_connections=MAX_CLIENTS + 10) + "".join(listeners)

    backends = dict(zip((4, 5), _launch(parts, "iotcore", LOCALHOST, (0, 0), configuration), strict=True))
    try:
        return parts.enter_context(Mux(host, port, backends=backends)).port
    except OSError as error:
        raise _address_unavailable(host, port, error) from error


def _start_mosquitto(parts: ExitStack, host: str, port: int) -> int:
    def configuration(ports: Sequence[int]) -> str:
        return (
            f"listener {ports[0]} {host}\n"
            "allow_anonymous true\n"
            "persistence false\n"
            f"message_size_limit {MAX_PAYLOAD}\n" + ("user root\n" if os.geteuid() == 0 else "")
            # As root it would become user mosquitto, who may not read our folder.
        )

    return _launch(parts, "mosquitto", host, [port], configuration)[0]


_START: dict[Kind, Callable[[ExitStack, str, int], int]] = {"iotcore": _start_iotcore, "mosquitto": _start_mosquitto}


def _launch(
    parts: ExitStack, kind: Kind, host: str, wanted: Sequence[int], configuration: Callable[[Sequence[int]], str]
) -> list[int]:
    """Start the broker on the ports *wanted* (0: any free one) of *host*, and return them once it accepts there."""
    folder = Path(parts.enter_context(TemporaryDirectory(prefix="zkbridge-broker-")))
    config = folder / "broker.toml"  # iotcore goes by the name's end, Mosquitto does not care
    attempts = STARTS if 0 in wanted else 1
    while True:
        attempts -= 1
        ports = [_free_port(host, port) for port in wanted]
        config.write_text(configuration(ports))
        try:
            _start_child(parts, kind, config, [(host, port) for port in ports])
        except BrokerUnavailable:
            if not attempts:
                raise
            # Somebody else may have taken a free port before the broker could.
            continue
        return ports


def _start_child(parts: ExitStack, kind: Kind, config: Path, addresses: Sequence[tuple[str, int]]) -> None:
    output = config.with_suffix(".log")
    with output.open("wb") as log_file:
        child = subprocess.Popen(  # noqa: S603 - our own module, by the interpreter we run on
            [sys.executable, "-P", "-m", __name__, kind, str(config)],
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=log_file,
            # Ctrl-C at the terminal is for us: the bridge still has to say its last words to the broker.
            process_group=0,
        )
    parts.callback(_end, child)
    deadline = time.monotonic() + START_S
    while not all(_accepts(*address) for address in addresses):
        if child.poll() is not None:
            said = output.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise BrokerUnavailable(f"The broker {kind} ended as soon as it was started: {said[-1]}.")
        if time.monotonic() > deadline:
            raise BrokerUnavailable(f"The broker {kind} did not come up within {START_S} s.")
        time.sleep(POLL_S)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    assert child.stdin is not None
    child.stdin.close()


def _free_port(host: str, wanted: int) -> int:
    """Return *wanted*, or any port if it is 0, after a look whether it is free."""
    try:
        with socket.create_server((host, wanted), family=_family(host)) as probe:
            port: int = probe.getsockname()[1]
    except OSError as error:
        raise _address_unavailable(host, wanted, error) from error
    return port


def _address_unavailable(host: str, port: int, error: OSError) -> BrokerUnavailable:
    return BrokerUnavailable(f"The broker cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}.")


def _accepts(host: str, port: int) -> bool:
    with socket.socket(_family(host)) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _child(kind: str, config: str) -> None:
    """Be the broker, for as long as our parent lives."""
    if kind == "mosquitto":
        program = _mosquitto()
        assert program is not None
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.execv(program, [program, "-c", config])  # noqa: S606 - no shell is wanted

    from iotcore import IotCoreBroker  # noqa: PLC0415 - the parent's process has no use for its 14 MB

    threading.Thread(target=_exit_with_parent, daemon=True).start()
    logging.disable()  # rumqttd logs every packet as an error
    IotCoreBroker(config_path=config).run_forever()


def _exit_with_parent() -> None:
    sys.stdin.buffer.read()  # until our parent's end of the pipe closes
    os._exit(0)


if __name__ == "__main__":
    _child(*sys.argv[1:])
