"""What a command is, and the table of all that were declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from zkbridge.commands.fields import Instant, RequestId, faults_of
from zkbridge.config import Device, Policy
from zkbridge.contract.errors import FieldFault, InvalidField, MissingFields
from zkbridge.terminal.session import Session
from zkbridge.terminal.users import UserTable

P = TypeVar("P", bound="Params")


class Params(BaseModel):
    """What may stand in a command's payload; the two fields here belong to every command."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True)

    request_id: RequestId | None = None
    expires_at: Instant | None = None

    @property
    def key(self) -> str | None:
        """What is touched: two changes of one thing never share a session, for the second depends on the first."""
        return None

    def surely_wrong(self, _device: Device) -> tuple[FieldFault, ...]:
        """What this device can never take, known before it is asked."""
        return ()

    def check_policy(self, _policy: Policy) -> None:
        """Raise Forbidden if the policy does not allow these values."""

    def check_device(self, _device: Device) -> None:
        """Raise Forbidden if this device is not to be asked for it."""

    def max_age_s(self, _device: Device) -> float | None:
        """The seconds after its arrival for which the request is good; None: there is no such limit."""
        return None

    def stored(self) -> bytes:
        """What is asked, as the ledger keeps it; equal bytes mean the same request."""
        return self.model_dump_json(exclude={"request_id", "expires_at"}, round_trip=True).encode()


@dataclass(frozen=True)
class Context:
    """What a command may need to know beside its parameters.

    `asked_before`: an earlier attempt of this request may have changed the terminal already.
    `tried`: what those attempts meant to write, oldest first, as they said in `Change.intent`.
    `room`: how many bytes the rows of a list may take in the reply.
    """

    device: Device
    asked_before: bool = False
    tried: tuple[Any, ...] = ()
    room: int = 262_144


@dataclass(frozen=True)
class Change:
    """What a command is about to do to the terminal; nothing has been asked of it yet.

    `intent` is kept on disk before `apply` asks the terminal; it must hold no secret.
    `apply` asks the terminal and returns the reply's body.
    `grows` is by how many users the terminal's count must change; `kept` looks for the change in its table, and
    `lost` is the reason that DeviceRejected gets if it is not there.
    """

    intent: Any
    apply: Callable[[], dict[str, Any]] = field(repr=False)
    grows: int = 0
    kept: Callable[[UserTable], bool] = field(default=lambda _table: True, repr=False)
    lost: str = "not_kept"


Run = Callable[[Session, Any, Context], "dict[str, Any] | Change"]


@dataclass(frozen=True)
class Command:
    """One thing that can be asked. `run` answers at once with a reply's body, or plans a Change.

    `disables`: people are kept off the terminal meanwhile. `repeatable`: doing it twice does no harm.
    """

    name: str
    code: str
    params: type[Params]
    run: Run
    disables: bool
    repeatable: bool

    @property
    def required(self) -> tuple[str, ...]:
        """The fields without which nothing can be asked."""
        return tuple(name for name, field in self.params.model_fields.items() if field.is_required())

    def parse(self, body: dict[str, Any], *, strict: bool) -> Params:
        """The payload's fields. Raises MissingFields or InvalidField (with every fault)."""
        given = {name: value for name, value in body.items() if value is not None}
        if not strict:
            given = {name: value for name, value in given.items() if name in self.params.model_fields}
        try:
            return self.params.model_validate(given)
        except ValidationError as error:
            if any(detail["type"] == "missing" for detail in error.errors(include_url=False)):
                raise MissingFields(*self.required) from None
            raise InvalidField(*faults_of(error, self.params.model_fields)) from None

    def load(self, stored: bytes) -> Params:
        """The parameters that the ledger kept."""
        return self.params.model_validate_json(stored)


_COMMANDS: dict[str, Command] = {}


def command(
    name: str, *, params: type[P], code: str, disables: bool, repeatable: bool
) -> Callable[[Callable[[Session, P, Context], dict[str, Any] | Change]], Run]:
    """Declare a command; nothing has a default, so that whoever writes one says whether twice does harm."""

    def declare(run: Callable[[Session, P, Context], dict[str, Any] | Change]) -> Run:
        if name in _COMMANDS and _COMMANDS[name].run.__module__ != run.__module__:
            raise ValueError(f"two commands are named {name}: {_COMMANDS[name].run.__module__}, {run.__module__}")
        _COMMANDS[name] = Command(name, code, params, run, disables, repeatable)
        return run

    return declare


def registered() -> dict[str, Command]:
    """Every command declared so far, by name."""
    return dict(sorted(_COMMANDS.items()))
