"""What the ledger does while its disk is full."""

from __future__ import annotations

from typing import NoReturn

from zkbridge.ledger.errors import LedgerUnavailable


def full(*_: object, **__: object) -> NoReturn:
    """Stands for whatever would write to the ledger."""
    raise LedgerUnavailable("the disk is full")
