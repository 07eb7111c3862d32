"""Whether each request was answered, and each copy of it the same; the rules stand in `oracle`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torture.findings import END, Finding, broker_lost, name_of
from torture.history import Ask, Delivery, History, Inquiry, Kind, Wish

#: Answers that do not use the request_id up: the next copy may get another answer.
NOT_STORED = frozenset({"busy", "expired", "request_id_reused"})


def judge_answers(wish: Wish, history: History) -> Iterator[Finding]:
    """Each request and each message is answered, and a request that is sent again is executed."""
    for inquiry in wish.inquiries:
        if not inquiry.asks:
            continue
        first = inquiry.asks[0].at
        if not inquiry.answers and (wish.kind is not Kind.RETAINED or not broker_lost(history, first, END)):
            yield Finding("lost", f"{name_of(inquiry)} was never answered", wish.number, wish.device)
        for ask in inquiry.asks:
            if ask.again and not _is_nameless(inquiry) and not _broker_is_to_blame(wish, inquiry, history):
                sentence = f"{name_of(inquiry)} had to be asked again, and no broker was killed when that mattered"
                yield Finding("lost", sentence, wish.number, wish.device)
        yield from _judge_correlation(wish, inquiry, history)


def _broker_is_to_blame(wish: Wish, inquiry: Inquiry, history: History) -> bool:
    """Whether the broker lost one of the first messages, or the answer to it."""
    return any(_was_lost_by_broker(wish, inquiry, ask, history) for ask in inquiry.asks if not ask.again)


def _was_lost_by_broker(wish: Wish, inquiry: Inquiry, ask: Ask, history: History) -> bool:
    """Whether the broker was killed just after it confirmed this message, or the answer to it, and forgot that."""
    later = min((again.at for again in inquiry.asks if again.again), default=END)
    deliveries = [
        delivery
        for delivery in history.ledger.deliveries
        if delivery.kept_at < later and _is_of(delivery, wish, inquiry, ask)
    ]
    if not deliveries and _was_turned_away(wish) and ask.correlation is None:
        return broker_lost(history, ask.at, later)
    if not deliveries:
        return broker_lost(history, ask.at, ask.at if ask.confirmed_at is None else ask.confirmed_at)
    return any(
        delivery.sent_at is not None and broker_lost(history, delivery.sent_at, delivery.sent_at)
        for delivery in deliveries
    )


def _is_of(delivery: Delivery, wish: Wish, inquiry: Inquiry, ask: Ask) -> bool:
    if ask.correlation is not None:
        return delivery.correlation == ask.correlation
    is_named = inquiry.request_id is not None and delivery.request_id == inquiry.request_id
    return is_named and delivery.device == wish.device


def _was_turned_away(wish: Wish) -> bool:
    """Whether it never became a request, so that the ledger cannot tell its answers from others."""
    return wish.kind in {Kind.INVALID, Kind.EXPIRED, Kind.UNKNOWN} or "busy" in wish.codes


def _judge_correlation(wish: Wish, inquiry: Inquiry, history: History) -> Iterator[Finding]:
    came_back = {answer.correlation for answer in inquiry.answers}
    for ask in inquiry.asks:
        if ask.correlation is None or ask.correlation in came_back or _was_lost_by_broker(wish, inquiry, ask, history):
            continue
        sentence = f"{name_of(inquiry)}: a copy's correlation data {ask.correlation!r} never came back"
        yield Finding("lost", sentence, wish.number, wish.device)


def _is_nameless(inquiry: Inquiry) -> bool:
    """Whether a failure's answer cannot be told from that of another such request to the same device."""
    return inquiry.request_id is None and all(ask.correlation is None for ask in inquiry.asks)


def judge_nameless(history: History) -> Iterator[Finding]:
    """Failures that name nobody: there must be as many as there are requests that nothing else answered."""
    for device in history.terminals:
        unanswered = [
            wish
            for wish in history.wishes
            if wish.device == device
            for inquiry in wish.inquiries
            if _is_nameless(inquiry)
            for ask in inquiry.asks
            if ask.again and not broker_lost(history, inquiry.asks[0].at, ask.at)
        ]
        pool = history.anonymous.get(device, [])
        heard = Counter(answer.caller for answer in pool if answer.code != "retained_refused")
        if len(unanswered) > max(heard.values(), default=0):
            sentence = (
                f"{len(unanswered)} requests without a request_id had to be asked again,"
                " and no broker was killed meanwhile"
            )
            yield Finding("lost", sentence, unanswered[0].number, device)


def judge_copies(wish: Wish) -> Iterator[Finding]:
    """All final answers of one request_id are the same."""
    for inquiry in wish.inquiries:
        if inquiry.request_id is None:
            continue
        stored = [answer for answer in inquiry.answers if answer.code not in NOT_STORED]
        final = {answer.stored for answer in stored if not answer.is_open}
        different = {answer.stored for answer in stored}
        chances = sum(1 + ask.resent for ask in inquiry.asks)
        if len(final) > 1 or len(different) > max(1, chances):
            sentence = f"{name_of(inquiry)} got {len(different)} different answers, {len(final)} of them final"
            yield Finding("wrong", sentence, wish.number, wish.device)
        yield from _judge_repeats(wish, inquiry)


def _judge_repeats(wish: Wish, inquiry: Inquiry) -> Iterator[Finding]:
    """Who asked again after a failure that another attempt would settle has one, and not the old answer."""
    for ask in inquiry.asks:
        first = next((answer for answer in inquiry.answers if answer.at > ask.at), None)
        if ask.repeats and first is not None and first.is_open and first.body.get("replayed"):
            sentence = f"{name_of(inquiry)} was sent again after a failure, and got the stored failure"
            yield Finding("wrong", sentence, wish.number, wish.device)
