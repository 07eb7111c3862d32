"""Whether the bridge kept its promises: every rule of the torture, each with the promise that it checks.

The promises are those of `docs/contract.md`; a finding's kind is what the run counts.

| rule | promise | finding |
|---|---|---|
| every wish has an answer at the end, and every message with correlation data one that carries it | 5: after a crash every accepted request ends with its answer; 4: correlation data comes back | lost |
| nobody has to ask again, unless the broker was killed just after it had confirmed that message or its answer | 5: acknowledged only once on disk; published until confirmed | lost |
| the ledger holds no unfinished request and no owed answer at the end | 5: as above | lost |
| no user_id is on a terminal twice | 5: the terminal holds the user exactly once | doubled |
| success: that user is on the terminal, with exactly these fields and the device's group | 5: one honest answer | wrong |
| all final answers of one request_id are the same bytes but for `replayed`; `busy`, `expired` and `request_id_reused` are given without using the request_id up, and each failure to be settled by asking again takes a message of its own | 5: executed once, every later copy gets the stored reply | wrong |
| who asks again after such a failure, when all is well, does not hear it from memory | 5: a failure that wrote nothing does not use its `request_id` up | wrong |
| 409 `user_exists` is only said of a user who is there, and not to the request that wrote him; excuses: an earlier answer with `effect: unknown`; a request without a request_id that reached the bridge twice because the broker was killed, or because the caller's own library sent it twice | 5: success, never 409 | wrong |
| told that nothing was done (`effect: none`, or a refusal): the user was not there when all was quiet | 3: `effect` is `none` when nothing was written for sure | wrong |
| of requests that fight for one user_id or one request_id exactly one wins, and its fields are what the terminal holds | 5, 6: duplicate check, one at a time; 5: `request_id_reused` | wrong |
| what is invalid, expired, retained or for an unknown device gets that answer and leaves no user | 1, 2, 3 | wrong |
| what could be done is done once everything is well again | 3: `retryable` | wrong |
| nobody is on a terminal whom no request asked for | 5 | wrong |
| who was there before, or was added at the keypad, is there unchanged; who was deleted there is not | 6: lock, uid | wrong |
| no answer is `internal`, and none goes to nobody's request | 3, 4 | wrong |
| no reply, ledger file or log line holds a password or card that was used; the ledger's files have mode 0600 | 3, 5, 8 | wrong |
| no terminal is disabled, or owed an enable, at the end | 6: enabling is tried again, remembered on disk | left disabled |
| none was disabled for longer than the session's budget, one answer's timeout and slack, for each life of the daemon that had a hand in it | 6: never kept disabled longer than that plus one command | wrong |
| no session is left open on a terminal, and the daemon ends only when told | 6: disconnect; 8 | wrong |
"""  # noqa: E501 - a table's rows cannot be broken

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torture.history import GOOD, Answer, Ask, Delivery, Held, History, Inquiry, Kind, TerminalEnd, User, Wish

Verdict = Literal["lost", "doubled", "wrong", "left disabled"]

#: Given without using the request_id up: the next copy may hear something else.
NOT_STORED = frozenset({"busy", "expired", "request_id_reused"})
PRIVATE_MODE = 0o600


@dataclass(frozen=True)
class Finding:
    """A promise that was not kept: to which wish (None: to nobody in particular), on which device."""

    verdict: Verdict
    sentence: str
    wish: int | None = None
    device: str | None = None


def judge(history: History) -> list[Finding]:
    """Every promise that was not kept."""
    return [
        *_judge_wishes(history),
        *_judge_nameless(history),
        *_judge_terminals(history),
        *_judge_ledger(history),
        *_judge_rest(history),
    ]


def is_uncertain(wish: Wish, history: History) -> bool:
    """Whether an honest bridge may not know if it wrote this wish's user: a later 409 is then no lie."""
    anonymous = any(inquiry.request_id is None for inquiry in wish.inquiries)
    pool = history.anonymous.get(wish.device, []) if anonymous else []
    heard = [*wish.answers, *(answer for answer in pool if answer.at >= wish.began)]
    return any(answer.body.get("effect") == "unknown" for answer in heard)


def broker_lost(history: History, since: float, until: float) -> bool:
    """Whether what the broker had confirmed may have been lost between two times."""
    return any(began <= until and ended >= since for began, ended in history.broker_losses)


# -- wishes ------------------------------------------------------------------------------------------------------


def _judge_wishes(history: History) -> Iterator[Finding]:
    by_number = {wish.number: wish for wish in history.wishes}
    held = {(device, one.user.user_id): one for device, terminal in history.terminals.items() for one in terminal.held}
    for wish in history.wishes:
        there = held.get((wish.device, wish.user.user_id))
        yield from _judge_answers(wish, history)
        yield from _judge_copies(wish)
        yield from _judge_truth(wish, there, history)
        yield from _judge_outcome(wish, there, history)
        if wish.rivals and wish.number < min(wish.rivals):
            yield from _judge_rivals([wish, *(by_number[number] for number in wish.rivals)], held, history)


def _judge_answers(wish: Wish, history: History) -> Iterator[Finding]:
    """Each wish and each message is answered, and nobody must ask again in vain."""
    for inquiry in wish.inquiries:
        if not inquiry.asks:
            continue
        first = inquiry.asks[0].at
        if not inquiry.answers and (wish.kind is not Kind.RETAINED or not broker_lost(history, first, _end(history))):
            yield Finding("lost", f"{_name(inquiry)} was never answered", wish.number, wish.device)
        for ask in inquiry.asks:
            if ask.again and not _is_nameless(inquiry) and not _broker_is_to_blame(wish, inquiry, history):
                sentence = f"{_name(inquiry)} had to be asked again, and no broker was killed when that mattered"
                yield Finding("lost", sentence, wish.number, wish.device)
        yield from _judge_correlation(wish, inquiry, history)


def _broker_is_to_blame(wish: Wish, inquiry: Inquiry, history: History) -> bool:
    """Whether the broker lost one of the first messages, or the answer to it."""
    return any(_was_lost_by_broker(wish, inquiry, ask, history) for ask in inquiry.asks if not ask.again)


def _was_lost_by_broker(wish: Wish, inquiry: Inquiry, ask: Ask, history: History) -> bool:
    """Whether the broker was killed just after it confirmed this message, or the answer to it, and forgot that."""
    later = min((again.at for again in inquiry.asks if again.again), default=_end(history))
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
        sentence = f"{_name(inquiry)}: a copy's correlation data {ask.correlation!r} never came back"
        yield Finding("lost", sentence, wish.number, wish.device)


def _is_nameless(inquiry: Inquiry) -> bool:
    """Whether a failure's answer cannot be told from that of another such request to the same device."""
    return inquiry.request_id is None and all(ask.correlation is None for ask in inquiry.asks)


def _judge_nameless(history: History) -> Iterator[Finding]:
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


def _judge_copies(wish: Wish) -> Iterator[Finding]:
    for inquiry in wish.inquiries:
        if inquiry.request_id is None:
            continue
        stored = [answer for answer in inquiry.answers if answer.code not in NOT_STORED]
        final = {answer.stored for answer in stored if not answer.is_open}
        different = {answer.stored for answer in stored}
        chances = sum(1 + ask.resent for ask in inquiry.asks)
        if len(final) > 1 or len(different) > max(1, chances):
            sentence = f"{_name(inquiry)} got {len(different)} different answers, {len(final)} of them final"
            yield Finding("wrong", sentence, wish.number, wish.device)
        yield from _judge_repeats(wish, inquiry)


def _judge_repeats(wish: Wish, inquiry: Inquiry) -> Iterator[Finding]:
    """Who asked again after a failure that another attempt would settle has one, and not the old answer."""
    for ask in inquiry.asks:
        first = next((answer for answer in inquiry.answers if answer.at > ask.at), None)
        if ask.repeats and first is not None and first.is_open and first.body.get("replayed"):
            sentence = f"{_name(inquiry)} was sent again after a failure, and heard it from memory"
            yield Finding("wrong", sentence, wish.number, wish.device)


def _judge_truth(wish: Wish, there: Held | None, history: History) -> Iterator[Finding]:
    """Each answer against what the terminal holds."""
    said = {code: answer for answer in wish.answers if (code := answer.code)}
    is_there = there is not None and there.user == wish.user and there.group == 1
    if "internal" in said:
        yield Finding("wrong", "the bridge had a fault of its own", wish.number, wish.device)
    if "created" in said and not is_there:
        yield Finding("wrong", f"success, but the terminal holds {_describe(there, wish)}", wish.number, wish.device)
    for inquiry in wish.inquiries:
        for answer in inquiry.answers:
            if answer.code == "user_exists" and (lie := _lie(wish, inquiry, answer, there, history)):
                yield Finding("wrong", f"{_name(inquiry)} heard 409, but {lie}", wish.number, wish.device)
                break
    secrets = [secret for secret in (wish.user.password, str(wish.user.card)) if len(secret) > 1]
    if any(secret.encode() in answer.raw for secret in secrets for answer in wish.answers):
        yield Finding("wrong", "a reply shows a password or a card", wish.number, wish.device)
    if wish.there_when_quiet and _surely_not_done(wish, history):
        sentence = f"told {', '.join(sorted(wish.codes))}, as if nothing was done, but the user was there"
        yield Finding("wrong", sentence, wish.number, wish.device)


def _lie(wish: Wish, inquiry: Inquiry, answer: Answer, there: Held | None, history: History) -> str | None:
    """What makes a 409 untrue, None if it is true or excused."""
    if there is None:
        return "no such user is there"
    if there.user != wish.user:
        return None  # somebody else's, and whose is looked at elsewhere
    if is_uncertain(wish, history):
        return None
    if inquiry.request_id is None:
        came_twice = any(ask.resent for ask in inquiry.asks) or len(inquiry.asks) > 1
        if came_twice and "created" in wish.codes:
            return None
        if broker_lost(history, inquiry.asks[0].at, answer.at):
            return None
    return "it was this request that wrote the user"


def _surely_not_done(wish: Wish, history: History) -> bool:
    """Whether the caller was told before the quiet that nothing was done, and nothing excuses that it was."""
    if not wish.inquiries or not wish.inquiries[0].answers or wish.codes & {"created", "user_exists"}:
        return False
    if is_uncertain(wish, history):
        return False
    first = wish.inquiries[0]
    doubtful = any(ask.resent for ask in first.asks) or broker_lost(history, wish.began, _end(history))
    return first.request_id is not None or not doubtful


def _judge_outcome(wish: Wish, there: Held | None, history: History) -> Iterator[Finding]:
    """What became of it in the end."""
    if wish.kind in GOOD:
        if wish.kind is not Kind.REUSED and not wish.codes & {"created", "user_exists"} and wish.answers:
            # A rival that has lost has heard 409.
            sentence = f"could be done, but heard {', '.join(sorted(wish.codes))} to the end"
            yield Finding("wrong", sentence, wish.number, wish.device)
        return
    if odd := wish.codes - wish.expected:
        sentence = f"a {wish.kind} request heard {', '.join(sorted(odd))}"
        yield Finding("wrong", sentence, wish.number, wish.device)
    if there is not None and there.user == wish.user and "created" not in wish.codes:
        if wish.kind is Kind.SOON and is_uncertain(wish, history):
            return
        yield Finding("wrong", f"a {wish.kind} request left a user behind", wish.number, wish.device)


def _judge_rivals(rivals: list[Wish], held: dict[tuple[str, str], Held], history: History) -> Iterator[Finding]:
    if rivals[0].kind is Kind.REUSED:
        yield from _judge_reuse(rivals)
        return
    first = rivals[0]
    winners = [wish for wish in rivals if "created" in wish.codes]
    here = {wish.number for wish in rivals if _holds(held, wish)}
    numbers = ", ".join(f"#{wish.number}" for wish in rivals)
    if len(winners) > 1:
        yield Finding("wrong", f"of the rivals {numbers} {len(winners)} won", first.number, first.device)
    if len(here) != 1:
        yield Finding("wrong", f"of the rivals {numbers} {len(here)} are on the terminal", first.number, first.device)
    if not winners and not any(
        is_uncertain(wish, history) or _may_be_unheard(wish, history) for wish in rivals if wish.number in here
    ):
        yield Finding("wrong", f"of the rivals {numbers} none was told that it won", first.number, first.device)


def _judge_reuse(rivals: list[Wish]) -> Iterator[Finding]:
    """One request_id, several contents: one of them has it, the others hear so and nothing else."""
    refused = [wish for wish in rivals if wish.codes - {"busy"} == {"request_id_reused"}]
    if len(refused) != len(rivals) - 1:
        numbers = ", ".join(f"#{wish.number}" for wish in rivals)
        sentence = f"of {numbers}, which share a request_id, {len(refused)} heard that it was used"
        yield Finding("wrong", sentence, rivals[0].number, rivals[0].device)


def _may_be_unheard(wish: Wish, history: History) -> bool:
    """Whether its success was told, and lost by the broker: without a request_id it cannot be asked for again."""
    return any(inquiry.request_id is None for inquiry in wish.inquiries) and broker_lost(
        history, wish.began, _end(history)
    )


def _holds(held: dict[tuple[str, str], Held], wish: Wish) -> bool:
    there = held.get((wish.device, wish.user.user_id))
    return there is not None and there.user == wish.user


# -- terminals ---------------------------------------------------------------------------------------------------


def _judge_terminals(history: History) -> Iterator[Finding]:
    for device, terminal in history.terminals.items():
        asked = {wish.user for wish in history.wishes if wish.device == device and _may_be_there(wish)}
        yield from _judge_table(device, terminal, asked)
        if terminal.disabled:
            yield Finding("left disabled", "it is disabled at the end", device=device)
        if terminal.sessions_open:
            yield Finding("wrong", f"{terminal.sessions_open} sessions are open at the end", device=device)
        yield from _judge_spans(device, terminal)


def _may_be_there(wish: Wish) -> bool:
    return wish.kind in GOOD or wish.kind is Kind.SOON


def _judge_table(device: str, terminal: TerminalEnd, asked: set[User]) -> Iterator[Finding]:
    times = Counter(one.user.user_id for one in terminal.held)
    for user_id, count in times.items():
        if count > 1:
            yield Finding("doubled", f"user {user_id} is there {count} times", device=device)
    own = {one.user.user_id: one for one in terminal.own}
    held = {one.user.user_id: one for one in terminal.held}
    for user_id, one in own.items():
        if user_id not in held:
            yield Finding("wrong", f"user {user_id}, who was not ours, is gone", device=device)
        elif held[user_id] != one:
            yield Finding("wrong", f"user {user_id}, who was not ours, is changed", device=device)
    for user_id, one in held.items():
        if user_id not in own and one.user not in asked:
            yield Finding("wrong", f"user {user_id} is there, and nobody asked for him so", device=device)


def _judge_spans(device: str, terminal: TerminalEnd) -> Iterator[Finding]:
    if terminal.longest_allowed_s is None:
        return
    for span in terminal.spans:
        if span.seconds > terminal.longest_allowed_s * span.lives:
            sentence = (
                f"it was disabled for {span.seconds:.1f} s at a stretch"
                f" ({span.lives} x {terminal.longest_allowed_s:.1f} s allowed)"
            )
            yield Finding("wrong", sentence, device=device)


# -- the ledger, and the rest ------------------------------------------------------------------------------------


def _judge_ledger(history: History) -> Iterator[Finding]:
    ledger = history.ledger
    for request in ledger.unfinished:
        yield Finding("lost", f"the ledger still holds {request}")
    if ledger.owed:
        yield Finding("lost", f"{ledger.owed} answers were never sent")
    for device in ledger.debts:
        yield Finding("left disabled", "an enable is owed at the end", device=device)
    for name, mode in ledger.modes.items():
        if mode != PRIVATE_MODE:
            yield Finding("wrong", f"{name} has mode {mode:04o}")
    for secret in ledger.secrets:
        yield Finding("wrong", f"a secret was left behind: {secret}")


def _judge_rest(history: History) -> Iterator[Finding]:
    for answer in history.strays:
        yield Finding("wrong", f"an answer that nobody asked for, on {answer.topic}: {answer.code}")
    for sentence in history.collapses:
        yield Finding("wrong", sentence)


def _name(inquiry: Inquiry) -> str:
    return f"request {inquiry.request_id}" if inquiry.request_id else "a request without a request_id"


def _describe(there: Held | None, wish: Wish) -> str:
    """What is there instead, without a secret."""
    if there is None:
        return "no such user"
    own, asked = there.user, wish.user
    names = [name for name in User.__dataclass_fields__ if getattr(own, name) != getattr(asked, name)]
    return f"that user_id with another {', '.join(names) or 'group'}"


def _end(history: History) -> float:
    """After everything."""
    del history
    return float("inf")
