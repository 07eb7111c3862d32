"""What each terminal must hold of each person, derived from the answers; and the history of each difference.

For each person at each terminal the book has all states that the answers allow. After a request these are:

| answer | states |
|---|---|
| a final one (success, or a refusal of that user) | the result of the request in each state for which this is the right answer; `untrue` if it is right for none |
| a failure without effect | as before |
| a failure with `effect: unknown` | as before, as after, or with a part of the fingers of a copy |

No other request for a person is sent until every publication of a request was answered, so that the order is known.
At the end, and whenever no request is under way at a terminal, it must have one of these states of each person, once.
"""  # noqa: E501 - a table's rows cannot be broken

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torture.diary import Diary
from torture.people_state import TROUBLE, Held, Key, Print, Request, State, entries, may_have_begun
from zkbridge.simulator import SimulatedTerminal

Kind = Literal["lost", "doubled", "wrong", "foreign", "fingers", "untrue", "unanswered", "left disabled", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Finding:
    """A promise that was not kept, of a person at a terminal where it is one's."""

    kind: Kind
    sentence: str
    key: Key | None = None


class Book:
    """What may be where, and everything that was said and done about it."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.codes: Counter[str] = Counter()
        self._states: dict[Key, frozenset[State]] = {}
        self._lines: defaultdict[Key, list[tuple[float, str]]] = defaultdict(list)
        self._known_wrong: set[tuple[Key | str, str]] = set()

    # -- what is where -----------------------------------------------------------------------------------------------

    def states(self, key: Key) -> frozenset[State]:
        """All that the terminal may hold of the person."""
        return self._states.get(key, frozenset({None}))

    def surely(self, key: Key) -> tuple[bool, State]:
        """Whether that is one thing, and which."""
        states = self.states(key)
        return len(states) == 1, next(iter(states))

    def of(self, device: str) -> dict[str, frozenset[State]]:
        """Everybody who was ever at a terminal."""
        return {user_id: states for (where, user_id), states in self._states.items() if where == device}

    def set(self, key: Key, states: Iterable[State], why: str) -> None:
        """From now on the terminal may hold one of these."""
        self._states[key] = frozenset(states)
        self.note(key, f"{why}: {_listed(self._states[key])}")

    def note(self, key: Key, text: str, *, at: float | None = None) -> None:
        """A line of the person's story."""
        self._lines[key].append((time.time() if at is None else at, text))

    # -- what is said ------------------------------------------------------------------------------------------------

    def hear(self, request: Request, body: Mapping[str, Any], *, member: str | None = None) -> None:
        """A reply to the request; `member` has published it late, for itself."""
        request.code = str(body["code"])
        for device, user_id, entry in entries(body, member or request.device):
            where = member or device
            keys = [
                key
                for key in request.outcomes
                if (where is None or key[0] == where) and (user_id is None or key[1] == user_id)
            ]
            if not keys and user_id is not None:
                self._blame("untrue", f"{request.request_id} names {user_id} at {where or device}: not asked for", None)
            for key in keys:
                if member is not None:
                    request.late.add(key)
                    request.waiting.discard(key)
                self._hear_entry(request, key, entry)

    def _hear_entry(self, request: Request, key: Key, entry: Mapping[str, Any]) -> None:
        code, status = str(entry["code"]), int(entry["status"])
        self.codes[code] += 1
        self.note(key, f"HEARD  {request.request_id} {_short(entry)}")
        if code == "waiting":
            if key not in request.late:
                request.waiting.add(key)
            if entry.get("effect") == "unknown":
                request.doubtful.add(key)
            return
        request.waiting.discard(key)
        if code in TROUBLE or (status >= 500 and entry.get("effect") == "unknown"):
            request.open[key] = code
            if entry.get("effect") == "unknown":
                request.doubtful.add(key)
            return
        if request.final.setdefault(key, code) != code:
            self._blame("untrue", f"{request.request_id} is answered {request.final[key]}, then {code}", key)

    def close(self, request: Request) -> None:
        """Everything was said of the request: work out what is where now."""
        for key, outcome in request.outcomes.items():
            before = self.states(key)
            if (code := request.final.get(key)) is not None:
                results = {after for each in before for right, after in [outcome(each)] if right == code}
                if not results:
                    right = sorted({outcome(each)[0] for each in before})
                    self._blame("untrue", f"{request.request_id} is answered {code}; right is {right}", key)
                    results = set(before)
            elif key in request.doubtful:
                results = {one for each in before for one in may_have_begun(each, outcome(each)[1])}
            else:
                results = set(before)
                if key not in request.open:
                    self._blame("untrue", f"{request.request_id} has no result for the person", key)
            if results != before:
                self.set(key, results, f"after {request.request_id}")

    def hear_lists(self, request: Request, body: Mapping[str, Any]) -> None:
        """The answer to a restore or the plan of a document, which names only the users who are changed."""
        request.code = str(body["code"])
        self.codes[f"{request.command}: {request.code}"] += 1
        said = list(_named(body))
        if request.code not in TROUBLE:
            request.is_whole = "more" not in body and "more_results" not in body
            if not said and request.code not in ("compared", "planned") and not body.get("waiting"):
                self.blame("untrue", f"{request.request_id} {request.topic} is answered {_short(body)}")
        for user_id, code, entry in said:
            key = request.device, user_id
            if key not in request.outcomes:
                # Who was entered at the keypad after the restore was asked for may be deleted, or not reached.
                if request.command != "device/restore" or code not in TROUBLE | {"deleted"}:
                    self._blame("untrue", f"{request.request_id} {code}: not asked for", key)
                request.outcomes[key] = deleted_by_restore
            self.note(key, f"HEARD  {request.request_id} {_short(entry)}")
            if code in TROUBLE or int(entry["status"]) >= 500:
                request.open[key] = code
            elif request.final.setdefault(key, code) != code:
                self._blame("untrue", f"{request.request_id} is answered {request.final[key]}, then {code}", key)

    def close_lists(self, request: Request) -> None:
        """Everything was said of a restore or a document."""
        for key, outcome in request.outcomes.items():
            before = self.states(key)
            possible = [(*outcome(each), each) for each in before]
            if key in request.final or (request.is_whole and key not in request.open):
                code = request.final.get(key, "")
                results = {after for right, after, _ in possible if right == code}
                if key in request.optional and not code:
                    results |= before
                if not results:
                    right = sorted({right for right, _, _ in possible})
                    said = f"says {code}" if code else "leaves the person out"
                    self._blame("untrue", f"{request.request_id} {said}; right is {right}", key)
                    results = set(before)
            else:
                results = {one for _, after, each in possible for one in may_have_begun(each, after)}
            if results != before:
                self.set(key, results, f"after {request.request_id}")

    def unanswered(self, request: Request) -> None:
        """No answer came in the time that anything takes."""
        missing = len(request.published) - len(request.answered)
        who = next(iter(request.outcomes), None)
        waits = f", {len(request.waiting)} wait" if request.waiting else ""
        self._blame(
            "unanswered",
            f"{request.request_id} {request.topic}: {missing} of {len(request.published)} not answered{waits}",
            who,
        )

    # -- what is there -----------------------------------------------------------------------------------------------

    def compare(self, device: str, terminal: SimulatedTerminal, *, when: str) -> None:
        """Hold a terminal at which nothing is under way against the book; each fault is reported once."""
        held = held_by(terminal)
        for user_id, found in held.items():
            key = device, user_id
            if len(found) > 1:
                self._blame("doubled", f"{when} there are {len(found)} records", key)
            elif key not in self._states:
                self._blame("foreign", f"{when} a user is there without a request", key)
        for user_id, states in self.of(device).items():
            now: State = held.get(user_id, [None])[0]
            if now not in states:
                self._blame(
                    _kind(now, states), f"{when} there is {_told(now)}, not {_listed(states)}", (device, user_id)
                )
        uids = {user.uid for user in terminal.users()}
        for uid, index in terminal.templates():
            if uid not in uids:
                self._blame(
                    "fingers", f"{when} {device} holds finger {index} of uid {uid}, which belongs to no user", None
                )

    def observe(self, device: str, terminal: SimulatedTerminal) -> None:
        """What was uncertain is what is there now: an effect that is unknown has come by now, or never does."""
        held = held_by(terminal)
        for user_id, states in self.of(device).items():
            now: State = held.get(user_id, [None])[0]
            if len(states) > 1 and now in states:
                self.set((device, user_id), {now}, "seen when nothing was under way")

    def blame(self, kind: Kind, sentence: str) -> None:
        """Something else is wrong."""
        self._blame(kind, sentence, None)

    def story(self, finding: Finding, diary: Diary) -> Iterator[str]:
        """All that is known of a finding, line by line; `diary` has what was done to the daemon and the terminals."""
        if finding.key is None:
            yield f"*** {finding.kind}: {finding.sentence}"
            return
        device, user_id = finding.key
        yield f"*** {finding.kind}: user {user_id} at {device}: {finding.sentence}"
        own = self._lines[finding.key]
        elsewhere = {
            (at, f"{where}: {text}")
            for (where, who), told in self._lines.items()
            if who == user_id and where != device
            for at, text in told
        }
        lines = set(own) | {(at, f"{device}: user {user_id}") for at in diary.about_user(device, user_id)}
        around = {
            line
            for at, _ in lines
            for line in diary.between(at - AROUND_S, at + AROUND_S, where=("daemon", device))
            if line[1].startswith("daemon") or line[0] in {moment for moment, _ in lines}
        }
        for at, text in sorted({*own, *around, *elsewhere}):
            yield f"  {time.strftime('%H:%M:%S', time.localtime(at))}.{int(at % 1 * 1000):03d} {text}"

    def _blame(self, kind: Kind, sentence: str, key: Key | None) -> None:
        mark = (key or sentence, kind)
        if mark not in self._known_wrong:
            self._known_wrong.add(mark)
            self.findings.append(Finding(kind, sentence, key))


def deleted_by_restore(state: State) -> tuple[str, State]:
    """Somebody who came after the restore was asked for: told if deleted, else as before."""
    return ("deleted", None) if state is not None else ("", None)


def _named(body: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each user of a restore's answer or of a plan: user_id, what was done, the entry."""
    for entry in body.get("results", ()):
        yield entry["user_id"], str(entry["code"]), entry
    for kind in ("added", "changed", "blocked", "unblocked", "deleted"):
        for each in body.get(kind, ()) if "version" in body else ():
            user_id = each["user_id"] if isinstance(each, dict) else each
            yield user_id, kind, {"code": kind, "status": 200}
    for entry in body.get("failed", ()):
        yield entry["user_id"], str(entry["code"]), {"status": 500, **entry}


#: Seconds around a line of a person's story in which the terminal's and the daemon's are told too.
AROUND_S = 4.0


def held_by(terminal: SimulatedTerminal) -> dict[str, list[Held]]:
    """Everything that a terminal holds, by user_id."""
    with terminal.machine.terminal.lock:
        users, templates = terminal.users(), terminal.templates()
    prints: defaultdict[int, list[Print]] = defaultdict(list)
    for (uid, index), each in templates.items():
        prints[uid].append(Print(index, each.flag, each.data))
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for user in users:
        record = Held(user.name, user.password, user.privilege, user.card)
        found[user.user_id].append(record.with_prints(prints[user.uid]))
    return dict(found)


def _kind(now: State, states: Iterable[State]) -> Kind:
    if now is None:
        return "lost"
    records = {each.without_prints() for each in states if each is not None}
    if not records:
        return "foreign"
    return "fingers" if now.without_prints() in records else "wrong"


def _short(entry: Mapping[str, Any]) -> str:
    told = {name: value for name, value in entry.items() if name not in ("results", "message", "data", "users")}
    return ", ".join(f"{name}={value}" for name, value in told.items())


def _listed(states: Iterable[State]) -> str:
    return " or ".join(sorted(_told(state) for state in states))


def _told(state: State) -> str:
    """A state without what is secret of it."""
    if state is None:
        return "nobody"
    secret = "PIN " * bool(state.password) + "card " * bool(state.card)
    prints = ",".join(f"{each.index}/{each.flag}:{each.template[-6:].hex()}" for each in state.prints)
    return f"{state.name} {secret}privilege {state.privilege} fingers [{prints}]"
