"""The parameters of a command: the fields of its payload, and what can be checked before a terminal is asked."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from zkbridge.commands.api.fields import CatchUp, Instant, RequestId, SpokenLanguage
from zkbridge.config.models import Device, Policy
from zkbridge.contract.errors import FieldFault
from zkbridge.machine.clock import Clock

#: Fields of every request that do not say what is asked: with others it is still the same request.
ENVELOPE = frozenset({"request_id", "expires_at", "language"})


class Params(BaseModel):
    """What may stand in a command's payload; the three fields here belong to every command."""

    # Not built before somebody asks for the command: all of them are a fortieth of the start.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True, defer_build=True)

    request_id: RequestId | None = None
    expires_at: Instant | None = None
    language: SpokenLanguage | None = None

    @property
    def waits(self) -> bool:
        """Whether a device of a group that is away shall be caught up later."""
        return False

    @property
    def key(self) -> str | None:
        """What the request changes. Two changes of one thing never share a session: the second depends on the first."""
        return None

    @property
    def targets(self) -> tuple[str, ...]:
        """The devices and groups, beside the device that is asked, to which the request will be handed over."""
        return ()

    def unknown_inside(self) -> tuple[FieldFault, ...]:
        """Fields that nobody knows below the fields of the request, as in its rows; refused with `strict`."""
        return ()

    def surely_wrong(self, _device: Device) -> tuple[FieldFault, ...]:
        """The faults that this device's settings show before the terminal is asked."""
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
        return self.model_dump_json(exclude={*ENVELOPE, "catch_up"}, round_trip=True).encode()


class Lasting(Params):
    """What leaves a change that is as good tomorrow: it may wait for the devices of a group that are away."""

    catch_up: CatchUp = False

    @property
    def waits(self) -> bool:
        """As asked."""
        return self.catch_up
