"""examples/mosquitto/acl: the rights that each user of the example needs, from the registry of commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.project.tree import ROOT
from zkbridge.commands import commands
from zkbridge.contract.plans import DESIRED, DOCUMENTS, TRIED
from zkbridge.contract.topics import BRIDGE, Topics

PAGE = ROOT / "examples" / "mosquitto" / "acl"
TOPICS = Topics()
TERMINAL = "principal"
HEAD = """\
# Who may do what. Whatever is not named is forbidden.
# Made from the commands that zkbridge has: .venv/bin/python -m tests.docs.write
# Mosquitto grants a subscription even where reading is forbidden, and delivers nothing: zkbridge notices, and says so.
"""


def page() -> str:
    """The whole file."""
    sections = (_bridge, _reception, _node_red, _home_assistant, _operator, _panel)
    return HEAD + "".join(f"{line}\n" for section in sections for line in ("", *section()))


def _bridge() -> Iterator[str]:
    yield _title("the bridge")
    yield from ("", "user bridge", "", "# Commands, one line each: what is not named here cannot be asked for.")
    yield from _each("read", (TOPICS.command("+", name) for name in commands()))
    yield from ("", "# Replies to them, and the progress of those that take a person's time.")
    yield from _each("write", (TOPICS.reply("+", name) for name in commands()))
    yield from _each("write", (TOPICS.progress("+", name) for name in _attended()))
    yield from _each("write", (f"{TOPICS.base}/replies/#", f"{TOPICS.base}/+/replies/#"))
    yield from ("", "# The bridge tries each command with a word to itself. `bridge` is never a device.")
    yield from _each("write", (TOPICS.command(BRIDGE, name) for name in commands()))
    yield from ("", "# State: the bridge's own, which it also hears, and its terminals'; punches, where they are live.")
    yield from _each("readwrite", (TOPICS.state, TOPICS.health))
    yield from _each("write", (TOPICS.info, TOPICS.availability("+")))
    yield from _each("readwrite", (TOPICS.punches("+"),))
    yield from _each("write", (TOPICS.user_events("+"),))
    yield from ("", "# With desired.enabled alone: documents that say who is to be on a terminal, and their plans.")
    yield from _each("read", (TOPICS.command("+", end) for end in DOCUMENTS))
    yield from _each("write", (TOPICS.plan("+", DESIRED), *(TOPICS.command(BRIDGE, end) for end in TRIED.values())))
    yield f"topic read {TOPICS.plan(BRIDGE, DESIRED)}"
    yield from (
        "",
        "# By MQTT 3.1.1 the broker tells no refusal: the bridge tries with the same word whether it is heard here.",
    )
    yield from _each("read", (TOPICS.reply(BRIDGE, name) for name in commands()))
    yield from _each("read", (TOPICS.availability(BRIDGE),))
    yield from ("", "# With homeassistant.discovery alone: what Home Assistant is told, of this base topic.")
    yield from _each("write", (TOPICS.status("+"), f"homeassistant/device/zkbridge_{TOPICS.base}/+/config"))
    yield "topic read homeassistant/status"


def _reception() -> Iterator[str]:
    yield _title("a caller: the reception creates users on one terminal")
    yield from ("", "user reception", f"topic write {TOPICS.command(TERMINAL, 'users/create')}")
    answers = (TOPICS.reply(TERMINAL, "users/create"), TOPICS.availability(TERMINAL), "zk/replies/reception/#")
    yield from _each("read", (*answers, TOPICS.state))


def _node_red() -> Iterator[str]:
    yield _title("Node-RED, with one of the flows of examples/node-red")
    yield from ("", "user node-red", f"topic write {TOPICS.command(TERMINAL, 'users/create')}")
    answers = (TOPICS.reply(TERMINAL, "users/create"), "zk/replies/node-red", TOPICS.availability("+"))
    yield from _each("read", (*answers, TOPICS.state))
    yield "# The same for users.json, employee.json, door.json and punches.json."
    yield "# Delete the lines of those that you do not import."
    yield f"topic read {TOPICS.info}"
    for name in ("users/list", "users/delete", "users/enroll-finger", "users/copy", "door/unlock"):
        yield f"topic write {TOPICS.command(TERMINAL, name)}"
        yield f"topic read {TOPICS.reply(TERMINAL, name)}"
    yield f"topic read {TOPICS.punches('+')}"


def _home_assistant() -> Iterator[str]:
    yield _title("Home Assistant: sees the terminals, and may press what it is shown")
    yield from ("", "user home-assistant", "topic read homeassistant/#", "topic write homeassistant/status")
    told = (TOPICS.availability("+"), TOPICS.status("+"), TOPICS.punches("+"))
    yield from _each("read", (TOPICS.state, TOPICS.health, *told))
    yield f"topic write {TOPICS.command('+', 'info')}"
    yield "# Delete the next line if nobody is to open a door there."
    yield f"topic write {TOPICS.command('+', 'door/unlock')}"


def _operator() -> Iterator[str]:
    yield _title("an operator: every command on every terminal, by the command line, and `zkbridge watch`")
    yield from ("", "user operator")
    yield from _each("write", (TOPICS.command("+", name) for name in commands()))
    yield from _each("read", (TOPICS.reply("+", name) for name in commands()))
    yield from _each("read", (TOPICS.progress("+", name) for name in _attended()))
    yield from _each("read", (f"{TOPICS.base}/replies/operator/#", TOPICS.availability("+"), TOPICS.punches("+")))
    yield from _each("read", (TOPICS.user_events("+"),))
    yield from _each("read", (TOPICS.state, TOPICS.info, TOPICS.health))
    yield "# With desired.enabled alone, `zkbridge apply`: whoever may write here decides who is on the terminals."
    yield from _each("write", (TOPICS.command("+", end) for end in DOCUMENTS))
    yield f"topic read {TOPICS.plan('+', DESIRED)}"
    yield "# `watch` shows answers, not the requests, for those hold passwords and card numbers. If it is to show them:"
    yield f"#topic read {TOPICS.base}/#"


def _panel() -> Iterator[str]:
    yield _title("a reader: a panel on the wall")
    yield from ("", "user panel")
    yield from _each("read", (TOPICS.availability("+"), TOPICS.state, TOPICS.info, TOPICS.health))


def _attended() -> list[str]:
    return [name for name, command in commands().items() if command.attended]


def _title(text: str) -> str:
    return f"# -- {text} ".ljust(110, "-")


def _each(access: str, topics: Iterable[str]) -> Iterator[str]:
    return (f"topic {access} {topic}" for topic in topics)
