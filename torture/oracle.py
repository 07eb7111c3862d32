"""The rules of the torture, each with the promise of the bridge that it checks.

The promises are those of `docs/contract.md`; a finding's kind is what the run counts.

| rule | promise | finding |
|---|---|---|
| every request has an answer at the end, and every message with correlation data an answer with the same | 5: after a crash every accepted request ends with its answer; 4: correlation data comes back | lost |
| no request has to be sent again, unless the broker was killed just after it had confirmed the message or its answer | 5: acknowledged only once on disk; published until confirmed | lost |
| the ledger holds no unfinished request and no owed answer at the end | 5: as above | lost |
| no user_id is on a terminal twice | 5: the terminal holds the user exactly once | doubled |
| success: that user is on the terminal, with exactly these fields and the device's group | 5: one correct answer | wrong |
| all final answers of one request_id are the same bytes but for `replayed`; `busy`, `expired` and `request_id_reused` do not use the request_id up, and each failure that the caller may try again belongs to a message of its own | 5: executed once, every later copy gets the stored reply | wrong |
| a request that is sent again after such a failure, without further faults, does not get the stored failure | 5: a failure that wrote nothing does not use its `request_id` up | wrong |
| 409 `user_exists` is answered only if the user is there, and never to the request that wrote the user; exceptions: an earlier answer with `effect: unknown`; a request without a request_id that reached the bridge twice because the broker was killed, or because the caller's own library sent it twice | 5: success, never 409 | wrong |
| answer that nothing was done (`effect: none`, or a refusal): the user was not there after the faults | 3: `effect` is `none` when nothing was certainly written | wrong |
| of several requests for one user_id or with one request_id exactly one succeeds, and the terminal has its fields | 5, 6: duplicate check, one at a time; 5: `request_id_reused` | wrong |
| a request that is invalid, expired, retained or for an unknown device gets that answer and leaves no user | 1, 2, 3 | wrong |
| a request that can be executed is executed once the faults are over | 3: `retryable` | wrong |
| no user is on a terminal without a request | 5 | wrong |
| users who were there before, or were added at the keypad, are unchanged; users who were deleted there are gone | 6: lock, uid | wrong |
| no answer is `internal`, and every answer belongs to a request | 3, 4 | wrong |
| no reply, ledger file or log line holds a password or card that was used; the ledger's files have mode 0600 | 3, 5, 8 | wrong |
| no terminal is disabled, or owed an enable, at the end | 6: enabling is tried again, from a note on disk | left disabled |
| none was disabled for longer than the session's budget, one answer's timeout and slack, for each run of the daemon that took part | 6: never disabled longer than that plus one command | wrong |
| no session is left open on a terminal, and the daemon ends only when it is stopped | 6: disconnect; 8 | wrong |
"""  # noqa: E501 - a table's rows cannot be broken

from __future__ import annotations

from collections.abc import Iterator

from torture.findings import END, Finding, broker_lost, is_uncertain, name_of
from torture.history import GOOD, Answer, Held, History, Inquiry, Kind, User, Wish
from torture.oracle_answers import judge_answers, judge_copies, judge_nameless
from torture.oracle_end import judge_ledger, judge_rest, judge_terminals


def judge(history: History) -> list[Finding]:
    """Every promise that was not kept."""
    return [
        *_judge_wishes(history),
        *judge_nameless(history),
        *judge_terminals(history),
        *judge_ledger(history),
        *judge_rest(history),
    ]


def _judge_wishes(history: History) -> Iterator[Finding]:
    by_number = {wish.number: wish for wish in history.wishes}
    held = {(device, one.user.user_id): one for device, terminal in history.terminals.items() for one in terminal.held}
    for wish in history.wishes:
        there = held.get((wish.device, wish.user.user_id))
        yield from judge_answers(wish, history)
        yield from judge_copies(wish)
        yield from _judge_truth(wish, there, history)
        yield from _judge_outcome(wish, there, history)
        if wish.rivals and wish.number < min(wish.rivals):
            yield from _judge_rivals([wish, *(by_number[number] for number in wish.rivals)], held, history)


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
                yield Finding("wrong", f"{name_of(inquiry)} was answered 409, but {lie}", wish.number, wish.device)
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
    """Whether the caller was answered during the faults that nothing was done, and no exception applies."""
    if not wish.inquiries or not wish.inquiries[0].answers or wish.codes & {"created", "user_exists"}:
        return False
    if is_uncertain(wish, history):
        return False
    first = wish.inquiries[0]
    doubtful = any(ask.resent for ask in first.asks) or broker_lost(history, wish.began, END)
    return first.request_id is not None or not doubtful


def _judge_outcome(wish: Wish, there: Held | None, history: History) -> Iterator[Finding]:
    """What became of it in the end."""
    if wish.kind in GOOD:
        if wish.kind is not Kind.REUSED and not wish.codes & {"created", "user_exists"} and wish.answers:
            sentence = f"could be executed, but was answered {', '.join(sorted(wish.codes))} to the end"
            yield Finding("wrong", sentence, wish.number, wish.device)
        return
    if odd := wish.codes - wish.expected:
        sentence = f"a {wish.kind} request was answered {', '.join(sorted(odd))}"
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
        yield Finding(
            "wrong", f"of the requests {numbers} for one user {len(winners)} succeeded", first.number, first.device
        )
    if len(here) != 1:
        yield Finding(
            "wrong",
            f"of the users of the requests {numbers} {len(here)} are on the terminal",
            first.number,
            first.device,
        )
    if not winners and not any(
        is_uncertain(wish, history) or _may_be_unheard(wish, history) for wish in rivals if wish.number in here
    ):
        yield Finding(
            "wrong",
            f"of the requests {numbers} for one user none was answered with success",
            first.number,
            first.device,
        )


def _judge_reuse(rivals: list[Wish]) -> Iterator[Finding]:
    """One request_id, several contents: one of them is executed, all others are answered request_id_reused."""
    refused = [wish for wish in rivals if wish.codes - {"busy"} == {"request_id_reused"}]
    if len(refused) != len(rivals) - 1:
        numbers = ", ".join(f"#{wish.number}" for wish in rivals)
        sentence = f"of {numbers}, which share a request_id, {len(refused)} were answered request_id_reused"
        yield Finding("wrong", sentence, rivals[0].number, rivals[0].device)


def _may_be_unheard(wish: Wish, history: History) -> bool:
    """Whether the broker may have lost its success: without a request_id the answer cannot be asked for again."""
    return any(inquiry.request_id is None for inquiry in wish.inquiries) and broker_lost(history, wish.began, END)


def _holds(held: dict[tuple[str, str], Held], wish: Wish) -> bool:
    there = held.get((wish.device, wish.user.user_id))
    return there is not None and there.user == wish.user


def _describe(there: Held | None, wish: Wish) -> str:
    """What is there instead, without a secret."""
    if there is None:
        return "no such user"
    own, asked = there.user, wish.user
    names = [name for name in User.__dataclass_fields__ if getattr(own, name) != getattr(asked, name)]
    return f"that user_id with another {', '.join(names) or 'group'}"
