"""What can be done to simulated terminals by name: by the control interface, a line of text, or the screen."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.wire.codes import command_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zkbridge.simulator.handle.terminal import SimulatedTerminal


class OperationFailed(Exception):
    """The operation failed; the text is the reason, for a person."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing to do: its bare words in a line of text, what it means, and how."""

    words: tuple[str, ...]
    meaning: str
    run: Callable[..., Any]


def perform(terminals: Sequence[SimulatedTerminal], request: Mapping[str, Any]) -> Any:
    """Do what a request says: `do` names it, `terminal` the port or place of the terminal (the first if missing).

    The other keys are the operation's own. Returns what JSON can hold; raises OperationFailed.
    """
    arguments = dict(request)
    name = arguments.pop("do", None)
    operation = OPERATIONS.get(str(name))
    if operation is None:
        raise OperationFailed(f"{name!r} is not one of {', '.join(OPERATIONS)}")
    terminal = _chosen(terminals, arguments.pop("terminal", None))
    try:
        return operation.run(terminal, **arguments)
    except Refused as refusal:
        raise OperationFailed(f"refused: {refusal}") from refusal
    except KeyError as error:
        raise OperationFailed(f"there is no {error}") from error
    except (TypeError, ValueError, OSError) as error:
        raise OperationFailed(str(error).removeprefix("_")) from error


def parse_line(text: str) -> dict[str, Any]:
    """A request from a line as a person types it: `punch 123`, `add_user 7 Ana card=42`, `set latency 0.2`.

    Raises OperationFailed when there are more bare words than the operation takes.
    """
    try:
        name, *words = shlex.split(text)
    except ValueError as error:
        raise OperationFailed(str(error)) from error
    request: dict[str, Any] = {"do": name}
    operation = OPERATIONS.get(name)
    places = list(operation.words) if operation else []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key.isidentifier() and name != "fault":
            request[key] = value
        elif places:
            request[places.pop(0)] = word
        else:
            raise OperationFailed(f"{name}: {word!r} is one word too many")
    return request


def help_text() -> str:
    """One line for each operation."""
    usage = {name: " ".join((name, *operation.words)) for name, operation in OPERATIONS.items()}
    width = max(map(len, usage.values()))
    return "\n".join(f"{usage[name]:{width}}  {operation.meaning}" for name, operation in OPERATIONS.items())


def _chosen(terminals: Sequence[SimulatedTerminal], wanted: Any) -> SimulatedTerminal:
    if wanted is None:
        return terminals[0]
    for terminal in terminals:
        if str(terminal.port) == str(wanted):
            return terminal
    if str(wanted).isdigit() and int(wanted) < len(terminals):
        return terminals[int(wanted)]
    raise OperationFailed(f"no terminal {wanted!r}")


def _users(terminal: SimulatedTerminal) -> list[dict[str, Any]]:
    return [{**asdict(user), "raw": user.raw.hex()} for user in terminal.users()]


def _add_user(
    terminal: SimulatedTerminal,
    user_id: Any,
    name: str = "",
    *,
    uid: Any = None,
    password: str = "",
    privilege: Any = 0,
    card: Any = 0,
    group: Any = 1,
) -> dict[str, Any]:
    user = terminal.add_user(
        str(user_id),
        name,
        uid=None if uid is None else int(uid),
        password=str(password),
        privilege=int(privilege),
        card=int(card),
        group=int(group),
    )
    return {"uid": user.uid, "user_id": user.user_id}


def _punch(
    terminal: SimulatedTerminal, user_id: Any, verify: Any = 1, state: Any = 0, when: str | None = None
) -> dict[str, Any]:
    taken = terminal.punch(
        str(user_id),
        verify=int(verify),
        state=int(state),
        when=None if when is None else datetime.fromisoformat(when),
    )
    return {"taken": taken, "display": terminal.display}


def _enrol(terminal: SimulatedTerminal, script: Any = "good") -> None:
    terminal.enrol(script if isinstance(script, str) else [int(score) for score in script])


def _set(terminal: SimulatedTerminal, name: str, value: Any) -> None:
    if name not in terminal.switches.as_dict():
        raise ValueError(f"{name!r} is not a switch")
    setattr(terminal.switches, name, value)


def _fault(terminal: SimulatedTerminal, text: str | None = None, action: str = "silence", **fault: Any) -> None:
    if text is not None:
        terminal.faults.add_text(text)
    else:
        terminal.faults.add(do=action, **fault)


def _power(terminal: SimulatedTerminal, state: str, how: str = "reset") -> None:
    if state == "on":
        terminal.power_on()
    elif state == "off":
        terminal.power_off(how)
    else:
        raise ValueError(f"{state!r} is not on or off")


def _state(terminal: SimulatedTerminal) -> dict[str, Any]:
    return {
        "profile": terminal.profile,
        "host": terminal.host,
        "port": terminal.port,
        "powered": terminal.powered,
        "disabled": terminal.disabled,
        "display": terminal.display,
        "door_open": terminal.door_open,
        "sessions_open": terminal.sessions_open,
        "connections_accepted": terminal.connections_accepted,
        "round_trips": terminal.round_trips,
        "users": len(terminal.machine.terminal.users.stored),
        "fingers": len(terminal.templates()),
        "punches": len(terminal.attendance()),
        "time": terminal.time.isoformat(),
        "longest_disabled_s": max(terminal.disabled_spans(), default=0.0),
    }


def _log(terminal: SimulatedTerminal) -> list[dict[str, Any]]:
    return [asdict(exchange) for exchange in terminal.log]


def _counts(terminal: SimulatedTerminal) -> dict[str, int]:
    return {command_name(number): count for number, count in terminal.counts.items()}


OPERATIONS: dict[str, Operation] = {
    "state": Operation((), "its display, door and sessions, and how many users, fingers and punches it has", _state),
    "disabled": Operation(
        (), "for how many seconds it was disabled, each time", lambda terminal: terminal.disabled_spans()
    ),
    "users": Operation((), "the table of users", _users),
    "punch": Operation(("user_id",), "a person punches (verify, state, when)", _punch),
    "add_user": Operation(
        ("user_id", "name"), "add a user at the keypad (uid, password, privilege, card, group)", _add_user
    ),
    "delete_user": Operation(
        ("user_id",), "delete a user at the keypad", lambda terminal, user_id: terminal.delete_user(user_id)
    ),
    "fill_users": Operation(
        ("count",), "add many users at once", lambda terminal, count: terminal.fill_users(int(count))
    ),
    "enrol": Operation(
        ("script",), "give the finger that an enrolment asks for: good, bad, duplicate, timeout", _enrol
    ),
    "alarm": Operation(
        ("kind", "user_id"),
        "raise an alarm: tamper, exit_button, …; duress and passback with a user (match)",
        lambda terminal, kind, user_id=None, match=1: terminal.alarm(kind, user_id, match=int(match)),
    ),
    "set": Operation(("name", "value"), "set a switch", _set),
    "switches": Operation((), "all switches with their values", lambda terminal: terminal.switches.as_dict()),
    "option": Operation(
        ("name", "value"),
        "write an option; without a value delete it",
        lambda terminal, name, value=None: terminal.set_option(name, value),
    ),
    "fault": Operation(("text",), "add a fault: on=COMMAND,when=before|after,do=ACTION,count=…", _fault),
    "clear_faults": Operation((), "remove all faults that were added", lambda terminal: terminal.faults.clear()),
    "power": Operation(("state", "how"), "power on or off (reset, close, silent)", _power),
    "restart": Operation((), "power off and on again", lambda terminal: terminal.restart()),
    "move": Operation(
        ("port",), "move to another port", lambda terminal, port=0, host=None: terminal.move(int(port), host)
    ),
    "snapshot": Operation(("path",), "write the tables to a file", lambda terminal, path: terminal.snapshot(path)),
    "restore": Operation(("path",), "read the tables from a file", lambda terminal, path: terminal.restore(path)),
    "log": Operation((), "the last frames", _log),
    "counts": Operation((), "number of requests, by command", _counts),
}
