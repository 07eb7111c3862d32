"""A run's figures as a table, and the full story of each promise that was not kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from torture.findings import Finding, Verdict, is_uncertain
from torture.history import Wish
from torture.run import Result

VERDICTS: tuple[Verdict, ...] = ("lost", "doubled", "wrong", "left disabled")
#: Seconds around a message or an event that a story tells.
AROUND_S = 2.0
LINES = 400


def table(result: Result) -> str:
    """The figures of a run."""
    history, world, breakage = result.history, result.world, result.breakage
    wishes = history.wishes
    messages = sum(len(inquiry.asks) for wish in wishes for inquiry in wish.inquiries)
    again = sum(ask.again for wish in wishes for inquiry in wish.inquiries for ask in inquiry.asks)
    codes = Counter(answer.code for wish in wishes for answer in wish.answers)
    anonymous = sum(len(answers) for answers in history.anonymous.values())
    verdicts = Counter(finding.verdict for finding in result.findings)
    spans = [(span.seconds, name) for name, end in history.terminals.items() for span in end.spans]
    longest, where = max(spans, default=(0.0, "-"))
    injected = {name: count for name, count in sorted(breakage.faults.items()) if count}
    rows = [
        ("seed", str(result.seed)),
        ("seconds", f"{result.seconds:.0f}"),
        ("requests", f"{messages} messages for {len(wishes)} users wanted"),
        ("kinds", _listed(Counter(str(wish.kind) for wish in wishes))),
        ("kill -9 of the daemon", str(world.keeper.kills)),
        ("SIGTERM, SIGSTOP of the daemon", f"{world.keeper.stops}, {world.keeper.pauses}"),
        ("kill -9, SIGSTOP of the broker", f"{world.broker_kills}, {world.broker_pauses}"),
        ("faults of terminals", f"{sum(injected.values())}: {_listed(injected)}"),
        ("acts at the keypad", str(sum(person.acts for person in world.persons.values()))),
        ("visits of a foreign client", str(breakage.foreigners)),
        ("answers received", f"{sum(codes.values())}: {_listed(codes)}; {anonymous} without a request_id"),
        ("sent again after the faults", f"{again}: lost by the broker's kills, or answered without a request_id"),
        ("effect unknown", str(sum(is_uncertain(wish, history) for wish in wishes))),
        ("longest disabled", f"{longest:.1f} s ({where})"),
        *((verdict, str(verdicts[verdict])) for verdict in VERDICTS),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def stories(result: Result) -> Iterator[str]:
    """Each finding with all that is known about it."""
    for finding in result.findings:
        yield "\n".join([_headline(finding), *_story(finding, result)])


def _headline(finding: Finding) -> str:
    about = f" (wish #{finding.wish})" if finding.wish is not None else ""
    place = f" on {finding.device}" if finding.device else ""
    return f"*** {finding.verdict}{place}{about}: {finding.sentence}"


def _story(finding: Finding, result: Result) -> list[str]:
    if finding.wish is not None:
        lines = _of_wish(result.history.wishes[finding.wish], result)
    elif finding.device is not None:
        lines = _of_device(finding, result)
    else:
        lines = []
    told = [f"  {_clock(at)} {text}" for at, text in sorted(lines)]
    return told if len(told) <= LINES else [f"  … {len(told) - LINES} lines before", *told[-LINES:]]


def _of_wish(wish: Wish, result: Result) -> list[tuple[float, str]]:
    """Its messages and answers, what the daemon logged of them, and what the terminal saw at the time."""
    lines: list[tuple[float, str]] = []
    moments: list[float] = []
    for inquiry in wish.inquiries:
        name = inquiry.request_id or "no request_id"
        for ask in inquiry.asks:
            flags = " ".join(flag for flag, is_so in (("again", ask.again), ("resent", ask.resent)) if is_so)
            lines.append((ask.at, f"ASKED  #{wish.number} {wish.user.user_id} {name} by {ask.caller} {flags}"))
            moments.append(ask.at)
        for answer in inquiry.answers:
            lines.append((answer.at, f"HEARD  {answer.raw.decode(errors='replace')}"))
            moments.append(answer.at)
        if inquiry.request_id is not None:
            lines += _log(result, f"request_id={inquiry.request_id} ")
    moments += result.world.diary.about_user(wish.device, wish.user.user_id)
    for at, text in _diary(result, wish.device, moments):
        lines.append((at, text))
    return lines


def _of_device(finding: Finding, result: Result) -> list[tuple[float, str]]:
    """What the terminal saw of the user, and of others with the same uid; else the last times it was disabled."""
    device, words, diary = str(finding.device), finding.sentence.split(), result.world.diary
    is_of_user = words[0] == "user"
    moments = diary.about_user(device, words[1]) if is_of_user else diary.mentioning(device, "disabled for")[-3:]
    return _diary(result, device, moments)


def _diary(result: Result, device: str, moments: list[float]) -> list[tuple[float, str]]:
    """What happened around some moments, each line once."""
    found: dict[tuple[float, str], None] = {}
    for moment in moments:
        for line in result.world.diary.between(
            moment - AROUND_S, moment + AROUND_S, where=(device, "daemon", "broker")
        ):
            found[line] = None
    return list(found)


def _log(result: Result, word: str) -> list[tuple[float, str]]:
    lines = []
    for line in result.world.daemon.log.splitlines():
        if word in f"{line} ":
            day, _, rest = line.partition(" ")
            moment, _, said = rest.partition(" ")
            at = time.mktime(time.strptime(f"{day} {moment[:8]}", "%Y-%m-%d %H:%M:%S")) + int(moment[9:12]) / 1000
            lines.append((at, f"LOG    {said}"))
    return lines


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"
