"""What replies and the bridge's own messages hold, as models: for the description that machines read.

The bridge does not make its replies from these; the tests hold both to each other.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    """Keys of a JSON object; others do not occur."""

    model_config = ConfigDict(extra="forbid")


def _like(example: object, description: str | None = None, **rules: Any) -> Any:
    """A field that says what it may look like."""
    return Field(examples=[example], description=description, **rules)


class UserCreated(_Body):
    """What the terminal holds now; a name that was cut is told as it was cut."""

    user_id: str = _like("123")
    name: str = _like("Juan Perez")
    device_id: str = _like("principal")


class _User(_Body):
    user_id: str = _like("123")
    device_id: str = _like("principal")


class _Row(_Body):
    uid: int = _like(1, "The terminal's own number of the user.")
    user_id: str = _like("123")
    name: str = _like("Juan Perez")
    privilege: int = _like(0)
    card: int = _like(12345)
    group: str | int = _like(1)
    device_id: str = _like("principal")


class _Finger(_Body):
    finger_index: int = _like(0, ge=0, le=9)
    finger_name: str = _like("Pulgar derecho")
    valid: bool | int = _like(example=True)
    device_id: str = _like("principal")


class _Enrolled(_Body):
    user_id: str = _like("123")
    finger_index: int = _like(6, ge=0, le=9)
    finger_name: str = _like("Indice izquierdo")
    device_id: str = _like("principal")


class _Cancelled(_Body):
    user_id: str = _like("123")
    finger_index: int = _like(6, ge=0, le=9)
    device_id: str = _like("principal")


class EnrolmentProgress(_Body):
    """How far an enrolment has come: once when the terminal asks for the finger, then once for each sample."""

    message: str = _like("Modo enrolamiento activado. El usuario debe poner el dedo 3 veces.", "For people.")
    step: Literal["ready", "good_sample", "bad_sample"]
    user_id: str = _like("123")
    finger_index: int = _like(6, ge=0, le=9)
    samples: int = _like(0, "Good samples so far.", ge=0)
    needed: int = _like(3, "Good samples that make a finger.", ge=1)
    device_id: str = _like("principal")
    request_id: str = Field(default="", description="The request's, if it had one.")


class _Punch(_Body):
    user_id: str = _like("123")
    timestamp: str | None = _like("2030-01-31T08:00:00", "The terminal's local time; null where the log holds no date.")
    status: int = _like(1)
    punch: int = _like(0)
    device_id: str = _like("principal")


class _Usage(_Body):
    count: int | None = _like(37)
    capacity: int | None = _like(3000)


class _Machine(_Body):
    serialnumber: str | None = _like("DGD9190019050335743")
    device_name: str | None = _like("K40/ID")
    platform: str | None = _like("ZLM60_TFT")
    firmware_version: str | None = _like("Ver 6.60 Apr 28 2017")
    mac: str | None = _like("00:17:61:c8:ec:17")
    users: _Usage
    fingers: _Usage
    records: _Usage
    device_time: str | None = _like("2030-01-31T08:00:00")
    clock_drift_s: float | None = _like(1.5)
    device_id: str = _like("principal")


class _Pong(_Body):
    device_time: str | None = _like("2030-01-31T08:00:00")
    latency_ms: float = _like(12.5)
    device_id: str = _like("principal")


class _Clock(_Body):
    device_time: str = _like("2030-01-31T08:00:00")
    device_id: str = _like("principal")


class _Door(_Body):
    device_id: str = _like("principal")


#: What stands under `data` in a success, by command; a list is one of rows.
DATA: dict[str, type[BaseModel] | list[type[BaseModel]]] = {
    "users/create": UserCreated,
    "users/list": [_Row],
    "users/update": _User,
    "users/delete": _User,
    "users/fingers": [_Finger],
    "users/enroll-finger": _Enrolled,
    "users/enroll-finger/cancel": _Cancelled,
    "attendance/list": [_Punch],
    "info": _Machine,
    "ping": _Pong,
    "time/get": _Clock,
    "time/sync": _Clock,
    "door/unlock": _Door,
}
#: What an attended command tells while it goes on, by command, and the facts that fill the sentence of each step.
PROGRESS: dict[str, type[BaseModel]] = {"users/enroll-finger": EnrolmentProgress}
STEPS: dict[str, dict[str, dict[str, object]]] = {
    "users/enroll-finger": {
        "ready": {"user_id": "123", "finger_index": 6, "samples": 0, "needed": 3},
        "good_sample": {"user_id": "123", "finger_index": 6, "samples": 1, "needed": 3},
        "bad_sample": {"user_id": "123", "finger_index": 6, "samples": 1, "needed": 3},
    },
}
#: Further keys of a success, beside `data`.
COUNTS: dict[str, dict[str, str]] = {
    "users/list": {"total": "Rows in all.", "next_offset": "Where the next part begins, if this is not all."},
    "attendance/list": {"total": "Rows in all.", "next_offset": "Where the next part begins, if this is not all."},
    "users/fingers": {"total_fingers": "Fingers enrolled."},
}


class Fault(_Body):
    """One field of the request and the rule that it breaks."""

    field: str = _like("privilege")
    message: str = _like("debe ser 0 (usuario) o 14 (administrador)")


class Result(BaseModel):
    """What one device of a group answered: its own reply, so that further keys are those of that reply."""

    model_config = ConfigDict(extra="allow")

    device_id: str = _like("principal")
    success: bool
    status: int = _like(200, "202 if the device is away and will be caught up.")
    code: str = _like("created")
    message: str = Field(default="", description="One sentence for people, if it succeeded.")
    error: str = Field(default="", description="One sentence for people, if it did not, or not yet.")
    until: str = Field(default="", description="Until when the request waits for the device.")


class Failure(_Body):
    """Every key that an error may carry beside `success`, `error`, `status` and `code`."""

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
    results: list[Result] = Field(description="What each device of the group answered, in the group's order.")


class Availability(_Body):
    """Whether a device answers; retained."""

    state: Literal["online", "offline"]
    reason: str = Field(default="", description="Why it is offline, in one sentence; absent while it is online.")


class PunchEvent(_Body):
    """Somebody was at a terminal; it may be told twice, and the same `id` is the same punch."""

    user_id: str = _like("123")
    name: str = _like("Juan Perez", "Empty where the terminal knows no such user any more.")
    timestamp: str | None = _like("2030-01-31T08:00:00", "The terminal's local time; null where it tells no date.")
    status: int = _like(1, "How: 0 password, 1 finger, 2 card, 15 face.")
    punch: int = _like(0, "What for: 0 in, 1 out, 2 and 3 a break, 4 and 5 overtime, 255 not said.")
    device_id: str = _like("principal")
    id: str = _like("principal/2030-01-31T08:00:00/123/1/0/0", "Stable; to be compared as a whole.")
    late: Literal[True] = Field(
        default=True, description="From the terminal's log: nobody was listening when it happened; absent otherwise."
    )


class _LastError(_Body):
    code: str = _like("device_timeout")
    error: str = _like("Connection timeout to device 192.168.1.205:4370", "One sentence for people.")
    at: str = _like("2030-01-31T13:00:00+00:00", "ISO 8601, UTC.")


class _LastUser(_Body):
    user_id: str = _like("123", "Never the name.")
    at: str = _like("2030-01-31T13:00:00+00:00", "ISO 8601, UTC.")


class Status(_Body):
    """How full a terminal is, its last error and its last new user; with `homeassistant.discovery`, retained."""

    users: int | None = _like(37, "Null until the terminal has told.")
    users_capacity: int | None = _like(3000)
    users_free: int | None = _like(2963)
    last_error: _LastError | None = Field(
        description="A request failed by no fault of its caller, or the terminal did not answer a visit."
    )
    last_user: _LastUser | None = Field(description="Who was created by this bridge.")


class State(_Body):
    """Whether the bridge runs; retained, and its last will."""

    state: Literal["online", "offline"]
    instance: str = _like("9f86d081", "Another one with each start: a late will speaks of an earlier run.")


class Info(_Body):
    """What this bridge is and offers; retained, never a secret."""

    version: str = _like("1.0.0")
    protocol: Literal["5", "3.1.1"]
    devices: list[str] = _like(["principal", "entrada"])
    groups: dict[str, list[str]] = _like({"planta": ["principal", "entrada"]}, "The devices of each group.")
    commands: list[str] = _like(["users/create"])
    instance: str = _like("9f86d081")


class Health(_Body):
    """A sign of life, every 30 seconds."""

    instance: str = _like("9f86d081")
    uptime_s: int = _like(3600, ge=0)
    waiting: int = _like(0, "Requests that wait for a device.", ge=0)
    devices: int = _like(2, ge=1)
    connection: int = _like(1, "Counts the bridge's connections to the broker, those of earlier runs too.", ge=0)
    version: str = _like("1.0.0")
    offline: list[str] = _like(["entrada"], "The devices that did not answer when they were last asked.")
    owed: int | None = _like(0, "Answers that the broker has not confirmed; null while the ledger cannot be read.")
    ledger_bytes: int | None = _like(126_976, "The ledger on disk; null while it cannot be read.")
    reconnects: int = _like(0, "Connections to the broker since the start, less the first.", ge=0)
    deaf_to: list[str] = _like([], "Subscriptions that the broker granted and does not serve.")
