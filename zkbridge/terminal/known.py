"""What earlier conversations taught about a terminal, kept in the ledger as text."""

from __future__ import annotations

import enum
import json
from typing import NamedTuple

from zkbridge.terminal.records.layout import RecordSize


class Pieces(enum.StrEnum):
    """How the pieces of a large table are asked for: a terminal that fails twice is not asked for several again.

    One failure proves little: the network may have failed just then.
    """

    TOGETHER = "together"  #: as long as that works
    DOUBTED = "doubted"  #: one by one, since asking for several has failed; if that works, several once more
    RETRIED = "retried"  #: several, for the last time if that fails
    SINGLY = "singly"  #: one by one, for good

    def after(self, took_together: bool | None) -> Pieces:
        """What a reading teaches that came whole (None: one by one), or failed while several were asked for."""
        if took_together is None:
            return Pieces.RETRIED if self is Pieces.DOUBTED else self
        if took_together:
            return Pieces.TOGETHER
        return Pieces.SINGLY if self is Pieces.RETRIED else Pieces.DOUBTED


class Known(NamedTuple):
    """What earlier conversations taught about a terminal; None where that is nothing yet."""

    record_size: RecordSize | None = None
    user_id_width: int | None = None
    timed_disable: bool = True
    pieces: Pieces = Pieces.TOGETHER
    kept_user_id_bytes: int = 0  #: of the longest user_id that was seen in its table
    cut_user_id_bytes: int | None = None  #: what it kept of a longer one

    @classmethod
    def parse(cls, text: str) -> Known:
        """What `str` has made a text of, perhaps by an earlier version."""
        facts = json.loads(text)
        return cls(**facts | {"pieces": Pieces(facts.get("pieces", Pieces.TOGETHER))})

    def __str__(self) -> str:
        return json.dumps(self._asdict())
