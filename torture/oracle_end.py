"""Whether terminals, ledger and files are at the end as they are to be; the rules stand in `oracle`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torture.findings import Finding
from torture.history import GOOD, History, Kind, TerminalEnd, User, Wish

PRIVATE_MODE = 0o600


def judge_terminals(history: History) -> Iterator[Finding]:
    """What the terminals hold, and for how long they were disabled."""
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
            yield Finding("wrong", f"user {user_id} is there, and no request asked for these fields", device=device)


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


def judge_ledger(history: History) -> Iterator[Finding]:
    """What is left on the disk."""
    ledger = history.ledger
    for request in ledger.unfinished:
        yield Finding("lost", f"the ledger still holds {request}")
    if ledger.owed:
        yield Finding("lost", f"{ledger.owed} answers were never sent")
    for device in ledger.pending_enables:
        yield Finding("left disabled", "an enable is owed at the end", device=device)
    for name, mode in ledger.modes.items():
        if mode != PRIVATE_MODE:
            yield Finding("wrong", f"{name} has mode {mode:04o}")
    for secret in ledger.secrets:
        yield Finding("wrong", f"a secret was left behind: {secret}")


def judge_rest(history: History) -> Iterator[Finding]:
    """Answers without a request, and ends of the daemon that the run did not cause."""
    for answer in history.strays:
        yield Finding("wrong", f"an answer without a request, on {answer.topic}: {answer.code}")
    for sentence in history.collapses:
        yield Finding("wrong", sentence)
