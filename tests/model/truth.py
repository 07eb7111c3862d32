"""The rules that no state may break, and what it takes for a life to be complete: from the contract, section 5."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from tests.model.terminal import Held

#: Answers that say that the request had no effect.
_WITHOUT_EFFECT = frozenset({"expired", "busy", "user_exists", "request_id_reused"})


class Asked(Protocol):
    """What is to be known of a message."""

    @property
    def command(self) -> str:
        """The command."""

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """What it asks."""

    @property
    def effect(self) -> int:
        """Which effect it asks for."""


def lie(wish: Asked, heard: frozenset[bytes], effects: int, held: Held) -> str | None:
    """What is wrong with the answers to one message, by what the terminal has done and holds."""
    if len(heard) > 1:
        return f"two answers to one message: {sorted(heard)}"
    for body in heard:
        said = json.loads(body)
        code, wrote = said["code"], wish.command == "users/create"
        if said["success"] and effects == 0:
            return f"{code} is answered, and nothing was done"
        if (
            said["success"]
            and wrote
            and tuple(value for _, value in wish.fields) not in [user[1:] for user in held.users]
        ):
            return f"{code} is answered, and the terminal does not hold the user"
        if effects and (code in _WITHOUT_EFFECT or said.get("effect") == "none"):
            return f"{code} is answered, and the terminal has done it"
        if wrote and code not in {"created", *_WITHOUT_EFFECT}:
            return f"{code} is answered, and the table shows what became of it"
    return None


def repeated(effects: tuple[int, ...], held: Held) -> str | None:
    """Whether something was done twice."""
    if any(count > 1 for count in effects):
        return f"done twice: {effects}"
    user_ids = [user_id for _, user_id, _ in held.users]
    return f"a user is there twice: {user_ids}" if len(user_ids) > len(set(user_ids)) else None


def lost(acked: tuple[bool, ...], kept: Mapping[str, object]) -> str | None:
    """Whether a message was acknowledged of which the ledger knows nothing."""
    gone = [number for number, is_acked in enumerate(acked) if is_acked and f"reply/{number}" not in kept]
    return f"messages {gone} are acknowledged and not kept" if gone else None
