"""The rules of the contract that one run of the simulated world must keep.

| rule | promise of docs/contract.md |
|---|---|
| every message has an answer | 5: every accepted request ends with its answer |
| one message has one answer, and one request_id one success | 5: every later copy gets the stored reply |
| success: the terminal held it before the answer came | 6: a change is a success when the table shows it |
| a refusal or `effect: none`: nothing was written for that request | 3: none if certainly nothing was written |
| 409 is never the answer to the request that wrote the user | 5: success, never 409 |
| an expired request is not begun; no other is answered expired | 2: past it the request is not executed |
| the last state of each user follows from the answers, in the order of the messages | 6: one at a time; 11 |
| no user is there twice or overwritten; nothing is written while people may use the terminal | 5, 6 |
| no user from the keypad is lost | 6: lock, uid |
| no terminal is disabled at the end, or too long | 6: for how long people are kept off a terminal |
| who is let in follows from the dates of users: see `oracle_dates.py` | 12 |
| a door is opened once, in time, and as the answers say: see `oracle_doors.py` | 9 |
| every punch is published under one id, in its order: see `oracle_punches.py` | 9 |
| an answer comes in time: see `oracle_times.py` | 6: each request has a deadline |
| no answer is `internal`, and no part of the bridge died | 3 |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from torture.simulated.callers import DEVICES, GROUP, LISTENED, UDP, Ask, Told, Wish
from torture.simulated.disabled import judge_disabled
from torture.simulated.oracle_dates import Run, judge_dates
from torture.simulated.oracle_doors import judge_doors
from torture.simulated.oracle_punches import judge_punches
from torture.simulated.oracle_times import judge_times

if TYPE_CHECKING:
    from torture.simulated.world import World

#: Seconds past its end in which a request may still be begun: one session, and one answer that is late.
SLACK_S = 6.0
#: Codes of answers after which nothing was done for that message.
_TURNED_AWAY = {"busy", "expired", "missing_fields", "invalid_field", "request_id_reused", "user_not_found"}
_States = set[str | None]


def judge(world: World) -> Iterator[str]:
    """A sentence for each broken promise."""
    yield from world.wrongs
    for error in world.machine.collapses:
        yield f"a part of the bridge died: {type(error).__name__}: {error}"
    for name, terminal in world.terminals.items():
        yield from terminal.wrongs
        if terminal.disabled:
            yield f"{name} is disabled at the end"
        yield from judge_disabled(name, terminal.times, [*world.troubles, *world.disk.failed_at], world.starts)
        here = {each.name for each in terminal.people()}
        yield from (f"{one}, added at the keypad of {name}, is gone" for one in terminal.own if one not in here)
    replies = world.callers.replies()
    yield from _judge_messages(world, replies)
    for wish in world.callers.wishes:
        yield from _judge_wish(world, wish, replies)
    yield from judge_doors(world.terminals, world.callers.wishes, replies)
    yield from judge_times(world.terminals, _told_apart(world), replies, _troubles(world), world.broker.away)
    run = _run_of(world)
    for name in DEVICES:
        yield from _judge_order(world, name, replies)
        yield from judge_dates(name, world.terminals[name], run, _open_users(world, name, replies))
    for name in LISTENED:
        terminal = world.terminals[name]
        may_be_late = terminal.events_left_out > 0 or name in UDP
        yield from judge_punches(name, terminal.log, world.broker.heard, may_be_late=may_be_late)


def _run_of(world: World) -> Run:
    return Run(
        world.callers.wishes,
        world.machine.now,
        world.broker.heard,
        troubles=_troubles(world),
        clock_jumps=world.clock_jumps,
        clock_wrong=world.clock_wrong,
    )


def _troubles(world: World) -> list[float]:
    return [*world.troubles, *world.starts, *world.disk.failed_at]


def _told_apart(world: World) -> list[Ask]:
    """The messages whose answer is known: it answers no other message, and the broker has not lost the message."""
    return [ask for ask in world.callers.asks if _is_told_apart(world, ask) and ask.number not in world.broker.lost]


def _is_told_apart(world: World, ask: Ask) -> bool:
    return world.callers.correlates or len(ask.wish.asks) == 1


def _judge_messages(world: World, replies: dict[int, list[Told]]) -> Iterator[str]:
    for ask in world.callers.asks:
        told = [one for one in replies.get(ask.number, []) if one.device == ask.wish.device]
        if not told and ask.number not in world.broker.lost:
            yield f"message {ask.number} has no answer"
        # The answer says that a member waits if it waits when the answer is sent, perhaps once more.
        bodies = {one.plain for one in told if b'"code":"waiting"' not in one.raw}
        if _is_told_apart(world, ask) and len(bodies) > 1 and ask.number not in world.broker.brought_again:
            codes = ", ".join(sorted(json.loads(body)["code"] for body in bodies))
            yield f"message {ask.number} has {len(bodies)} answers: {codes}"
        for one in told:
            if one.body["code"] == "internal":
                yield f"message {ask.number} was answered internal"


def _judge_wish(world: World, wish: Wish, replies: dict[int, list[Told]]) -> Iterator[str]:
    if wish.command == "users/list":
        return
    told = [(ask, one) for ask in wish.asks for one in replies.get(ask.number, [])]
    if wish.has_id:
        whole = {one.plain for _, one in told if one.device == wish.device and one.body["status"] == 200}
        if len(whole) > 1:
            yield f"request {wish.number} has {len(whole)} successes that differ"
    for device in wish.devices:
        said = [each for ask, one in told for each in _entries(wish, device, ask, one)]
        for user_id, name in _written_by(wish):
            entries = [each for each in said if each["user_id"] in (None, user_id)]
            yield from _judge_part(world, _Part(wish, device, user_id, name, entries))


class _Part(NamedTuple):
    """One user of a wish at one terminal: what it was to be called, and what was said of it."""

    wish: Wish
    device: str
    user_id: str
    name: str | None
    said: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"request {self.wish.number} ({self.wish.command} {self.user_id} for {self.device})"


def _judge_part(world: World, part: _Part) -> Iterator[str]:
    """What was said of one user of a wish at one terminal, held against what the terminal held."""
    terminal, began = world.terminals[part.device], min(ask.at for ask in part.wish.asks)
    for each in part.said:
        yield from _judge_entry(part, each, _held_between(terminal.history, part.user_id, began, each["at"]))
    writes = [each for each in terminal.history if part.name is not None and each.name == part.name]
    if writes and part.said and not any(map(_may_have_written, part.said)) and not _asked_later(part):
        yield f"{part} was written, and its answers say {', '.join(sorted({each['code'] for each in part.said}))}"
    if part.wish.good_until is not None and part.name is not None:
        yield from _judge_time(part, part.wish.good_until, terminal.asked_for.get(part.name))


def _judge_entry(part: _Part, each: dict[str, Any], held: _States) -> Iterator[str]:
    """`held` is every state of the user between the first message and this answer."""
    code, name = each["code"], part.name
    if each["status"] == 200 and name is not None and name not in held:
        yield f"{part} was answered {code}, and the terminal never held it"
    if code in ("deleted", "user_not_found") and None not in held:
        yield f"{part} was answered {code}, and the user was there all the time"
    if code == "user_exists" and name is not None and held <= {None, name}:
        before = [one for one in part.said if one["at"] < each["at"] and _may_have_written(one)]
        if not before:
            yield f"{part} was answered user_exists, and only this request had written the user"


def _judge_time(part: _Part, good_until: float, begun: float | None) -> Iterator[str]:
    early = [each["at"] for each in part.said if each["code"] == "expired" and each["at"] < good_until - 1]
    if early:
        yield f"{part} was answered expired {good_until - early[0]:.0f} s too early"
    if begun is not None and begun > good_until + SLACK_S:
        yield f"{part} was begun {begun - good_until:.0f} s after it had expired"


def _asked_later(part: _Part) -> bool:
    """Whether the last message of the wish has no answer of its own yet."""
    return len({each["message"] for each in part.said}) < len(part.wish.asks)


def _may_have_written(entry: dict[str, Any]) -> bool:
    """Whether an answer leaves it open that this request has written, or says so."""
    if entry["status"] == 200 or entry["code"] == "waiting":
        return True
    if entry["code"] in _TURNED_AWAY or entry["code"] == "user_exists":
        return False
    return bool(entry.get("effect") == "unknown")


def _entries(wish: Wish, device: str, ask: Ask, told: Told) -> Iterator[dict[str, Any]]:
    """What an answer says of a device: the answer itself, or its entries of a group's or a list's."""
    body = told.body
    common = {"at": told.at, "message": ask.number}
    if told.device == device or "results" not in body:
        if told.device in (device, wish.device):
            if "results" in body:
                for entry in body["results"]:
                    yield {**common, **entry, "user_id": entry.get("user_id")}
            elif wish.kind != "many" or body["status"] != 200:
                yield {**common, **body, "user_id": None}
        return
    if told.device == GROUP:
        for entry in body["results"]:
            if entry.get("device_id") == device:
                yield {**common, **entry, "user_id": None}


def _written_by(wish: Wish) -> list[tuple[str, str | None]]:
    """The users that a wish is about, with the name that it writes; None where it deletes."""
    if wish.kind == "door":
        return []
    if wish.kind == "many":
        return [(row["user_id"], row["name"]) for row in wish.body["users"]]
    return [(wish.user_id, None if wish.kind == "delete" else wish.name)]


def _held_between(history: list[Any], user_id: str, began: float, ended: float) -> _States:
    """Every state of a user between two moments; a state is the name, None while the user is not there."""
    states: _States = set()
    now: str | None = None
    for each in history:
        if each.user_id != user_id:
            continue
        if each.at > ended:
            break
        if each.at >= began:
            states.add(now)
        now = each.name
    return states | {now}


class _Step(NamedTuple):
    """What the last answer to a message says of a user."""

    message: int
    command: str
    name: str | None
    said: dict[str, Any]


def _judge_order(world: World, device: str, replies: dict[int, list[Told]]) -> Iterator[str]:
    """Whether what each user became can have come about in the order of the messages, as the answers say."""
    there = {each.user_id: each.name for each in world.terminals[device].people()}
    for user_id, steps in _steps_by_user(world, device, replies).items():
        states: _States = {None}
        for step in steps:
            after = _after(states, step)
            if not after:
                said = step.said["code"]
                yield f"message {step.message} ({step.command} {user_id} for {device}) got {said}, out of order"
                break
            states = after
        else:
            if there.get(user_id) not in states:
                yield f"user {user_id} on {device} is {there.get(user_id)}, and the answers allow {states}"


def _open_users(world: World, device: str, replies: dict[int, list[Told]]) -> set[str]:
    """The users of whom an answer, or its absence, left open what became of a request."""
    users = set()
    for ask in world.callers.asks:
        told = [each for one in replies.get(ask.number, []) for each in _entries(ask.wish, device, ask, one)]
        if not told or any(each.get("effect") == "unknown" or each["code"] == "waiting" for each in told):
            users |= {user_id for user_id, _ in _written_by(ask.wish)}
    return users


def _steps_by_user(world: World, device: str, replies: dict[int, list[Told]]) -> dict[str, list[_Step]]:
    """The messages about each user, less those users of whom one may have been carried out at another place."""
    steps: dict[str, list[_Step]] = {}
    blurred: set[str] = set()
    for ask in world.callers.asks:
        wish = ask.wish
        if wish.command == "users/list" or device not in wish.devices:
            continue
        entries = [each for one in replies.get(ask.number, []) for each in _entries(wish, device, ask, one)]
        for user_id, name in _written_by(wish):
            own = [each for each in entries if each["user_id"] in (None, user_id)]
            if ask.number in world.broker.brought_again or len(wish.asks) > 1:
                blurred.add(user_id)
            final = [each for each in own if each["code"] != "waiting"] or own
            if final:
                steps.setdefault(user_id, []).append(_Step(ask.number, wish.command, name, final[-1]))
    return {user_id: each for user_id, each in steps.items() if user_id not in blurred}


def _after(states: _States, step: _Step) -> _States:
    """The states after an answer; none where no state before allows it."""
    _, command, name, said = step
    code = said["code"]
    if code in ("created", "updated", "deleted"):
        wants_absent = code == "created"
        return {name} if any((state is None) is wants_absent for state in states) else set()
    if code in ("user_exists", "user_not_found"):
        return {state for state in states if (state is None) is (code == "user_not_found")}
    if _may_have_written(said):
        done = any((state is None) is command.startswith("users/create") for state in states)
        return states | ({name} if done else set())
    return states
