"""Shows what the demo does: as sentences for people, or as JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from zkbridge.cli.output import columns, say, say_event
from zkbridge.contract.bodies import JsonObject
from zkbridge.demo.broker import Kind
from zkbridge.simulator import SimulatedTerminal

BROKERS: dict[Kind, str] = {"mosquitto": "Broker Mosquitto", "iotcore": "Broker iotcore"}
#: What a person has to know who tries the demo with a client of MQTT 3.1.1.
IOTCORE_NOTE = (
    "No Mosquitto is used here (apt install mosquitto). iotcore cuts off a client that speaks MQTT 3.1.1 as soon as a",
    "message with MQTT 5 properties comes for it, and every reply of the bridge has them: use MQTT 5 (-V 5).",
)
#: What is shown of a user of the terminal, in this order.
COLUMNS = ("uid", "user_id", "name", "password", "privilege", "card", "group")


class Audience(Protocol):
    """Gets each step of the demo."""

    def start(self, kind: Kind | None) -> None:
        """All parts run; `kind` is that of the broker, None for one that ran before."""

    def request(self, line: str, topic: str, body: Mapping[str, object]) -> None:
        """A request is published next; `line` explains it."""

    def reply(self, topic: str, body: JsonObject) -> None:
        """The reply to that request has come."""

    def table(self) -> None:
        """The requests are done: show which users the terminal has."""

    def invite(self) -> None:
        """The demo goes on until Ctrl-C, for requests of others."""


class People:
    """Prints sentences, tables and commands to try."""

    def __init__(self, address: tuple[str, int], terminal: SimulatedTerminal) -> None:
        self._address, self._terminal = address, terminal

    def start(self, kind: Kind | None) -> None:
        """Print where the parts are."""
        host, port = self._address
        what = "Broker" if kind is None else BROKERS[kind]
        say(f"{what} on {host}:{port}, terminal 'principal' on 127.0.0.1:{self._terminal.port}.")
        if kind == "iotcore":
            say(*IOTCORE_NOTE)

    def request(self, line: str, topic: str, body: Mapping[str, object]) -> None:
        """Print a request."""
        say("", line, bold=True)
        say(f"  → {topic}", f"    {json.dumps(body, ensure_ascii=False)}")

    def reply(self, topic: str, body: JsonObject) -> None:
        """Print a reply in the colour of its success."""
        say(f"  ← {topic}")
        say(f"    {json.dumps(body, ensure_ascii=False)}", fg="green" if body["success"] else "yellow")

    def table(self) -> None:
        """Print the terminal's users."""
        say("", "The terminal's own user table:", bold=True)
        rows = [[str(value) for value in user.values()] for user in _users(self._terminal)]
        say(*(f"  {line}" for line in columns([COLUMNS, *rows])))

    def invite(self) -> None:
        """Print commands for another window."""
        host, port = self._address
        request = '{"user_id":"124","name":"Ana Ruiz","password":"4321","card":67890}'
        say("", "Now you, from another window (Ctrl-C ends the demo):", bold=True)
        say(f"  mosquitto_sub -h {host} -p {port} -V 5 -v -t 'zk/#'")
        say(f"  mosquitto_pub -h {host} -p {port} -V 5 -q 1 -t zk/principal/users/create -m '{request}'")
        say(
            f"  mosquitto_rr  -h {host} -p {port} -V 5 -t zk/principal/users/create -e zk/replies/me \\",
            f"    -m '{request.replace('124', '125')}'",
        )


class Machines:
    """Prints a JSON object for each step; `event` says which."""

    def __init__(self, address: tuple[str, int], terminal: SimulatedTerminal) -> None:
        self._address, self._terminal = address, terminal

    def start(self, kind: Kind | None) -> None:
        """Print where the parts are."""
        host, port = self._address
        say_event({"event": "broker", "kind": kind, "host": host, "port": port})
        where = {"host": self._terminal.host, "port": self._terminal.port}
        say_event({"event": "terminal", "device": "principal", "profile": self._terminal.profile, **where})

    def request(self, line: str, topic: str, body: Mapping[str, object]) -> None:
        """Print a request."""
        say_event({"event": "request", "about": line, "topic": topic, "request": body})

    def reply(self, topic: str, body: JsonObject) -> None:
        """Print a reply."""
        say_event({"event": "reply", "topic": topic, "reply": body})

    def table(self) -> None:
        """Print the terminal's users."""
        say_event({"event": "users", "device": "principal", "users": _users(self._terminal)})

    def invite(self) -> None:
        """Print that requests of others are welcome."""
        say_event({"event": "ready", "topic": "zk/principal/users/create"})


def _users(terminal: SimulatedTerminal) -> list[dict[str, object]]:
    """The users of the terminal, COLUMNS of each."""
    return [{column: getattr(user, column) for column in COLUMNS} for user in terminal.users()]
