"""`zkbridge watch`: shows devices, requests and answers as they happen."""

from __future__ import annotations

import importlib.util
import queue
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zkbridge.cli.ask import NO_ANSWER
from zkbridge.cli.broker_options import connection_options, settings_of
from zkbridge.cli.output import no_answer, say, say_event
from zkbridge.cli.traffic import Asked, Sightings
from zkbridge.client.connection import Guest, NoAnswer
from zkbridge.commands import commands
from zkbridge.config.models import Mqtt
from zkbridge.contract.messages import Message
from zkbridge.contract.topics import Topics

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Seconds between two looks of the live screen.
REFRESH_S = 0.25
#: Punches and other events of terminals that the live screen shows.
EVENTS_SHOWN = 5


class Watcher(Guest):
    """Receives everything below the base topic; messages wait in `news`, as do lines about the connection."""

    def __init__(self, settings: Mqtt) -> None:
        super().__init__(settings)
        self.news: queue.Queue[Message | str] = queue.Queue()

    def heard(self, message: Message) -> None:
        """A message of anybody's."""
        self.news.put(message)

    def linked(self, *, online: bool) -> None:
        """Whether we receive anything."""
        self.news.put("broker connected" if online else "broker lost")


def _watch(path: Path, broker: str | None, plain: bool, as_json: bool) -> None:
    """Show devices, the bridge's state, requests and answers as they happen, until Ctrl-C.

    Passwords, cards and names are never shown.
    """
    settings = settings_of(click.get_current_context(), path, broker)
    sightings = Sightings(Topics(settings.base_topic), commands())
    try:
        with _until_told(), Watcher(settings) as watcher:
            watcher.listen([f"{settings.base_topic}/#"])
            if as_json:
                _json_lines(watcher, sightings)
            elif plain or not sys.stdout.isatty() or not _can_draw():
                _lines(watcher, sightings)
            else:
                _screen(watcher, sightings)
    except NoAnswer as error:
        say(no_answer(error), err=True)
        sys.exit(NO_ANSWER)
    except KeyboardInterrupt:
        pass


watch = click.Command(
    "watch",
    callback=_watch,
    help=_watch.__doc__,
    params=[
        *connection_options(),
        click.Option(["--plain"], is_flag=True, help="A line for each event, as where there is no terminal."),
        click.Option(["--json", "as_json"], is_flag=True, help="A JSON object for each event, for machines."),
    ],
)


@contextmanager
def _until_told() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _take(news: Message | str, sightings: Sightings) -> str | None:
    if isinstance(news, str):
        return news
    return sightings.see(news, now=time.time())


def _lines(watcher: Watcher, sightings: Sightings) -> None:
    while True:
        line = _take(watcher.news.get(), sightings)
        if line is not None:
            say(f"{_clock(time.time())} {line}")
            sys.stdout.flush()


def _json_lines(watcher: Watcher, sightings: Sightings) -> None:
    while True:
        news = watcher.news.get()
        if _take(news, sightings) is None:
            continue
        facts = {"event": "broker", "state": news.removeprefix("broker ")} if isinstance(news, str) else sightings.facts
        say_event(facts)


def _can_draw() -> bool:
    """Whether the package for a live screen is there; where it is not, that is said, and lines are printed."""
    if importlib.util.find_spec("rich") is not None:
        return True
    say("A live screen needs the package rich (pip install 'zkbridge[screen]'); printing lines.", err=True)
    return False


def _screen(watcher: Watcher, sightings: Sightings) -> None:
    from rich.live import Live  # noqa: PLC0415 - slow to import, and only a screen needs it

    link: deque[str] = deque(maxlen=1)
    with Live(screen=True, auto_refresh=False) as view:
        while True:
            view.update(_picture(watcher, sightings, link, height=view.console.height), refresh=True)
            for news in _waiting(watcher.news):
                line = _take(news, sightings)
                if isinstance(news, str) and line:
                    link.append(line)


def _waiting(news: queue.Queue[Message | str]) -> Iterator[Message | str]:
    """What has come, after a moment's wait for the first."""
    try:
        yield news.get(timeout=REFRESH_S)
        while True:
            yield news.get_nowait()
    except queue.Empty:
        return


def _picture(watcher: Watcher, sightings: Sightings, link: deque[str], *, height: int) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 - slow to import, and only a screen needs it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    where = f"{watcher.settings.host}:{watcher.settings.port}"
    head = Text.assemble(
        ("zkbridge ", "bold"),
        (f"{sightings.version} " if sightings.version else ""),
        (sightings.bridge, "green" if sightings.bridge == "online" else "red"),
        f" · {' '.join(link)} {where}, MQTT {watcher.protocol} · Ctrl-C ends",
    )
    devices = Table(box=None, pad_edge=False, header_style="dim")
    devices.add_column("device")
    devices.add_column("availability", ratio=1)
    for device, state in sightings.devices.items():
        style = "green" if state == "online" else "red" if state else "dim"
        devices.add_row(Text(device), Text(state or "not heard of", style))
    events = [Text(f"{_clock(at)} {line}") for at, line in list(sightings.events)[-EVENTS_SHOWN:]]
    rows = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name in ("time", "device", "command", "user", "status", "s"):
        rows.add_column(name, no_wrap=True)
    rows.add_column("answer", ratio=1, no_wrap=True, overflow="ellipsis")
    room = max(3, height - len(sightings.devices) - len(events) - 7)
    for asked in list(sightings.asked)[-room:]:
        rows.add_row(*(Text(cell, _style(asked)) for cell in _cells(asked)))
    return Group(head, "", devices, "", *([*events, ""] if events else ()), rows)


def _cells(asked: Asked) -> tuple[str, ...]:
    status = "…" if asked.status is None else str(asked.status)
    took = "" if asked.took_s is None else f"{asked.took_s:.2f}"
    return _clock(asked.at), asked.device, asked.command, asked.user_id, status, took, asked.said


def _style(asked: Asked) -> str:
    if asked.status is None:
        return "dim"
    return "green" if asked.status < 300 else "yellow" if asked.status < 500 else "red"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")
