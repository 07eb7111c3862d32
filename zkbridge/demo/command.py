"""`zkbridge demo`: broker, simulated terminal and bridge by one command, and a user created before your eyes."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zkbridge.bridge.bridge import Bridge
from zkbridge.cli.output import say
from zkbridge.client.caller import Caller, NoAnswer
from zkbridge.config.login import BROKER_PAGE, login_of
from zkbridge.config.models import Config, Mqtt
from zkbridge.demo.audience import Audience, Machines, People
from zkbridge.demo.broker import BrokerUnavailable, EmbeddedBroker, Kind
from zkbridge.runtime.signals import when_asked_to_stop
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

USUAL_PORT = 1883
#: How long the bridge may take to find its broker.
ONLINE_S = 15.0
USER = {"user_id": "123", "name": "Juan Perez", "password": "1234", "privilege": 0, "card": 12345}
#: What is shown: a line of explanation, the device, the request.
SHOW: tuple[tuple[str, str, Mapping[str, object]], ...] = (
    ("One message creates one user:", "principal", USER),
    ("The same user once more is refused:", "principal", USER),
    ("A device that nobody registered is answered too:", "bodega", USER),
)


def _host_and_port(_context: click.Context, _option: click.Parameter, given: str | None) -> tuple[str, int] | None:
    if given is None:
        return None
    host, _, number = given.rpartition(":")
    if not host or not number.isdecimal():
        raise click.BadParameter(f"{given!r} is not HOST:PORT, such as localhost:1883")
    return host, int(number)


@click.command()
@click.option("--once", is_flag=True, help="End after the show.")
@click.option("--port", type=click.IntRange(0, 65535), help="The broker's port  [default: 1883 if free, else any]")
@click.option(
    "--broker",
    metavar="HOST:PORT",
    callback=_host_and_port,
    help="Use a broker that runs already, instead of one of our own.",
)
@click.option(
    "--broker-kind",
    type=click.Choice(["iotcore", "mosquitto"]),
    default="mosquitto",
    show_default=True,
    help="Which broker to embed; the other one stands in if it is missing.",
)
@click.option("--verbose", is_flag=True, help="Show the bridge's log as well.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each event, for machines.")
def demo(
    *,
    once: bool,
    port: int | None,
    broker: tuple[str, int] | None,
    broker_kind: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Create a user before your eyes: embedded broker, simulated terminal and bridge by one command."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="  %(levelname)-7s %(message)s")
    end = threading.Event()
    when_asked_to_stop(end.set)
    try:
        with contextlib.ExitStack() as parts:
            address, kind = _broker(parts, broker, port, broker_kind)
            terminal = parts.enter_context(Simulator()).add(TerminalConfig(profile="tft", host="127.0.0.1", port=0))
            _start_bridge(parts, address, terminal)
            audience = (Machines if as_json else People)(address, terminal)
            audience.start(kind)
            _show(address, audience)
            audience.table()
            if not once:
                audience.invite()
                end.wait()
    except (BrokerUnavailable, NoAnswer) as error:
        say(f"The demo cannot go on: {error}", err=True)
        sys.exit(1)


def _broker(
    parts: contextlib.ExitStack, given: tuple[str, int] | None, port: int | None, kind: Any
) -> tuple[tuple[str, int], Kind | None]:
    """Where the broker is, and of which kind; None: it ran before."""
    if given is not None:
        return given, None
    wanted = port if port is not None else USUAL_PORT if _is_free(USUAL_PORT) else 0
    broker = parts.enter_context(EmbeddedBroker("127.0.0.1", wanted, prefer=kind))
    return ("127.0.0.1", broker.port), broker.kind


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _start_bridge(parts: contextlib.ExitStack, address: tuple[str, int], terminal: SimulatedTerminal) -> None:
    folder = Path(tempfile.mkdtemp(prefix="zkbridge-demo-"))
    parts.callback(shutil.rmtree, folder, ignore_errors=True)
    host, port = address
    config = Config.model_validate(
        {
            "mqtt": {"host": host, "port": port, "client_id": f"zkbridge-demo-{port}"},
            "devices": {"principal": {"host": "127.0.0.1", "port": terminal.port}},
            "state_dir": folder,
        }
    )
    bridge = Bridge(config)
    bridge.start()
    parts.callback(bridge.stop)
    if not bridge.online.wait(ONLINE_S):
        raise NoAnswer(
            f"the broker {host}:{port} cannot be reached, or does not accept the bridge"
            f" ({login_of(config.mqtt)}; {BROKER_PAGE})"
        )


def _show(address: tuple[str, int], audience: Audience) -> None:
    host, port = address
    with Caller(Mqtt(host=host, port=port)) as caller:
        for line, device, request in SHOW:
            audience.request(line, f"zk/{device}/users/create", request)
            answer = caller.ask(device, "users/create", request, timeout=30)
            audience.reply(f"zk/{device}/users/create/reply", answer)
