"""What a command is given beside its parameters, and the change that it plans."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from zkbridge.commands.api.backlog import NoBacklog, PunchBacklog
from zkbridge.commands.api.backups import Backups
from zkbridge.commands.api.claims import Claims, NoClaims
from zkbridge.commands.api.dates import UserDates
from zkbridge.commands.api.presence import AttendedInteraction
from zkbridge.config.models import Device, Policy
from zkbridge.contract.bodies import Body
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import Language
from zkbridge.machine.clock import SYSTEM, Clock
from zkbridge.port.users import UserTable


@dataclass(frozen=True)
class Context:
    """What a command may need to know beside its parameters.

    `asked_before`: an earlier attempt of this request may have changed the terminal already.
    `tried`: what those attempts meant to write, oldest first, as they said in `Change.intent`.
    `room`: how many bytes the rows of a list may take in the reply.
    `presence`: the person at the terminal, for an attended command.
    `clock`: that of the bridge's machine.
    `backlog`: what of the device's punches was published.
    `dates`: from when until when the device's users are let in.
    `policy`: what may be asked for over MQTT.
    `backups`: those of the device; none can be written where nothing else is said.
    `claims`: whom documents have named on the device.
    `language`: that of sentences.
    """

    device: Device
    asked_before: bool = False
    tried: tuple[Any, ...] = ()
    room: int = 262_144
    presence: AttendedInteraction = field(default_factory=AttendedInteraction)
    clock: Clock = SYSTEM
    backlog: PunchBacklog = field(default_factory=NoBacklog)
    dates: UserDates = field(default_factory=UserDates)
    policy: Policy = field(default_factory=Policy)
    backups: Backups = field(default_factory=lambda: Backups(Path(os.devnull)))
    claims: Claims = field(default_factory=NoClaims)
    language: Language = "es"


class Change(NamedTuple):
    """What a command is about to do to the terminal; nothing has been asked of it yet.

    `intent` is kept on disk before `apply` asks the terminal; it must hold no secret.
    `apply` asks the terminal and returns the reply's body.
    `grows` is by how many users the terminal's count must change. Only where `counts` says so does that suffice;
    elsewhere the table is read, and `kept` looks for the change in it. If it is not there, `amiss` may find out more,
    and put the terminal right, and returns the error to answer with; `lost` is the reason that DeviceRejected gets
    where it returns None. `begun`: an earlier attempt has made a part of it.
    """

    intent: Any
    apply: Callable[[], Body]
    grows: int = 0
    counts: Callable[[], bool] = lambda: False
    kept: Callable[[UserTable], bool] = lambda _table: True
    amiss: Callable[[UserTable], BridgeError | None] = lambda _table: None
    lost: str = "not_kept"
    begun: bool = False


class Onward(NamedTuple):
    """What one request that follows from another is about (`subject`), and what it asks, as the ledger keeps it.

    `command` is another than that of the HandOver.
    `command` is that of the request, where it is another one than that of the whole.
    """

    subject: str
    params: bytes
    command: str | None = None

    def __repr__(self) -> str:
        return f"<Onward about {self.subject!r}>"  # the rest is secret


class HandOver(NamedTuple):
    """What a command leaves to others: an inner command, for each device in `to` and each of `asked` there.

    Of a group in `to` all members are meant but the device itself. The request is answered when all others are.
    `catch_up`: they may wait for a device that is away.
    """

    command: str
    to: tuple[str, ...]
    asked: tuple[Onward, ...]
    catch_up: bool = False
