"""What decides for the ledger in a test: two functions as one judge."""

from collections.abc import Callable
from typing import NamedTuple

from zkbridge.contract.messages import Reply
from zkbridge.ledger.records import Draft


class Judging(NamedTuple):
    """`admit` answers a new request that is not taken on, `reused` a request_id that was used before."""

    admit: Callable[[Draft], Reply | None] = lambda _draft: None
    reused: Callable[[Draft], Reply] = lambda _draft: Reply(409, "request_id_reused", b"")
