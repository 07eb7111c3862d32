"""The rules for doors: a door opens once, in time and as the answers say; with the exceptions.

| rule | finding |
|---|---|
| one request opens the door once, however often it is published, redelivered, retried or interrupted by a crash | twice |
| and not later than the device's `max_age` after the publication that the bridge accepted, nor after its `expires_at` | late |
| a retained message opens nothing (over MQTT 3.1.1 only a stored one arrives as retained), and every opening belongs to a request | untrue |
| success: it opened; anything but success and `effect: unknown`: it did not | untrue |
| all answers to one request are the same but for `replayed`; `busy`, `expired` and what is retryable without effect leave a request_id unused, so that a later copy may get another answer | untrue |
| every publication is answered | unanswered |

When it was late. A copy is one publication; `busy`, `expired` and a failure without effect do not use a request_id up, so the age counts from
the copy that the answer without `replayed` belongs to; where copies cannot be told apart, from the first, unless one
was turned away or may have been lost: then from the last copy before the opening. With an `expires_at` that alone
counts: such a request may have waited at the broker, as the contract has it. `TOLERANCE_S` is for what passes after
the bridge has looked at its clock: a terminal that dawdles for a second (the fault `late`), and a busy machine.

What need not be answered: a publication at QoS 0, which promises nothing; one that the broker has not confirmed; and
one that the broker confirmed, or whose answer it confirmed, shortly before it was killed (`BROKER_MEMORY_S` of
world.py): it may have forgotten either.
"""  # noqa: E501 - a table's rows cannot be broken

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["twice", "late", "untrue", "unanswered", "wrong"]
KINDS: tuple[Kind, ...] = ("twice", "late", "untrue", "unanswered", "wrong")
#: Given without using the request_id up.
TURNED_AWAY = frozenset({"busy", "expired", "retained_refused"})
#: What may pass between the bridge's last look at its clock and the opening.
TOLERANCE_S = 2.0

Span = tuple[float, float]


@dataclass(frozen=True)
class Publication:
    """One copy of a request; `confirmed_at` is None as long as the broker has not confirmed it.

    `retained`: it was published so, and the bridge can know.
    """

    at: float
    qos: int = 1
    confirmed_at: float | None = None
    retained: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer that was received; `copy` is its publication, if the Correlation Data shows that."""

    body: Mapping[str, Any]
    copy: int | None = None

    @property
    def replayed(self) -> bool:
        """Whether it is the stored answer of an earlier copy."""
        return bool(self.body.get("replayed"))

    @property
    def final(self) -> bool:
        """Whether every later copy gets this answer too."""
        if self.body.get("retryable") and self.body.get("effect") == "none":
            return False  # the next copy is carried out
        return self.replayed or self.body["code"] not in TURNED_AWAY

    @property
    def said(self) -> dict[str, Any]:
        """What it says, `replayed` aside."""
        return {key: value for key, value in self.body.items() if key != "replayed"}


@dataclass(frozen=True)
class Delivery:
    """An answer in the bridge's ledger, to one copy if known, and when the broker confirmed it."""

    copy: int | None
    sent_at: float | None


@dataclass
class Request:
    """Somebody wants a door open for so many seconds, which no other request of that door does."""

    device: str
    seconds: int
    request_id: str | None
    #: Whether the Correlation Data of each copy differs.
    numbered: bool = False
    expires_at: float | None = None
    publications: list[Publication] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    openings: list[float] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.device} for {self.seconds} s ({self.request_id or 'without request_id'})"


@dataclass(frozen=True)
class History:
    """All that was asked and all that happened."""

    requests: Sequence[Request]
    max_age_s: float
    #: Openings without a request, in words.
    strays: Sequence[str] = ()
    #: Between which times what the broker had confirmed may be lost.
    broker_losses: Sequence[Span] = ()
    #: What else is wrong, in words.
    wrong: Sequence[str] = ()

    def lost(self, at: float | None) -> bool:
        """Whether the broker may have forgotten what it confirmed then."""
        return at is not None and any(since <= at <= until for since, until in self.broker_losses)


@dataclass(frozen=True)
class Finding:
    """A promise that was not kept."""

    kind: Kind
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What was asked, what came of it, and everything that is wrong."""

    requests: int
    publications: int
    openings: int
    answers: Counter[str]
    excused: int
    findings: list[Finding]

    def __str__(self) -> str:
        kinds = Counter(finding.kind for finding in self.findings)
        told = ", ".join(f"{count} {code}" for code, count in self.answers.most_common())
        return (
            f"{self.requests} requests published {self.publications} times, {self.openings} openings; "
            f"answers: {told}; {self.excused} excused; " + ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)
        )


def judge(history: History) -> Verdict:
    """Hold what happened against the rules."""
    findings = [Finding("untrue", f"{stray}: no request asked for it") for stray in history.strays]
    findings += [Finding("wrong", sentence) for sentence in history.wrong]
    excused = 0
    for request in history.requests:
        findings += [Finding(kind, f"{request} {sentence}") for kind, sentence in _judge(request, history)]
        for number in unanswered(request):
            if _excused(request, number, history):
                excused += 1
            else:
                sentence = f"{request}: publication {number + 1} of {len(request.publications)} was not answered"
                findings.append(Finding("unanswered", sentence))
    return Verdict(
        requests=len(history.requests),
        publications=sum(len(request.publications) for request in history.requests),
        openings=sum(len(request.openings) for request in history.requests) + len(history.strays),
        answers=Counter(answer.body["code"] for request in history.requests for answer in request.answers),
        excused=excused,
        findings=findings,
    )


def unanswered(request: Request) -> Iterator[int]:
    """The publications without an answer; where copies cannot be told apart, as many as answers are missing."""
    if not request.numbered:
        yield from range(len(request.answers), len(request.publications))
        return
    heard = {answer.copy for answer in request.answers}
    yield from (number for number in range(len(request.publications)) if number not in heard)


def _judge(request: Request, history: History) -> Iterator[tuple[Kind, str]]:
    if len(request.openings) > 1:
        seconds = [f"{opening - request.openings[0]:.1f}" for opening in request.openings]
        yield "twice", f"opened {len(request.openings)} times, after {', '.join(seconds)} s; {_told(request)}"
    for opening in request.openings:
        yield from _judge_time(request, opening, history)
    yield from _judge_answers(request)


# -- when --------------------------------------------------------------------------------------------------------


def _judge_time(request: Request, opening: float, history: History) -> Iterator[tuple[Kind, str]]:
    if any(publication.retained for publication in request.publications):
        yield "untrue", "opened although it was retained"
        return
    if request.expires_at is not None:
        over = opening - request.expires_at
        if over > TOLERANCE_S:
            yield "late", f"opened {over:.1f} s after it had expired; {_told(request)}"
        return
    age = opening - _taken_on(request, opening, history)
    if age > history.max_age_s + TOLERANCE_S:
        yield "late", f"opened {age:.1f} s after it was asked for; {_told(request)}"


def _taken_on(request: Request, opening: float, history: History) -> float:
    """When that copy was published which the bridge took on, as early as it is proved."""
    for answer in request.answers:
        if answer.final and not answer.replayed and answer.copy is not None:
            return request.publications[answer.copy].at
    first = request.publications[0]
    surely = first.qos > 0 and first.confirmed_at is not None and not history.lost(first.confirmed_at)
    if surely and all(answer.final for answer in request.answers):
        return first.at
    return max((each.at for each in request.publications if each.at <= opening), default=first.at)


# -- what was said -----------------------------------------------------------------------------------------------


def _judge_answers(request: Request) -> Iterator[tuple[Kind, str]]:
    # Without a request_id there is one publication: whatever is said of it is said of all of it.
    final = [answer for answer in request.answers if answer.final or request.request_id is None]
    copies = {answer.copy for answer in request.answers if answer.copy is not None}
    of_one = [[answer for answer in request.answers if answer.copy == copy] for copy in copies]
    if any(answer.said != answers[0].said for answers in (final, *of_one) for answer in answers):
        yield "untrue", f"was answered in two ways; {_told(request)}"
        return
    opened = bool(request.openings)
    if not final:
        if opened and request.answers and not list(unanswered(request)):
            yield "untrue", f"opened although every copy was refused; {_told(request)}"
        return
    told = final[0].body
    if told["success"] and not opened:
        yield "untrue", "did not open although the answer is success"
    if opened and not told["success"] and told.get("effect") != "unknown":
        yield "untrue", f"opened although the answer is {told['code']}"


def _told(request: Request) -> str:
    """The answers and the publications in short, for whoever looks into a finding."""
    began = request.publications[0].at
    told = [
        f"{answer.body['code']}{' replayed' * answer.replayed}{'' if answer.copy is None else f' to {answer.copy + 1}'}"
        for answer in request.answers
    ]
    published = [f"{publication.at - began:.1f}" for publication in request.publications]
    opened = [f"{opening - began:.1f}" for opening in request.openings]
    return f"published at {published}, opened at {opened}, told {told}, first at {began:.3f}"


# -- what was not said -------------------------------------------------------------------------------------------


def _excused(request: Request, number: int, history: History) -> bool:
    publication = request.publications[number]
    # Where copies cannot be told apart, it may be any of them that has no answer.
    alike = [publication] if request.numbered else request.publications
    if any(each.qos == 0 or each.confirmed_at is None or history.lost(each.confirmed_at) for each in alike):
        return True
    return any(delivery.copy in (None, number) and history.lost(delivery.sent_at) for delivery in request.deliveries)
