"""A bridge with terminals, and a client that sends it whatever a client may send; and what must hold afterwards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.broken import Broken
from tests.fuzz.message_grammar import BASE, CARDS, COMMANDS, COMMON_IDS, DEVICES, PASSWORDS
from tests.fuzz.redelivery import RedeliveringBroker
from tests.support.daemon import Daemon, device
from tests.support.frames import asked, wait_for_session_end
from tests.support.memory import MB, peak, reset_peak, resident
from tests.support.processes import closed_port
from tests.support.raw_mqtt import RawClient, RawMessage
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import parse_object
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

#: What messages may cost: memory above the baseline, the ledger's files, and the log's bytes for each message.
MEMORY, LEDGER, LOG_PER_MESSAGE = 32 * MB, 8 * MB, 600
#: Seconds for the answers to a batch, and for an honest request beside it.
ANSWERS_S, HONEST_S = 20, 3.0
#: And while a smaller example is looked for.
SHORT_S = 4
#: And for a message that the broker may have dropped.
POSSIBLE_S = 2
#: A message that expires so soon may do so at the broker.
SOON_S = 5
#: After so many users a simulated terminal is emptied.
MOST_USERS = 100
LONGEST_RESPONSE_TOPIC, LONGEST_CORRELATION = 512, 1024
#: What no message may lead to.
NEVER = {"internal", "outcome_unknown", "device_auth_failed", "reply_too_large"}
GROUPS = {"both": ["p", "q"], "mixed": ["p", "small"], "away": ["p", "off"]}

#: A user's card and privilege as one request has named them.
Stored = tuple[int, int]
#: Topic and Correlation Data: what tells one answer from another.
Address = tuple[str, bytes | None]


def answer_of(message: RawMessage) -> tuple[Address, bool] | None:
    """Where its one answer goes, and whether its Response Topic is refused; None where it names no command.

    Written from the contract (sections 1 and 4), not from the code.
    """
    head = f"{BASE}/"
    named, slash, command = message.topic.removeprefix(head).partition("/")
    if not message.topic.startswith(head) or not slash or command not in COMMANDS:
        return None
    correlation = message.correlation
    if correlation is not None and len(correlation) > LONGEST_CORRELATION:
        correlation = None
    wanted = message.response_topic
    if wanted is None:
        return (f"{message.topic}/reply", correlation), False
    allowed = len(wanted.encode()) <= LONGEST_RESPONSE_TOPIC and any(
        wanted == place or wanted.startswith(f"{place}/") for place in (f"{BASE}/replies", f"{BASE}/{named}/replies")
    )
    reserved = wanted.startswith(f"{BASE}/bridge/") or _is_command_topic(wanted)
    if allowed and not reserved:
        return (wanted, correlation), False
    return (f"{message.topic}/reply", correlation), True


def _is_command_topic(topic: str) -> bool:
    """Whether the bridge takes commands, answers or reports there: `replies` may be a device's name like any other."""
    _, slash, rest = topic.removeprefix(f"{BASE}/").partition("/")
    bare = rest.removesuffix("/reply").removesuffix("/progress")
    return bool(slash) and (bare in COMMANDS or rest in {"availability", "attendance/event", "status"})


@dataclass
class MessageSite:
    """`send` sends a batch, and looks whether everything holds; `messages` counts what was sent."""

    daemon: Daemon
    client: RawClient
    terminals: dict[str, SimulatedTerminal]
    baseline: int
    messages: int = 0
    patience_s: float = ANSWERS_S
    names: dict[tuple[str, str], str | None] = field(default_factory=dict)
    #: Of users whose last change is known from the one message that can have been answered so.
    stored: dict[tuple[str, str], Stored] = field(default_factory=dict)
    _late: Counter[Address] = field(default_factory=Counter)
    _soon: list[RawMessage] = field(default_factory=list)
    _retained: set[RawMessage] = field(default_factory=set)
    _log_read: int = field(init=False)
    _honest: int = 0

    def __post_init__(self) -> None:
        self._log_read = self.daemon.log_path.stat().st_size  # the start is no message's doing

    @property
    def sessions(self) -> int:
        """With the terminals."""
        return sum(asked(terminal).count("CONNECT") for terminal in self.terminals.values())

    def send(self, batch: Sequence[RawMessage]) -> None:
        """Raises Broken, or AssertionError where something is waited for in vain."""
        self._empty_tables()
        mark = len(self.client.received)
        expected: Counter[Address] = Counter()
        possible: Counter[Address] = Counter()
        for message in batch:
            self.client.publish(message)
            self.messages += 1
            found = answer_of(message)
            if found is None or (message.retain and self._seen_retained(message)):
                continue
            soon = message.expiry_s is not None and message.expiry_s <= SOON_S
            (possible if soon else expected)[found[0]] += 1
            if soon:
                self._soon.append(message)
        self.client.flush()
        self._ask_honest()
        self._await(mark, expected, possible)
        wait_for_session_end(*self.terminals.values())
        answers = self._answers(mark)
        told = Counter(_address(answer) for answer in answers)
        self._late += possible  # it is answered at any time, or the broker has dropped it
        if surplus := told - expected - self._late:
            raise Broken(f"answers to nothing that was asked, or a second one: {dict(surplus)}\n{self._said()}")
        self._late -= told - expected
        for answer in answers:
            self._judge(answer, batch)
        self._check_tables()
        self._check_budgets()

    def begin_again(self) -> None:
        """After a failure: what is late comes now, and the tables are as they are."""
        self.patience_s = SHORT_S
        self._late.clear()
        with suppress(AssertionError):
            self._ask_honest()
            wait_for_session_end(*self.terminals.values())
        self.names = dict.fromkeys(self._held())
        self.stored.clear()
        self._log_read = self.daemon.log_path.stat().st_size

    def _held(self) -> dict[tuple[str, str], str]:
        """The names on the terminals, by device and user_id."""
        return {
            (name, user.user_id): user.name for name, terminal in self.terminals.items() for user in terminal.users()
        }

    def _seen_retained(self, message: RawMessage) -> bool:
        key = RawMessage(
            message.topic,
            message.payload,
            response_topic=message.response_topic,
            correlation=message.correlation,
        )
        if key in self._retained:
            return True
        self._retained.add(key)
        return False

    def _await(self, mark: int, expected: Counter[Address], possible: Counter[Address]) -> None:
        """What is possible is waited for as well, since it changes the tables, but not for long."""
        began = time.monotonic()
        while (expected + possible) - (told := Counter(map(_address, self._answers(mark)))):
            waited, missing = time.monotonic() - began, expected - told
            if not missing and waited > POSSIBLE_S:
                return
            if waited > self.patience_s or not self.daemon.running:
                raise Broken(f"no answer in {self.patience_s:g} s: {dict(missing)}\n{self._said()}")
            time.sleep(0.002)

    def _ask_honest(self) -> None:
        """The neighbour's request, right after the batch, is answered soon."""
        self._honest += 1
        correlation = b"honest %d" % self._honest
        self.client.publish(RawMessage(f"{BASE}/honest/time/get", b"{}", correlation=correlation))
        address, began = (f"{BASE}/honest/time/get/reply", correlation), time.monotonic()
        while not (found := [answer for answer in self._all_answers(-500) if _address(answer) == address]):
            if time.monotonic() - began > HONEST_S:
                raise Broken(f"the neighbour has no answer after {HONEST_S:g} s\n{self._said()}")
            time.sleep(0.002)
        if parse_object(found[0].payload)["code"] != "ok":
            raise Broken(f"the neighbour is answered {found[0].payload!r}\n{self._said()}")

    def _all_answers(self, mark: int) -> list[RawMessage]:
        """The bridge's answers, by their user property `code`."""
        return [message for message in self.client.received[mark:] if dict(message.user).get("code")]

    def _answers(self, mark: int) -> list[RawMessage]:
        return [a for a in self._all_answers(mark) if not (a.correlation or b"").startswith(b"honest ")]

    def _judge(self, answer: RawMessage, batch: Sequence[RawMessage]) -> None:
        body, user = parse_object(answer.payload), dict(answer.user)
        asked = [
            message
            for message in (*batch, *self._soon)
            if (found := answer_of(message)) and found[0] == _address(answer)
        ]
        faults = [
            answer.content_type != "application/json" or answer.payload_format != 1,
            user["code"] != body["code"] or user["status"] != str(body["status"]),
            body["success"] is not (body["status"] == 200),
            body["code"] in NEVER or any(part["code"] in NEVER for part in body.get("results", ())),
            any(password.encode() in answer.payload for password in PASSWORDS[:2]),
            not any(message.topic.endswith(f"/{user['command']}") for message in asked),
            body.get("response_topic_refused", False) not in {(answer_of(message) or ((), 0))[1] for message in asked},
            answer.retain,
        ]
        if any(faults):
            raise Broken(f"answer {answer} breaks rule {faults.index(True)}\n{self._said()}")
        if not body.get("replayed"):
            for part in body.get("results", [body]):
                self._note(part, asked)

    def _note(self, part: dict[str, Any], asked: Sequence[RawMessage]) -> None:
        """What the answer says of the terminal's table; one of these messages was answered."""
        if part.get("replayed") or part["code"] not in {"created", "updated", "deleted"}:
            return
        data = part["data"]
        key = (data["device_id"], data["user_id"])
        self._note_stored(key, part["code"], asked)
        if part["code"] == "created":
            if key in self.names:
                raise Broken(f"created is said of {key}, who is there\n{self._said()}")
            self.names[key] = data["name"]
        elif key not in self.names:
            raise Broken(f"{part['code']} is said of {key}, who is not there\n{self._said()}")
        elif part["code"] == "deleted":
            del self.names[key]
        else:
            self.names[key] = None  # the answer does not say what was changed

    def _note_stored(self, key: tuple[str, str], code: str, asked: Sequence[RawMessage]) -> None:
        before = self.stored.pop(key, (0, 0) if code == "created" else None)
        named = {found for message in asked if (found := _named(message, key[1], code, before)) is not None}
        if code != "deleted" and len(asked) == 1 and len(named) == 1:
            self.stored[key] = named.pop()

    def _check_tables(self) -> None:
        held = self._held()
        if held.keys() != self.names.keys():
            raise Broken(
                f"on the terminals and not told: {held.keys() - self.names.keys()}; "
                f"told and not there: {self.names.keys() - held.keys()}\n{self._said()}"
            )
        if wrong := {key: (name, held[key]) for key, name in self.names.items() if name not in (None, held[key])}:
            raise Broken(f"names that are not as told: {wrong}")
        there = {
            (name, user.user_id): (user.card, user.privilege)
            for name, terminal in self.terminals.items()
            for user in terminal.users()
        }
        if wrong := {key: (asked, there[key]) for key, asked in self.stored.items() if asked != there[key]}:
            raise Broken(f"cards and privileges that are not as asked: {wrong}\n{self._said()}")

    def _empty_tables(self) -> None:
        for name, terminal in self.terminals.items():
            users = terminal.users()
            if len(users) > MOST_USERS:
                for user in users:
                    terminal.delete_user(user.user_id)
                    del self.names[name, user.user_id]
                    self.stored.pop((name, user.user_id), None)
                self._add_users(name)

    def _add_users(self, name: str) -> None:
        """Half of the user_ids that requests name most often."""
        for number in range(1, COMMON_IDS, 2):
            user = self.terminals[name].add_user(str(number), f"N{number}")
            self.names[name, user.user_id] = user.name

    def _check_budgets(self) -> None:
        if not self.daemon.running:
            raise Broken(f"the daemon has ended\n{self._said()}")
        if (most := peak(self.daemon.pid) - self.baseline) > MEMORY:
            raise Broken(f"{most // MB} MB above the baseline")
        if (size := sum(path.stat().st_size for path in self.daemon.state.glob("ledger.db*"))) > LEDGER:
            raise Broken(f"the ledger takes {size // MB} MB")
        if (size := self.daemon.log_path.stat().st_size) > LOG_PER_MESSAGE * (self.messages + 100):
            raise Broken(f"the log takes {size} bytes after {self.messages} messages")
        if (self.daemon.state / "set-aside.jsonl").exists():
            raise Broken(f"a message was set aside\n{self._said()}")
        with self.daemon.log_path.open("rb") as file:
            file.seek(self._log_read)
            news = file.read()
        self._log_read += len(news)
        for word in (b" connected to ", b"Traceback", b" ERROR ", *_secrets()):
            if word in news:
                raise Broken(f"the log says {word!r}\n{self._said()}")

    def check_health(self) -> None:
        """The bridge's own account: no connection was lost, nothing is deaf or refused or set aside."""
        for message in self.client.received:
            if message.topic == f"{BASE}/bridge/health":
                health = parse_object(message.payload)
                if health["reconnects"] or health["set_aside"] or health["deaf_to"] or health["refused"]:
                    raise Broken(f"health: {health}")

    def _said(self) -> str:
        return self.daemon.log[-3000:]


def check_nothing_secret_is_left(daemon: Daemon) -> None:
    """After the daemon has stopped: no password or card of a payload in any file of its folder."""
    for path in [daemon.log_path, *daemon.state.iterdir()]:
        content = path.read_bytes() if path.is_file() else b""
        if found := [secret for secret in _secrets() if secret in content]:
            raise Broken(f"{path.name} holds {found}")


def _secrets() -> list[bytes]:
    return [str(secret).encode() for secret in (*PASSWORDS[:2], *CARDS)]


def _named(message: RawMessage, user_id: str, code: str, before: Stored | None) -> Stored | None:
    """Card and privilege of this user after the message was carried out; None where that is not known."""
    command = message.topic.rpartition("users/")[2]
    if before is None or command != {"created": "create", "updated": "update"}.get(code):
        return None
    try:
        params = COMMANDS[f"users/{command}"].parse(parse_object(message.payload), strict=False)
    except BridgeError:  # another one at the same address, which was refused
        return None
    card, privilege = getattr(params, "card", None), getattr(params, "privilege", None)
    if getattr(params, "user_id", None) != user_id:
        return None
    return (before[0] if card is None else card, before[1] if privilege is None else privilege)


def _address(message: RawMessage) -> Address:
    return message.topic, message.correlation


@contextmanager
def message_site(folder: Path, broker_port: int) -> Iterator[MessageSite]:
    """Start it, and stop it."""
    with Simulator() as simulator, RedeliveringBroker(broker_port) as redelivering:
        terminals = {
            name: simulator.add(TerminalConfig(profile=profile, user_capacity=10_000))
            for name, profile in (("p", "tft"), ("q", "tft"), ("small", "bw"), ("honest", "tft"))
        }
        devices = {name: device(terminal) for name, terminal in terminals.items()}
        devices["small"]["transport"] = "udp"
        devices["p"]["door"] = {"enabled": True, "trust_clock": True}
        devices["off"] = {"host": "127.0.0.1", "port": closed_port(), "timeout": 3}
        assert set(DEVICES) == (devices.keys() | GROUPS.keys()) - {"honest"}
        daemon = Daemon(
            folder,
            redelivering.port,
            devices,
            groups=GROUPS,
            mqtt={"base_topic": BASE},
            retry={"attempts": 2, "initial_delay": 0.02, "max_delay": 0.05, "deadline": 15},
            ledger={"max_bytes": MB},
            language="en",
            covered=False,
        )
        with daemon, RawClient(broker_port) as client:
            client.subscribe(f"{BASE}/#")
            site = MessageSite(daemon, client, terminals, baseline=resident(daemon.pid))
            for name in terminals:
                site._add_users(name)
            for name in COMMANDS:  # what is loaded at the first request is loaded now
                site.send([RawMessage(f"{BASE}/p/{name}", b"{}", correlation=name.encode())])
            reset_peak(daemon.pid)
            site.baseline = resident(daemon.pid)
            yield site
            site.check_health()
        check_nothing_secret_is_left(daemon)
