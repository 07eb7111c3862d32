"""Everything the example flow needs, running: a broker, two terminals, the bridge, Node-RED; and a person's browser."""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from tests.node_red.node_red import NodeRed
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig


class Page(HTMLParser):
    """What a browser makes of a page: its text, the fields of its form, the ids of its elements."""

    def __init__(self, status: int, source: str) -> None:
        super().__init__()
        self.status = status
        self.source = source
        self.text = ""
        self.fields: dict[str, str] = {}
        self.ids: set[str] = set()
        self._select: str | None = None
        self._selected = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag == "input":
            self.fields[given["name"] or ""] = given.get("value") or ""
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option":
            self._selected = "selected" in given

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._select is None or self.lasttag != "option" or not data.strip():
            return
        if self._selected or self._select not in self.fields:
            self.fields[self._select] = data


@dataclass
class Site:
    """Node-RED, the bridge, and two terminals of which one is off."""

    node_red: NodeRed
    broker: Mosquitto
    daemon: Daemon
    terminal: SimulatedTerminal

    def open(self, path: str = "users", *, reads: str = "") -> Page:
        """Open a page in a browser whose reader prefers a language."""
        return self._fetch(path, None, {"Accept-Language": reads} if reads else {})

    def send(self, form: dict[str, str], path: str = "users") -> Page:
        """Send a form."""
        return self._fetch(path, urllib.parse.urlencode(form).encode(), {})

    def fill(self, **values: str) -> dict[str, str]:
        """The form as a fresh page has it, filled in."""
        wait_until(lambda: "principal" in self.open().text)
        return self.open().fields | {"device": "principal"} | values

    def _fetch(self, path: str, body: bytes | None, headers: dict[str, str]) -> Page:
        request = urllib.request.Request(f"{self.node_red.address}/zkbridge/{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Page(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, error.read().decode())


@contextmanager
def running(folder: Path, protocol: str, *, patience_s: float | None = None, acl: str | None = None) -> Iterator[Site]:
    """Everything, started."""
    retry = {"attempts": 1, "initial_delay": 0.05, "max_delay": 0.2, "deadline": 15}
    with Simulator() as simulator, Mosquitto(folder / "broker", acl=acl) as broker:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        away = simulator.add(TerminalConfig(profile="tft"))
        away.power_off()
        door = {"enabled": True, "trust_clock": True}
        devices = {"principal": device(terminal, door=door, attendance="live"), "bodega": device(away, timeout=1)}
        with (
            NodeRed(folder / "node-red", protocol, broker.port, patience_s=patience_s) as node_red,
            Daemon(folder / "d", broker.port, devices, retry=retry, probe_interval=300, covered=False) as daemon,
        ):
            yield Site(node_red, broker, daemon, terminal)
