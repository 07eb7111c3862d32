"""Which user records a terminal takes.

Sources: fananimi/pyzk issue 128 (refusal is 2001), zk-protocol other.md (width, letters), issue 32 (cards),
kamshory/ZKLibrary issue 52 (uid); where that is not known, a switch decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.wire import records
from zkbridge.simulator.wire.codes import VOICES, Code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zkbridge.simulator.device.switches import Switches

_LETTERS_OPTION = "~IsABCPinEnable"
_NAME_BYTES = 24
_LONG_RECORD = 72


class Refused(Exception):
    """The terminal does not do it; `code` answers the client, the text is shown to the person."""

    def __init__(self, reason: str, code: int = Code.ERROR) -> None:
        super().__init__(reason)
        self.code = code


def accept_user(
    raw: bytes,
    *,
    record: int,
    switches: Switches,
    options: Mapping[str, str],
    users: Mapping[int, bytes],
    waiting: Mapping[int, bytes],
) -> bytes:
    """The record as the terminal keeps it. Raises Refused when it does not take it.

    `waiting` are users who were written and appear after a restart only; they take room too.
    """
    if len(raw) != record:
        raise Refused(f"a record of {len(raw)} bytes, not {record}")
    uid = records.user_uid(raw)
    if not 1 <= uid <= (switches.uid_max or switches.user_capacity):
        raise Refused(f"uid {uid} is out of range")
    if uid not in users and len(users.keys() | waiting.keys()) >= switches.user_capacity:
        raise Refused("no room for one more user", switches.full_code)
    user_id = records.user_pin(raw)
    if switches.user_id_rule == "reject":
        _check_user_id(user_id, record, switches, options)
    if switches.duplicate_user_id == "reject" and find(users, user_id) not in (None, uid):
        raise Refused(VOICES[5])
    if switches.name_bytes < _NAME_BYTES:
        raw = records.with_short_name(raw, switches.name_bytes)
    if record == _LONG_RECORD:
        raw = records.with_short_pin(raw, switches.user_id_kept)
    return _with_known_card(raw, switches)


def find(users: Mapping[int, bytes], user_id: str) -> int | None:
    """The uid of the first user with this user id."""
    return next((uid for uid, raw in users.items() if records.user_pin(raw) == user_id), None)


def _check_user_id(user_id: str, record: int, switches: Switches, options: Mapping[str, str]) -> None:
    if record == 72 and len(user_id.encode()) > switches.user_id_width:
        raise Refused(f"user_id {user_id!r} is wider than {switches.user_id_width}")
    if not user_id.isascii() or not user_id.isalnum():
        raise Refused(f"user_id {user_id!r} is neither digits nor letters")
    if not user_id.isdigit() and options.get(_LETTERS_OPTION) != "1":
        raise Refused(f"user_id {user_id!r} has letters")


def _with_known_card(raw: bytes, switches: Switches) -> bytes:
    card, bits = records.card_number(raw), switches.card_bits
    if card < 1 << bits:
        return raw
    if switches.card_rule == "reject":
        raise Refused(f"a card of more than {bits} bits")
    return records.with_card(raw, card & ((1 << bits) - 1))
