"""What decides in a test about the messages that a ledger is to keep: two functions."""

from collections.abc import Callable, Sequence
from typing import Any

from zkbridge.contract.errors import RequestIdReused
from zkbridge.contract.messages import Reply, failed
from zkbridge.intake.admission import keep
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Draft, Kept


class Judging:
    """`refusal` answers a new request that is not taken on, `reused` a request_id that was used before."""

    def __init__(
        self,
        refusal: Callable[[Draft], Reply | None] = lambda _draft: None,
        reused: Callable[[Draft], Reply] = lambda _draft: Reply(409, "request_id_reused", b""),
    ) -> None:
        self._refusal = refusal
        self._reused = reused

    def admit(self, draft: Draft, *, rows: int = 1) -> Reply | None:
        assert rows >= 1
        return self._refusal(draft)

    def reused(self, draft: Draft) -> Reply:
        return self._reused(draft)


def keep_drafts(ledger: Ledger, drafts: Sequence[Draft], decisions: Judging) -> list[Kept]:
    """Keep drafts as intake does."""
    return keep(ledger, drafts, decisions)


def keep_or_refuse(
    ledger: Ledger, *drafts: Draft, admit: Callable[[Draft], Reply | None] = lambda _draft: None
) -> list[Kept]:
    """Keep drafts as intake does, a request_id that was used before answered in Spanish."""
    return keep(ledger, drafts, Judging(admit, lambda new: failed(RequestIdReused(request_id=new.request_id), "es")))


def create_draft(ledger: Ledger, message: str, **fields: Any) -> Draft:
    """A `users/create` for the terminal `p`; `message` stands for the message's bytes."""
    made = Draft(
        digest=ledger.digest(message),
        topic="zk/p/users/create/reply",
        fallback="zk/p/users/create/reply",
        connection=1,
        mid=1,
        redeliverable=True,
        device="p",
        command="users/create",
        content=b"",
        params=b"{}",
    )
    return made._replace(**fields)
