"""What errors, groups' replies and the bridge's own messages hold, as models: for the description that machines read.

What a command's success holds is declared beside the command. The bridge does not make its replies from these models;
tests compare the two.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict


class _Body(BaseModel):
    """Keys of a JSON object; others do not occur."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


def like(example: object, description: str | None = None, **rules: Any) -> Any:
    """A field with an example of its value."""
    return Field(examples=[example], description=description, **rules)


class Fault(_Body):
    """One field of the request and the rule that it breaks."""

    field: str = like("privilege")
    message: str = like("debe ser 0 (usuario) o 14 (administrador)")


class Result(BaseModel):
    """The answer of one device of a group: the keys of its own reply, with its id."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    device_id: str = like("principal")
    success: bool
    status: int = like(200, "202 if the device is away and will be caught up.")
    code: str = like("created")
    message: str = Field(default="", description="One sentence for people, if it succeeded.")
    error: str = Field(default="", description="One sentence for people, if it did not, or not yet.")
    until: str = Field(default="", description="Until when the request waits for the device.")


class RowFailed(BaseModel):
    """The result of one row of a list; further keys are those of the single command's answer."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    user_id: str | None = like("124", "As it was asked for; null if it cannot be read.")
    status: int = like(409)
    code: str = like("user_exists")


class TooLarge(_Body):
    """How a request ended whose reply the broker refuses as too large."""

    success: bool = like(example=True)
    status: int = like(200)
    code: str = like("ok")


class Failure(_Body):
    """Every key that an error may carry beside `success`, `error`, `status` and `code`."""

    detail: str = Field(description="Why the payload could not be read, and where.")
    errors: list[Fault] = Field(description="The fields that are wrong, 20 at most.")
    more_errors: int = Field(description="Only if there are more than 20: how many are wrong beside those.")
    disponibles: list[str] = Field(description="The devices there are, in the order of the configuration.")
    retryable: bool = Field(description="Whether the same request may succeed later.")
    effect: Literal["none", "unknown"] = Field(description="Whether the terminal may have changed.")
    retry_after_s: int = Field(description="When to ask again, in seconds.")
    error_id: str = Field(description="Where the log says more.")
    old_finger_lost: Literal[True] = Field(
        description="Only if so: the finger that was to be replaced is gone, and there is no new one."
    )
    results: list[Result | RowFailed] = Field(
        description="What each device of the group answered, in the group's order; or each row's result, of a list."
    )
    more_results: int = Field(description="How many rows are left out, because the reply would be too long.")
    reply: TooLarge = Field(description="How the request ended; the reply itself is larger than the broker takes.")


class CreatedRow(TypedDict):
    """The result of a row whose user was created."""

    user_id: Annotated[str, like("123")]
    status: Annotated[int, like(200)]
    code: Annotated[str, like("created")]
    name: Annotated[str, like("Juan Perez")]


class KnownRow(TypedDict):
    """The result of a row whose user was changed or deleted."""

    user_id: Annotated[str, like("123")]
    status: Annotated[int, like(200)]
    code: Annotated[str, like("updated")]
    records: NotRequired[Annotated[int, like(2, "How many records hold this user_id, only where they are several.")]]


class Availability(_Body):
    """Whether a device answers; retained."""

    state: Literal["online", "offline"]
    reason: str = Field(default="", description="Why it is offline, in one sentence; absent while it is online.")
    address: str = Field(
        default="",
        description="The host at which `find` has found the terminal, where that is not the configured one.",
    )


class PunchEvent(_Body):
    """A person was at a terminal. It may be published twice; the same `id` is the same punch."""

    user_id: str = like("123")
    name: str = like("Juan Perez", "Empty where the terminal knows no such user any more.")
    timestamp: str | None = like("2030-01-31T08:00:00", "The terminal's local time; null if the record has no date.")
    status: int = like(1, "How: 0 password, 1 finger, 2 card, 15 face.")
    punch: int = like(0, "What for: 0 in, 1 out, 2 and 3 a break, 4 and 5 overtime, 255 not said.")
    device_id: str = like("principal")
    id: str = like("principal/2030-01-31T08:00:00/123/1/0/0", "Stable; to be compared as a whole.")
    late: Literal[True] = Field(
        default=True, description="Read from the terminal's log, because it came without an event; absent otherwise."
    )


class UserEvent(_Body):
    """A user was blocked or let in because of a date. It may be published twice; the same `id` is the same event."""

    event: Literal["blocked", "unblocked"]
    user_id: str = like("123")
    reason: Literal["valid_from", "valid_until"]
    moment: str = like("2030-01-31T18:00:00", "The moment that was asked for, by the terminal's wall clock.")
    late: Literal[True] = Field(
        default=True, description="Done more than 60 seconds after that moment; absent otherwise."
    )
    device_id: str = like("principal")
    id: str = like("principal/123/valid_until/2030-01-31T18:00:00", "Stable; to be compared as a whole.")


class _LastError(_Body):
    code: str = like("device_timeout")
    error: str = like("Connection timeout to device 192.168.1.205:4370", "One sentence for people.")
    at: str = like("2030-01-31T13:00:00+00:00", "ISO 8601, UTC.")


class _LastUser(_Body):
    user_id: str = like("123", "Never the name.")
    at: str = like("2030-01-31T13:00:00+00:00", "ISO 8601, UTC.")


class Status(_Body):
    """What a terminal is, how full, its last error, its lock; with `homeassistant.discovery`, retained."""

    users: int | None = like(37, "Null until the terminal has reported it.")
    users_capacity: int | None = like(3000)
    users_free: int | None = like(2963)
    last_error: _LastError | None = Field(
        description="A request failed by no fault of its caller, or the terminal did not answer a probe."
    )
    last_user: _LastUser | None = Field(description="Who was created by this bridge.")
    device_name: str | None = like("K40/ID")
    serialnumber: str | None = like("DGD9190019050335743")
    firmware_version: str | None = like("Ver 6.60 Apr 28 2017")
    clock_drift_s: int | None = like(2, "Positive where the terminal's clock is ahead of the bridge's.")
    lock: Literal["unlocking", "unlocked", "locked"] | None = Field(
        description="What the bridge's own requests have shown of the door; null while that is not known."
    )


class State(_Body):
    """Whether the bridge runs; retained, and its last will."""

    state: Literal["online", "offline"]
    instance: str = like("9f86d081", "Another one with each start: a late will speaks of an earlier run.")


class Info(_Body):
    """What this bridge is and offers; retained, never a secret."""

    version: str = like("1.0.0")
    protocol: Literal["5", "3.1.1"]
    devices: list[str] = like(["principal", "entrada"])
    groups: dict[str, list[str]] = like({"planta": ["principal", "entrada"]}, "The devices of each group.")
    commands: list[str] = like(["users/create"])
    instance: str = like("9f86d081")


class Health(_Body):
    """A sign of life, every 30 seconds."""

    instance: str = like("9f86d081")
    uptime_s: int = like(3600, ge=0)
    waiting: int = like(0, "Requests that wait for a device.", ge=0)
    devices: int = like(2, ge=1)
    connection: int = like(1, "Counts the bridge's connections to the broker, those of earlier runs too.", ge=0)
    version: str = like("1.0.0")
    offline: list[str] = like(["entrada"], "The devices that did not answer when they were last asked.")
    moved: dict[str, str] = like({}, "The hosts of the terminals that `find` has found elsewhere than at `host`.")
    owed: int | None = like(0, "Answers that the broker has not confirmed; null while the ledger cannot be read.")
    ledger_bytes: int | None = like(126_976, "The ledger on disk; null while it cannot be read.")
    reconnects: int = like(0, "Connections to the broker since the start, less the first.", ge=0)
    deaf_to: list[str] = like([], "Subscriptions that the broker granted and does not serve.")
    refused: list[str] = like([], "Topics on which the broker takes none of the bridge's own messages.")
    set_aside: int = like(0, "Messages since the start that could not be read or kept.", ge=0)
    short_of: list[str] = like([], "What the bridge has run out of in the last 5 minutes: `descriptors`, `threads`.")
    dates_overdue: int = like(0, "Users who should have been blocked or unblocked more than a minute ago.", ge=0)
    backup_age_s: int | None = like(37800, "Seconds since the oldest of the devices' latest backups.", ge=0)
    drift: dict[str, int] = like(
        {}, "Devices that differed from their document of desired users when last compared, and in how many users."
    )
