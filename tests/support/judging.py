"""What decides in a test about the messages that a ledger is to keep: two functions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from zkbridge.contract.messages import Reply
from zkbridge.intake.admission import keep
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Kept


class Judging(NamedTuple):
    """`admit` answers a new request that is not taken on, `reused` a request_id that was used before."""

    admit: Callable[[Draft], Reply | None] = lambda _draft: None
    reused: Callable[[Draft], Reply] = lambda _draft: Reply(409, "request_id_reused", b"")


def keep_drafts(ledger: Ledger, drafts: Sequence[Draft], decisions: Judging) -> list[Kept]:
    """Keep drafts as intake does."""
    return keep(ledger, drafts, decisions)
