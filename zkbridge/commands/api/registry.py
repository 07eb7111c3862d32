"""What a command is, and the table of all that were declared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from zkbridge.commands.api.backlog import NoBacklog, PunchBacklog
from zkbridge.commands.api.fields import CatchUp, Instant, RequestId
from zkbridge.commands.api.presence import AttendedInteraction
from zkbridge.commands.api.rules import faults_of
from zkbridge.config.models import Device, Policy
from zkbridge.contract.errors import MAX_FAULTS, BridgeError, FieldFault, InvalidField, MissingFields
from zkbridge.contract.texts import add_texts
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.port.capabilities import Terminal
from zkbridge.port.users import UserTable

P = TypeVar("P", bound="Params")


class Params(BaseModel):
    """What may stand in a command's payload; the two fields here belong to every command."""

    # Not built before somebody asks for the command: all of them are a fortieth of the start.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True, defer_build=True)

    request_id: RequestId | None = None
    expires_at: Instant | None = None

    @property
    def waits(self) -> bool:
        """Whether a device of a group that is away shall be caught up later."""
        return False

    @property
    def key(self) -> str | None:
        """What is touched: two changes of one thing never share a session, for the second depends on the first."""
        return None

    def surely_wrong(self, _device: Device) -> tuple[FieldFault, ...]:
        """What this device can never take, known before it is asked."""
        return ()

    def check_policy(self, _policy: Policy) -> None:
        """Raise Forbidden if the policy does not allow these values."""

    def check_device(self, _device: Device, _clock: Clock) -> None:
        """Raise Forbidden if this device is not to be asked for it, ClockUntrusted if the clock does not allow it."""

    def max_age_s(self, _device: Device) -> float | None:
        """The seconds after its arrival for which the request is good; None: there is no such limit."""
        return None

    def lasts_s(self) -> float:
        """The seconds for which a person at the terminal is waited for; no deadline counts them."""
        return 0.0

    def ends(self, _other: Params) -> bool:
        """Whether a request of the command that this one ends is meant."""
        return True

    def stored(self) -> bytes:
        """What is asked, as the ledger keeps it; equal bytes mean the same request."""
        return self.model_dump_json(exclude={"request_id", "expires_at", "catch_up"}, round_trip=True).encode()


class Lasting(Params):
    """What leaves a change that is as good tomorrow: it may wait for the devices of a group that are away."""

    catch_up: CatchUp = False

    @property
    def waits(self) -> bool:
        """As asked."""
        return self.catch_up


@dataclass(frozen=True)
class Context:
    """What a command may need to know beside its parameters.

    `asked_before`: an earlier attempt of this request may have changed the terminal already.
    `tried`: what those attempts meant to write, oldest first, as they said in `Change.intent`.
    `room`: how many bytes the rows of a list may take in the reply.
    `presence`: the person at the terminal, for an attended command.
    `clock`: that of the bridge's machine.
    `backlog`: what of the device's punches was published.
    """

    device: Device
    asked_before: bool = False
    tried: tuple[Any, ...] = ()
    room: int = 262_144
    presence: AttendedInteraction = field(default_factory=AttendedInteraction)
    clock: Clock = SYSTEM
    backlog: PunchBacklog = field(default_factory=NoBacklog)


class Change(NamedTuple):
    """What a command is about to do to the terminal; nothing has been asked of it yet.

    `intent` is kept on disk before `apply` asks the terminal; it must hold no secret.
    `apply` asks the terminal and returns the reply's body.
    `grows` is by how many users the terminal's count must change. Only where `counts` says so does that suffice;
    elsewhere the table is read, and `kept` looks for the change in it. If it is not there, `amiss` may find out more,
    and put the terminal right, and returns the error to answer with; `lost` is the reason that DeviceRejected gets
    where it returns None.
    """

    intent: Any
    apply: Callable[[], dict[str, Any]]
    grows: int = 0
    counts: Callable[[], bool] = lambda: False
    kept: Callable[[UserTable], bool] = lambda _table: True
    amiss: Callable[[UserTable], BridgeError | None] = lambda _table: None
    lost: str = "not_kept"


Run = Callable[[Terminal, Any, Context], "dict[str, Any] | Change"]


class Ends(NamedTuple):
    """What a command ends, without asking a terminal: a request of another command, which is answered with `error`.

    `answer` makes the command's own answer from that request's parameters, or None where there was none to end.
    """

    command: str
    error: type[BridgeError]
    answer: Callable[[Any, Any, Context], dict[str, Any]]


class Step(NamedTuple):
    """One step of an attended command's progress: its sentence (Spanish, English), and facts that fill it."""

    text: tuple[str, str]
    facts: Mapping[str, object]


class Answer(NamedTuple):
    """What a success holds, declared beside the command: pages, schemas and examples are made from it.

    `data` is a TypedDict whose fields say by `contract.answers.like` what they may look like; with `rows` the reply has
    a list of them. `counts` are the keys beside `data`, with what they mean. `says` is the sentence of a success
    (Spanish, English), filled from `data`. `progress` is a TypedDict of what is published meanwhile, and
    `steps` names each step.
    """

    data: type
    rows: bool = False
    counts: Mapping[str, str] = MappingProxyType({})
    says: tuple[str, str] | None = None
    progress: type | None = None
    steps: Mapping[str, Step] = MappingProxyType({})


class Command(NamedTuple):
    """One thing that can be asked. `run` answers at once with a reply's body, or plans a Change.

    `disables`: people are kept off the terminal meanwhile. `repeatable`: doing it twice does no harm.
    `attended`: a person at the terminal takes part. It has a session to itself and tells its progress; once it was
    asked, `run` finds out what became of it (`Context.asked_before`) and never begins again.
    `ends`: it asks no terminal, but ends a request of another command.
    `answer` describes its success, `errors` are those that it has beside the ones any command may have.
    `creates_user`: its success means that the user of `data` is new on the terminal.
    `reads`: it changes nothing, so that its answer can be made again.
    `delay_limit`: it must not be late; returns how old a request for a device may be, in seconds, or None where the
    device does not do it at all. The bridge then measures how long messages are on their way.
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

    @property
    def for_groups(self) -> bool:
        """Whether one message may have it done on several devices: not what does harm if it is done twice."""
        return self.repeatable

    @property
    def required(self) -> tuple[str, ...]:
        """The fields without which nothing can be asked."""
        return tuple(name for name, field in self.params.model_fields.items() if field.is_required())

    def parse(self, body: dict[str, Any], *, strict: bool) -> Params:
        """The payload's fields. Raises MissingFields or InvalidField (with every fault that a reply tells)."""
        fields = self.params.model_fields
        given = {name: value for name, value in body.items() if value is not None and name in fields}
        unknown = [name for name, value in body.items() if value is not None and name not in fields] if strict else []
        given |= {name: body[name] for name in unknown[:MAX_FAULTS]}
        try:
            return self._built().model_validate(given)
        except ValidationError as error:
            more = error.error_count() + len(unknown[MAX_FAULTS:])
            raise self._refusal(faults_of(error, fields), more, given) from None

    def _refusal(self, faults: list[FieldFault], count: int, given: dict[str, Any]) -> BridgeError:
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


_COMMANDS: dict[str, Command] = {}
_BUILDING = threading.Lock()


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
) -> Callable[[Callable[[Terminal, P, Context], dict[str, Any] | Change]], Run]:
    """Declare a command; whoever writes one says whether it keeps people off, and whether twice does harm."""

    def declare(run: Callable[[Terminal, P, Context], dict[str, Any] | Change]) -> Run:
        made = Command(name, code, params, run, disables, repeatable, answer, errors)
        _declare(made._replace(attended=attended, creates_user=creates_user, reads=reads, delay_limit=delay_limit))
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
) -> Callable[[Callable[[Any, P, Context], dict[str, Any]]], Callable[[Any, P, Context], dict[str, Any]]]:
    """Declare a command that ends a request of another one, which is then answered with `error`.

    The function makes the answer: from the parameters of the request that was ended, or None where there was none.
    """

    def declare(make: Callable[[Any, P, Context], dict[str, Any]]) -> Callable[[Any, P, Context], dict[str, Any]]:
        # Not repeatable: brought twice by a broker it might end what has begun since.
        made = Command(name, code, params, make, disables=False, repeatable=False, answer=answer, errors=errors)
        _declare(made._replace(ends=Ends(of, error, make)))
        return make

    return declare


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _declare(made: Command) -> None:
    known = _COMMANDS.get(made.name)
    if known is not None and known.run.__module__ != made.run.__module__:
        raise ValueError(f"two commands are named {made.name}: {known.run.__module__}, {made.run.__module__}")
    says = {} if made.answer.says is None else {made.name: made.answer.says}
    add_texts(says | {f"{made.name}.{step}": each.text for step, each in made.answer.steps.items()})
    _COMMANDS[made.name] = made


def registered() -> dict[str, Command]:
    """Every command declared so far, by name."""
    return dict(sorted(_COMMANDS.items()))
