"""`zkbridge devices`: the bridge and its devices as they are now, from the topics that the broker retains."""

from __future__ import annotations

import json
import queue
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import click

from zkbridge.cli.ask import DONE, NO_ANSWER
from zkbridge.cli.broker_options import connection_options, settings_of
from zkbridge.cli.output import columns, no_answer, say
from zkbridge.client.connection import Guest, NoAnswer
from zkbridge.config.login import named, rights_of
from zkbridge.config.models import Mqtt
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Message, parse_object
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import BRIDGE, Topics

#: Seconds to wait for what the broker retains: it sends that right after it has granted the subscription.
PATIENCE_S = 5.0
#: Seconds without news after which no more is expected: a device that was never tried has no availability.
QUIET_S = 1.0
ONLINE, UNKNOWN = "online", "unknown"


class DeviceRow(TypedDict):
    """One device: `state` is online, offline or unknown; `reason` says why it is offline, "" where it is not.

    `address` is the host at which `find` has found it, "" where that is the configured one.
    """

    device: str
    state: str
    reason: str
    address: str


class Snapshot:
    """The state of a bridge and its devices, by the messages so far."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.state = UNKNOWN
        self.version = ""
        self._named: list[str] | None = None
        self._rows: dict[str, DeviceRow] = {}

    def take(self, message: Message) -> None:
        """Take one message of the bridge's topics; one that cannot be read changes nothing."""
        try:
            body = parse_object(message.payload)
        except BridgeError:
            return
        device, what = self._topics.parse(message.topic) or ("", "")
        if message.topic == self._topics.state:
            self.state = _word(body, "state") or UNKNOWN
        elif message.topic == self._topics.info:
            self.version = _word(body, "version")
            names = body.get("devices")
            self._named = [shown(str(name)) for name in names] if isinstance(names, list) else []
        elif what == "availability" and device != BRIDGE:
            name = shown(device)
            self._rows[name] = {
                "device": name,
                "state": _word(body, "state"),
                "reason": _word(body, "reason", 160),
                "address": _word(body, "address"),
            }

    @property
    def is_whole(self) -> bool:
        """Whether the state of the bridge, its list of devices and the state of each of them are known."""
        return self.state != UNKNOWN and self._named is not None and all(name in self._rows for name in self._named)

    def lacking(self) -> list[str]:
        """The topics of the bridge on which nothing came that says what it is."""
        came = {self._topics.state: self.state != UNKNOWN, self._topics.info: self._named is not None}
        return [topic for topic, is_there in came.items() if not is_there]

    def rows(self) -> list[DeviceRow]:
        """The devices that the bridge serves; none counts as online while the bridge is not."""
        empty: DeviceRow = {"device": "", "state": UNKNOWN, "reason": "", "address": ""}
        rows = [self._rows.get(name, {**empty, "device": name}) for name in self._named or ()]
        if self.state == ONLINE:
            return rows
        return [{**row, "state": UNKNOWN, "reason": "the bridge is not online"} for row in rows]


class _Listener(Guest):
    """Keeps what it receives in a queue."""

    def __init__(self, settings: Mqtt) -> None:
        super().__init__(settings)
        self.news: queue.Queue[Message] = queue.Queue()

    def heard(self, message: Message) -> None:
        self.news.put(message)


def _devices(path: Path, broker: str | None, as_json: bool) -> None:
    """Show the bridge and whether each of its devices answers, as the broker knows it.

    Exit code 0 while the bridge is online, 4 while it is not or the broker cannot be reached: fit for a health check.
    """
    settings = settings_of(click.get_current_context(), path, broker)
    try:
        snapshot = _read(settings)
    except NoAnswer as error:
        say(no_answer(error), err=True)
        sys.exit(NO_ANSWER)
    if as_json:
        told = {"bridge": snapshot.state, "version": snapshot.version, "devices": snapshot.rows()}
        say(json.dumps(told, ensure_ascii=False))
    else:
        if lacking := snapshot.lacking():
            say(
                f"Nothing came on {named(lacking)}: does the bridge use this broker and base topic,"
                f" and does the broker allow to read there ({rights_of(settings)})?",
                err=True,
            )
        say(f"bridge {snapshot.state}{f', zkbridge {snapshot.version}' if snapshot.version else ''}")
        rows = [(row["device"], row["state"], row["reason"] or _moved(row["address"])) for row in snapshot.rows()]
        say(*columns([("device", "state", "reason"), *rows]))
    sys.exit(DONE if snapshot.state == ONLINE else NO_ANSWER)


devices = click.Command(
    "devices",
    callback=_devices,
    help=_devices.__doc__,
    params=[
        *connection_options(),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON object, for machines."),
    ],
)


def _read(settings: Mqtt) -> Snapshot:
    """The bridge's retained messages; one that is missing after PATIENCE_S stays unknown. Raises NoAnswer."""
    topics = Topics(settings.base_topic)
    snapshot = Snapshot(topics)
    with _Listener(settings) as listener:
        listener.listen([topics.state, topics.info, topics.availability("+")])
        end = time.monotonic() + PATIENCE_S
        while not snapshot.is_whole and (left := end - time.monotonic()) > 0:
            try:
                snapshot.take(listener.news.get(timeout=left if snapshot.state == UNKNOWN else min(left, QUIET_S)))
            except queue.Empty:
                break
    return snapshot


def _moved(address: str) -> str:
    return f"found at {address}" if address else ""


def _word(body: Mapping[str, object], key: str, limit: int = 64) -> str:
    value = body.get(key)
    return shown(value, limit) if isinstance(value, str) else ""
