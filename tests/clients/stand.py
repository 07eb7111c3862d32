"""The terminals that clients are tried with, both with the same contents and looked at in the same way."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.clients.catalogue import Client, Way
from tests.second_terminal.memory import Memory, Template
from tests.second_terminal.server import SecondTerminal
from tests.support.paced_relay import PacedRelay
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

KEY = 1234
USERS, PUNCHES = 40, 80
WHEN = datetime(2026, 5, 10, 8, 0, 15)  # noqa: DTZ001  a terminal knows no zone
#: Less than a frame of 1008, and ended by no zero: pyzk cuts zeros off.
TEMPLATE = bytes(range(1, 201))


@dataclass(frozen=True)
class Stand:
    """One terminal with users, a finger and punches; `host` and `port` are where a client finds it."""

    terminal: SimulatedTerminal | SecondTerminal
    host: str
    port: int
    narrow: bool

    def fill(self, users: int, punches: int) -> None:
        """Users 1001, 1002 … with uids 1, 2 …; a finger of the first; and the first's punches, minute by minute."""
        for uid in range(1, users + 1):
            self.terminal.add_user(str(1000 + uid), f"U {uid}", uid=uid)
        if isinstance(self.terminal, SecondTerminal):
            self.terminal.memory.templates[1, 3] = Template(1, TEMPLATE)
        else:
            self.terminal.add_template("1001", 3, TEMPLATE)
        for minute in range(punches):
            self.terminal.punch("1001", state=1, when=WHEN + timedelta(minutes=minute))

    @property
    def logs_uids(self) -> bool:
        """Whether its attendance records name the uid: those of eight bytes do."""
        return not isinstance(self.terminal, SecondTerminal) and self.terminal.switches.attendance == "8b"

    @property
    def counts(self) -> Counter[int]:
        """How often each command came."""
        return Counter({int(command): count for command, count in self.terminal.counts.items()})

    @property
    def clock(self) -> datetime:
        """What the display shows."""
        return self.terminal.memory.now() if isinstance(self.terminal, SecondTerminal) else self.terminal.time

    def option(self, name: str) -> str | None:
        """What an option says."""
        if isinstance(self.terminal, SecondTerminal):
            return self.terminal.memory.options.get(name)
        return self.terminal.option(name)

    def users(self) -> dict[int, tuple[str, str]]:
        """The user_id and name of each uid."""
        return {
            user.uid: (user.user_id, user.name.decode() if isinstance(user.name, bytes) else user.name)
            for user in self.terminal.users()
        }

    def fingers(self) -> dict[tuple[int, int], str]:
        """The digest of the template of each uid and finger."""
        if isinstance(self.terminal, SecondTerminal):
            held = {key: template.content for key, template in self.terminal.memory.templates.items()}
        else:
            held = {key: template.data for key, template in self.terminal.templates().items()}
        return {key: hashlib.sha256(content).hexdigest() for key, content in held.items()}


@contextmanager
def simulated(client: Client, way: Way) -> Iterator[Stand]:
    """The simulator, with the records that this client knows."""
    key = KEY if client.knows_keys else 0
    narrow = way == "udp" and client.narrow_by_udp
    if narrow:
        # Its UDP events of a punch have ten bytes of data.
        config = TerminalConfig(profile="bw", transport="udp", event="10", user_capacity=5000, udp_packet=1024)
    else:
        config = TerminalConfig(profile="tft", transport=way, comm_key=key, udp_packet=1024)
    with Simulator() as simulator:
        yield from _stand(simulator.add(config), way, narrow=narrow)


@contextmanager
def second(client: Client, way: Way) -> Iterator[Stand]:
    """The second terminal, with frames so large that pyzk reads them; more than one a request it cannot."""
    narrow = way == "udp" and client.narrow_by_udp
    memory = Memory(wide=not narrow, punch_size=16 if narrow else 40)
    key = KEY if client.knows_keys else 0
    with SecondTerminal(memory, key=key, frame=65528, tcp=way == "tcp") as terminal:
        yield from _stand(terminal, way, narrow=narrow)


def _stand(terminal: SimulatedTerminal | SecondTerminal, way: Way, *, narrow: bool) -> Iterator[Stand]:
    if way == "udp":
        yield Stand(terminal, terminal.host, terminal.port, narrow)
        return
    with PacedRelay(terminal) as relay:
        yield Stand(terminal, relay.host, relay.port, narrow)
