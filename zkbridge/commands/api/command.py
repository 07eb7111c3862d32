"""What a command is: its name, its function, and what its declaration says of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from zkbridge.commands.api.context import Change, Context, HandOver
from zkbridge.commands.api.params import Params
from zkbridge.commands.api.rules import faults_of
from zkbridge.config.models import Device
from zkbridge.contract.bodies import Body, JsonObject
from zkbridge.contract.errors import MAX_FAULTS, BridgeError, FieldFault, InvalidField, MissingFields
from zkbridge.port.capabilities import Terminal

Run = Callable[[Terminal, Any, Context], "Body | Change | HandOver"]

_BUILDING = threading.Lock()


class Ends(NamedTuple):
    """What a command ends, without asking a terminal: a request of another command, which is answered with `error`.

    `answer` makes the command's own answer from that request's parameters, or None where there was none to end.
    """

    command: str
    error: type[BridgeError]
    answer: Callable[[Any, Any, Context], Body]


class Step(NamedTuple):
    """One step of an attended command's progress: its sentence (Spanish, English), and facts that fill it."""

    text: tuple[str, str]
    facts: Mapping[str, object]


class Answer(NamedTuple):
    """What a success holds, declared beside the command: pages, schemas and examples are made from it.

    `data` is a TypedDict whose fields say by `contract.answers.like` what they may look like; with `rows` the reply has
    a list of them. `counts` are the keys beside `data`, with what they mean. `says` is the sentence of a success
    (Spanish, English), filled from `data`. `under` is the key that holds them instead of `data`.
    `progress` is a TypedDict of what is published meanwhile, and `steps` names each step.
    """

    data: type
    rows: bool = False
    counts: Mapping[str, str] = MappingProxyType({})
    says: tuple[str, str] | None = None
    progress: type | None = None
    steps: Mapping[str, Step] = MappingProxyType({})
    under: str = "data"


class Lock(NamedTuple):
    """How Home Assistant shows a command that opens a door for some seconds: beside its button as a lock.

    `key` and `name` are as a button's. `refused` is a payload that the command always refuses: Home Assistant has a
    lock lock as well, and nothing can close a door early.
    """

    key: str
    name: tuple[str, str]
    icon: str
    refused: str


class Button(NamedTuple):
    """How Home Assistant shows a command: as a button that asks a device for it without a field.

    `key` is part of the entity's unique id and never changes; of several commands with one key the first by name that
    the policy allows is asked for. `name` is Spanish, English. `offered` returns whether a device has it at all;
    with `while_away` it can be pressed although the terminal does not answer. `lock` is shown beside it.
    """

    key: str
    name: tuple[str, str]
    icon: str
    diagnostic: bool = False
    while_away: bool = False
    offered: Callable[[Device], bool] = lambda _device: True
    lock: Lock | None = None


class Command(NamedTuple):
    """One thing that can be asked. `run` answers at once with a reply's body, or plans a Change.

    `disables`: people are kept off the terminal meanwhile. `repeatable`: doing it twice does no harm.
    `attended`: a person at the terminal takes part. It has a session of its own and reports its progress; once it was
    asked, `run` finds out what became of it (`Context.asked_before`) and never begins again.
    `ends`: it asks no terminal, but ends a request of another command.
    `answer` describes its success, `errors` are those that it has beside the ones any command may have.
    `creates_user`: its success means that the user of `data` is new on the terminal.
    `reads`: it changes nothing, so that its answer can be made again.
    `delay_limit`: it must not be late; returns how old a request for a device may be, in seconds, or None where the
    device does not do it at all. The bridge then measures how long messages are on their way.
    `opens_s`: its success means that the door is open for so many seconds, by its parameters; None for all others.
    `button`: how Home Assistant shows it; None where it does not.
    `each`: the command that is carried out for each row of its list, in place of `run`; None for all others.
    `hands_over`: it reads at one device what other requests then do; it is answered with all of theirs.
    """

    name: str
    code: str
    params: type[Params]
    run: Run
    disables: bool
    repeatable: bool
    answer: Answer
    errors: tuple[type[BridgeError], ...] = ()
    attended: bool = False
    ends: Ends | None = None
    creates_user: bool = False
    reads: bool = False
    delay_limit: Callable[[Device], float | None] | None = None
    opens_s: Callable[[Any], int] | None = None
    button: Button | None = None
    each: str | None = None
    hands_over: bool = False

    @property
    def for_groups(self) -> bool:
        """Whether one message may have it done on several devices: not what does harm if it is done twice."""
        return self.repeatable and not self.hands_over

    @property
    def answers_together(self) -> bool:
        """Whether its answer may be one that is made of several devices' answers."""
        return self.for_groups or self.hands_over

    @property
    def required(self) -> tuple[str, ...]:
        """The fields without which nothing can be asked."""
        return tuple(name for name, field in self.params.model_fields.items() if field.is_required())

    def parse(self, body: JsonObject, *, strict: bool) -> Params:
        """The payload's fields. Raises MissingFields or InvalidField (with every fault that a reply names)."""
        fields = self.params.model_fields
        given = {name: value for name, value in body.items() if value is not None and name in fields}
        unknown = [name for name, value in body.items() if value is not None and name not in fields] if strict else []
        given |= {name: body[name] for name in unknown[:MAX_FAULTS]}
        try:
            params = self._built().model_validate(given)
        except ValidationError as error:
            more = error.error_count() + len(unknown[MAX_FAULTS:])
            raise self._refusal(faults_of(error, fields), more, given) from None
        if strict and (faults := params.unknown_inside()):
            raise InvalidField(*faults)
        return params

    def _refusal(self, faults: list[FieldFault], count: int, given: JsonObject) -> BridgeError:
        """What is required and blank is as good as absent. `count` is of all faults, those that are not here too."""
        faults = [
            FieldFault(f.name, "empty") if f.name in self.required and _is_blank(given.get(f.name)) else f
            for f in faults
        ]
        more = count - len(faults)
        lacks = [fault for fault in faults if fault.name in self.required and fault.rule in ("required", "empty")]
        if not lacks:
            return InvalidField(*faults, more=more)
        only_absent = all(fault.rule == "required" for fault in faults)
        return MissingFields(*self.required, faults=() if only_absent else faults, more=more)

    def load(self, stored: bytes) -> Params:
        """The parameters that the ledger kept."""
        return self._built().model_validate_json(stored)

    def _built(self) -> type[Params]:
        """The model, by one thread at a time: pydantic does not say what becomes of one that two build at once."""
        if not self.params.__pydantic_complete__:
            with _BUILDING:
                self.params.model_rebuild()
        return self.params


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()
