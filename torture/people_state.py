"""What a terminal may hold of a person, and what each request makes of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

BLOCKED = 1
#: What several answers say of a request that ended in trouble; nobody's record decides it.
TROUBLE = frozenset(
    {
        "device_timeout",
        "device_unreachable",
        "device_auth_failed",
        "device_rejected",
        "outcome_unknown",
        "busy",
        "expired",
        "copy_incomplete",
    }
)


@dataclass(frozen=True, order=True)
class Print:
    """A finger as it is stored: its index, its flag, its template."""

    index: int
    flag: int
    template: bytes = field(repr=False)


@dataclass(frozen=True)
class Held:
    """One user of a terminal; `privilege` is the permission byte, the bit that blocks among it."""

    name: str
    password: str = field(default="", repr=False)
    privilege: int = 0
    card: int = field(default=0, repr=False)
    prints: tuple[Print, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether the user is kept out."""
        return bool(self.privilege & BLOCKED)

    def with_prints(self, prints: Iterable[Print]) -> Held:
        """With these fingers, each in the place of the one that has its index."""
        kept = {each.index: each for each in self.prints} | {each.index: each for each in prints}
        return replace(self, prints=tuple(kept[index] for index in sorted(kept)))

    def without_prints(self) -> Held:
        """The record alone."""
        return replace(self, prints=())


State = Held | None
#: A terminal's name and a user_id.
Key = tuple[str, str]
#: What is answered of a user who is so, and what the user is then. A code that is empty: nothing is said of the user.
Outcome = Callable[[State], tuple[str, State]]


def updated(state: Held, fields: Mapping[str, Any]) -> Held:
    """The user with the named fields of a request; the role leaves the blocking bit, and that leaves the role."""
    named = {name: fields[name] for name in ("name", "password", "card") if name in fields}
    privilege = state.privilege
    if "privilege" in fields:
        privilege = privilege & BLOCKED | fields["privilege"]
    if "blocked" in fields:
        privilege = privilege & ~BLOCKED | bool(fields["blocked"])
    return replace(state, **named, privilege=privilege)


def create(fields: Mapping[str, Any]) -> Outcome:
    """`users/create` of a row."""
    new = updated(Held(""), fields)
    return lambda state: ("created", new) if state is None else ("user_exists", state)


def update(fields: Mapping[str, Any]) -> Outcome:
    """`users/update` of a row."""
    return _of_one("updated", lambda held: updated(held, fields))


def block(blocked: bool) -> Outcome:
    """`users/block` or `users/unblock`."""
    return _of_one("blocked" if blocked else "unblocked", lambda held: updated(held, {"blocked": blocked}))


def delete() -> Outcome:
    """`users/delete`."""
    return _of_one("deleted", lambda _: None)


def delete_finger(index: int) -> Outcome:
    """`users/delete-finger`."""

    def outcome(state: State) -> tuple[str, State]:
        if state is None:
            return "user_not_found", None
        kept = tuple(each for each in state.prints if each.index != index)
        if kept == state.prints:
            return "finger_not_found", state
        return "finger_deleted", replace(state, prints=kept)

    return outcome


def copy(source: Held, *, fingers: bool, overwrite: bool) -> Outcome:
    """`users/copy` of a user who is so at the source, at one target."""
    wanted = source if fingers else source.without_prints()

    def outcome(state: State) -> tuple[str, State]:
        if state is None:
            return "copied", wanted
        ours = {each.index: each for each in state.prints}
        same = wanted.without_prints() == state.without_prints()
        fits = all(ours.get(each.index, each) == each for each in wanted.prints)
        if not overwrite and not (same and fits):
            return "user_exists", state
        if overwrite and fingers:
            return "copied", wanted
        return "copied", wanted.with_prints([*state.prints, *wanted.prints])

    return outcome


def refused(code: str) -> Outcome:
    """A request that changes nothing and is answered so."""
    return lambda state: (code, state)


def restore(kept: State) -> Outcome:
    """`device/restore` with `replace`, of a user whom the backup holds so."""

    def outcome(state: State) -> tuple[str, State]:
        if kept is None:
            return ("", None) if state is None else ("deleted", None)
        return ("", state) if kept == state else ("copied", kept)

    return outcome


def row(fields: Mapping[str, Any]) -> Outcome:
    """A row of a document: what is named of the user changes."""

    def outcome(state: State) -> tuple[str, State]:
        if state is None:
            return "added", updated(Held(""), fields)
        new = updated(state, fields)
        if new == state:
            return "", state
        if updated(new, {"blocked": state.blocked}) == state:
            return "blocked" if new.blocked else "unblocked", new
        return "changed", new

    return outcome


def absent(policy: str) -> Outcome:
    """What a document does to a claimed user whom it does not name."""

    def outcome(state: State) -> tuple[str, State]:
        if state is None or policy == "never":
            return "", state
        if policy == "delete":
            return "deleted", None
        return ("", state) if state.blocked else ("blocked", updated(state, {"blocked": True}))

    return outcome


def may_have_begun(before: State, after: State) -> set[State]:
    """All that a write may have left that ended in the middle: each finger as before, as after, or not there."""
    found = {before, after}
    if after is None:
        return found
    old = {} if before is None else {each.index: each for each in before.prints}
    new = {each.index: each for each in after.prints}
    changed = [index for index in sorted(old.keys() | new.keys()) if old.get(index) != new.get(index)]
    alike = [each for each in after.prints if each.index not in changed]
    for some in product(*({old.get(index), new.get(index), None} for index in changed)):
        found.add(after.without_prints().with_prints([*alike, *(each for each in some if each is not None)]))
    return found


def _of_one(code: str, change: Callable[[Held], State]) -> Outcome:
    return lambda state: ("user_not_found", None) if state is None else (code, change(state))


@dataclass
class Request:
    """One request of a run, whom it is about and what it would do there, and what was heard of it."""

    number: int
    topic: str
    body: dict[str, Any]
    outcomes: dict[Key, Outcome]
    #: The terminals that nobody else may be asked of meanwhile.
    alone_on: str | None = None
    published: list[float] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    #: What was said of each user last that settles it, and whether anything was said that leaves it open.
    final: dict[Key, str] = field(default_factory=dict)
    open: dict[Key, str] = field(default_factory=dict)
    waiting: set[Key] = field(default_factory=set)
    doubtful: set[Key] = field(default_factory=set)
    #: Who has answered late, on a topic of its own.
    late: set[Key] = field(default_factory=set)
    #: Of whom it is right, too, that nothing is said and nothing is done.
    optional: set[Key] = field(default_factory=set)
    #: How many users of a document have an answer of their own to come, and whether each that came names its user.
    late_users: int = 0
    names_all: bool = True
    #: Terminals that are only read.
    reads: set[str] = field(default_factory=set)
    #: What the last answer to the whole says, and whether one spoke of everybody.
    code: str = ""
    is_whole: bool = False

    @property
    def request_id(self) -> str:
        """Its name."""
        return f"p{self.number}"

    @property
    def command(self) -> str:
        """The command without the device."""
        return self.topic.split("/", 2)[2]

    @property
    def device(self) -> str:
        """The device or group that is asked."""
        return self.topic.split("/")[1]

    @property
    def devices(self) -> set[str]:
        """The terminals that it reads or may change."""
        return {device for device, _ in self.outcomes} | self.reads

    @property
    def people(self) -> set[str]:
        """The user_ids."""
        return {user_id for _, user_id in self.outcomes}

    @property
    def is_heard(self) -> bool:
        """Whether every publication was answered, and nobody waits."""
        return len(self.answered) >= len(self.published) and not self.waiting


def entries(body: Mapping[str, Any], device: str) -> Sequence[tuple[str | None, str | None, Mapping[str, Any]]]:
    """What a reply says: (device, user_id, entry), None where the entry is for all of them."""
    found: list[tuple[str | None, str | None, Mapping[str, Any]]] = []
    results = body.get("results")
    if results is None:
        return [(None, None, body)]
    for entry in results:
        if "results" in entry:
            where = entry["device_id"]
            found += [(where, each["user_id"], each) for each in entry["results"]]
        elif "device_id" in entry:
            found.append((entry["device_id"], entry.get("user_id"), entry))
        else:
            found.append((device, entry["user_id"], entry))
    return found
