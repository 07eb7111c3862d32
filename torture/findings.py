"""A promise that was not kept, and what excuses an honest bridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torture.history import History, Inquiry, Wish

Verdict = Literal["lost", "doubled", "wrong", "left disabled"]


#: After everything.
END = float("inf")


@dataclass(frozen=True)
class Finding:
    """A promise that was not kept: to which wish (None: to nobody in particular), on which device."""

    verdict: Verdict
    sentence: str
    wish: int | None = None
    device: str | None = None


def is_uncertain(wish: Wish, history: History) -> bool:
    """Whether an honest bridge may not know if it wrote this wish's user: a later 409 is then no lie."""
    anonymous = any(inquiry.request_id is None for inquiry in wish.inquiries)
    pool = history.anonymous.get(wish.device, []) if anonymous else []
    heard = [*wish.answers, *(answer for answer in pool if answer.at >= wish.began)]
    return any(answer.body.get("effect") == "unknown" for answer in heard)


def broker_lost(history: History, since: float, until: float) -> bool:
    """Whether what the broker had confirmed may have been lost between two times."""
    return any(began <= until and ended >= since for began, ended in history.broker_losses)


def name_of(inquiry: Inquiry) -> str:
    """What a sentence calls it."""
    return f"request {inquiry.request_id}" if inquiry.request_id else "a request without a request_id"
