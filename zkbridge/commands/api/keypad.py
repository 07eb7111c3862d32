"""Checks that a numeric keypad can type a user_id or PIN: it has digits only."""

from __future__ import annotations

from zkbridge.config.models import Device
from zkbridge.contract.errors import FieldFault


def with_keypad(faults: tuple[FieldFault, ...], device: Device, **typed: str) -> tuple[FieldFault, ...]:
    """The faults, and one more for each text that this device's keypad cannot type and that has none yet."""
    if device.user_id_charset == "any":
        return faults
    named = {fault.name for fault in faults}
    return faults + tuple(
        FieldFault(name, "keypad")
        for name, text in typed.items()
        if name not in named and text and not (text.isascii() and text.isdecimal())
    )
