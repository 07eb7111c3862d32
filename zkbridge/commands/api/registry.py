"""The table of all commands that were declared, and how one is declared. Commands import from here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from zkbridge.commands.api.command import Answer, Button, Command, Ends, Lock, Run, Step
from zkbridge.commands.api.context import Change, Context, HandOver, Onward
from zkbridge.commands.api.params import Lasting, Params
from zkbridge.config.models import Device
from zkbridge.contract.bodies import Body
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import add_texts

__all__ = [
    "Answer",
    "Body",
    "Button",
    "Change",
    "Command",
    "Context",
    "Ends",
    "HandOver",
    "Lasting",
    "Lock",
    "Onward",
    "Params",
    "Run",
    "Step",
    "command",
    "ending",
    "listing",
    "registered",
]

S = TypeVar("S")
P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Body | Change | HandOver)

_COMMANDS: dict[str, Command] = {}
#: Those that nobody can ask for over MQTT.
_INNER: dict[str, Command] = {}


def command(
    name: str,
    *,
    params: type[P],
    code: str,
    answer: Answer,
    disables: bool,
    repeatable: bool,
    errors: tuple[type[BridgeError], ...] = (),
    attended: bool = False,
    creates_user: bool = False,
    reads: bool = False,
    delay_limit: Callable[[Device], float | None] | None = None,
    opens_s: Callable[[P], int] | None = None,
    button: Button | None = None,
    hands_over: bool = False,
    inner: bool = False,
) -> Callable[[Callable[[S, P, Context], R]], Callable[[S, P, Context], R]]:
    """Declare a command; whoever writes one says whether it keeps people off, and whether twice does harm.

    `inner`: it is no topic; another command hands its requests over.
    The function keeps its own type. Its first parameter is a capability of `port/capabilities.py`, or Terminal.
    """

    def declare(run: Callable[[S, P, Context], R]) -> Callable[[S, P, Context], R]:
        # That a Terminal has the capability S is no bound that a TypeVar can have; a test holds every command to it.
        made = Command(name, code, params, cast("Run", run), disables, repeatable, answer, errors)
        made = made._replace(attended=attended, creates_user=creates_user, reads=reads)
        made = made._replace(delay_limit=delay_limit, opens_s=opens_s, button=button, hands_over=hands_over)
        _declare(made, _INNER if inner else _COMMANDS)
        return run

    return declare


def ending(
    name: str,
    *,
    of: str,
    error: type[BridgeError],
    params: type[P],
    code: str,
    answer: Answer,
    errors: tuple[type[BridgeError], ...] = (),
) -> Callable[[Callable[[Any, P, Context], Body]], Callable[[Any, P, Context], Body]]:
    """Declare a command that ends a request of another one, which is then answered with `error`.

    The function makes the answer: from the parameters of the request that was ended, or None where there was none.
    """

    def declare(make: Callable[[Any, P, Context], Body]) -> Callable[[Any, P, Context], Body]:
        # Not repeatable: brought twice by a broker it might end what has begun since.
        made = Command(name, code, params, make, disables=False, repeatable=False, answer=answer, errors=errors)
        _declare(made._replace(ends=Ends(of, error, make)), _COMMANDS)
        return make

    return declare


def listing(name: str, *, of: str, params: type[Params], code: str, answer: Answer) -> None:
    """Declare a command that carries out another one, which disables and is repeatable, for each row of a list."""

    def run(_session: Any, _params: Any, _context: Context) -> Body:
        raise TypeError(f"{name} is carried out row by row")

    run.__module__ = params.__module__
    _declare(Command(name, code, params, run, disables=True, repeatable=True, answer=answer, each=of), _COMMANDS)


def _declare(made: Command, table: dict[str, Command]) -> None:
    known = (_COMMANDS | _INNER).get(made.name)
    if known is not None and known.run.__module__ != made.run.__module__:
        raise ValueError(f"two commands are named {made.name}: {known.run.__module__}, {made.run.__module__}")
    says = {} if made.answer.says is None else {made.name: made.answer.says}
    add_texts(says | {f"{made.name}.{step}": each.text for step, each in made.answer.steps.items()})
    table[made.name] = made


def registered() -> dict[str, Command]:
    """Every command declared so far that can be asked for, by name."""
    return dict(sorted(_COMMANDS.items()))


def inner() -> dict[str, Command]:
    """Every inner command declared so far, by name."""
    return dict(sorted(_INNER.items()))
