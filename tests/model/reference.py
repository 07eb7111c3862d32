"""What the ledger must hold after what was asked of it: the same life of requests, in dicts, without a file.

It is written from section 5 of the contract (`docs/guarantees.md`) and the docstrings of the ledger; it knows nothing
of SQL, commits and restarts. Each message has a topic of its own, which names its answer here and in the ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from tests.model.values import FORGOTTEN, READING, Asked, Owed, together
from zkbridge.contract.groups import Said
from zkbridge.contract.messages import Reply, flagged
from zkbridge.ledger.finding import Finding
from zkbridge.ledger.records import Draft, Finish, Parked, Part, PartKey, Request, State


class Reference:
    """Requests and answers as they must be; `now` is the time."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.requests: dict[int, Asked] = {}
        self.answers: dict[str, Owed] = {}
        self.retained: set[bytes] = set()
        self.handed_out: set[str] = set()
        self.debts: set[str] = set()
        self.enabled: set[str] = set()
        self.last = 0
        self._settled = 0

    # -- what is known of a message ------------------------------------------------------------------------------

    def find(self, draft: Draft) -> tuple[Finding, Asked | None]:
        """What is known of a message, with the request of which it is a copy."""
        if draft.retained:
            if draft.digest in self.retained:
                return Finding.KNOWN, None
            self.retained.add(draft.digest)
        if draft.dup and (same := self._delivered(draft)):
            same[-1].connection = draft.connection
            return Finding.KNOWN, None
        if draft.reply is not None:
            return Finding.ANSWERED, None
        if draft.settled:
            self._settled = max(self._settled, draft.connection)
        copy = next((each for each in self.requests.values() if _is_copy(draft, each)), None)
        if copy is None or self._begins_anew(draft, copy):
            return Finding.NEW, copy
        return Finding.REUSED if _is_other(draft, copy) else Finding.COPY, copy

    def _delivered(self, draft: Draft) -> list[Owed]:
        return [
            each
            for each in self.answers.values()
            if (each.digest, each.mid) == (draft.digest, draft.mid)
            and self._settled <= each.connection <= draft.connection
        ]

    def _begins_anew(self, draft: Draft, copy: Asked) -> bool:
        if _is_other(draft, copy) or copy.reply is None:
            return False
        if copy.reply.body == FORGOTTEN:
            return True
        members = {part.device for part in draft.parts}
        parts = [self.requests[part] for part in copy.parts]
        anew = any(part.device in members and part.is_open for part in parts) if members else copy.is_open
        if not anew:
            return False
        came = [each.connection for each in self.answers.values() if each.digest == draft.digest]
        earlier = sum(connection < draft.connection for connection in came)
        may_come_again = draft.mid > 0 and (draft.dup or not draft.settled)
        return not (may_come_again and earlier > came.count(draft.connection))

    # -- what is kept of it --------------------------------------------------------------------------------------

    def answer(self, draft: Draft, reply: Reply) -> None:
        """An answer without a request."""
        self._owe(draft, request=None, reply=reply, owed=True)

    def join(self, draft: Draft, copy: Asked) -> None:
        """A copy waits for the same answer, or has it now."""
        self._owe(draft, request=copy.id, replayed=True, owed=copy.reply is not None)

    def take_on(self, draft: Draft, copy: Asked | None, parts: Sequence[Part]) -> Asked:
        """A request; a group's with parts, of which `Part.reply` has refused some."""
        suspect = None if copy is not None else self._suspect(draft)
        if copy is not None:
            copy.request_id = None
        whole = self._add(draft, suspect_of=suspect, name=draft.request_id)
        self._owe(draft, request=whole.id)
        if not parts:
            if copy is not None and copy.tried:
                whole.state, whole.tried = State.RUNNING, list(copy.tried)
            return whole
        whole.state, whole.params = State.SPLIT, b""
        forgotten = copy is None or copy.reply is None or copy.reply.body == FORGOTTEN
        members = {part.device for part in draft.parts}
        wanted = {part.key: part for part in reversed(parts)}
        for old in [] if forgotten or copy is None else list(copy.parts):
            earlier = self.requests[old]
            if not (earlier.device in members and earlier.is_open):
                copy.parts.remove(old)
                earlier.parent = whole.id
                whole.parts.append(old)
                continue
            made = self._add_part(draft, wanted[(earlier.device, None)], whole)
            if made.reply is None and earlier.tried:
                made.state, made.tried = State.RUNNING, list(earlier.tried)
        for part in parts if forgotten else ():
            self._add_part(draft, part, whole, suspect_of=self._part_of(suspect, part.key))
        self._complete([whole.id])
        return whole

    def hand_over(self, request: int, parts: Sequence[Part], *, catch_up: bool) -> None:
        """Other requests do what this one has asked."""
        whole = self.requests[request]
        whole.state, whole.params = State.SPLIT, b""
        correlation = max((each.correlation or b"" for each in self._answers_of(request)), default=b"")
        draft = Draft(b"", "", "", correlation=correlation or None, expires_at=whole.expires_at, catch_up=catch_up)
        draft = draft._replace(language=whole.language)
        for part in parts:
            self._add_part(draft, part, whole)
        self._complete([request])

    # -- its way to an answer ------------------------------------------------------------------------------------

    def running(self, request: int, intent: object) -> None:
        """The terminal is about to be asked."""
        self.requests[request].state = State.RUNNING
        self.requests[request].tried.append(intent)

    def finish(self, finishes: Iterable[Finish], parked: Iterable[Parked], pending: str | None) -> list[str]:
        """Answers are known; the topics of those that are the caller's to send."""
        finishes = list(finishes)
        groups = [self._finish_one(each) for each in finishes]
        for each in parked:
            waiting = self.requests[each.request]
            waiting.waits = each if waiting.waits is None else each._replace(subject=waiting.waits.subject)
            waiting.state = State.WAITING
            groups.append(waiting.parent)
        if pending is not None:
            self.debts.add(pending)
            self.enabled.discard(pending)
        ended = self._complete(groups)
        whose = {each.request.id for each in finishes} | set(ended)
        mine = [each.topic for each in self.answers.values() if each.owed and each.request in whose]
        self.handed_out.update(mine)
        return mine

    def take_up(self, device: str, subject: str | None, most: int) -> list[Asked]:
        """What has waited for a device is under way again."""
        good = [each for each in self.waiting(device) if (each.expires_at or 0.0) > self.now]
        taken = [each for each in good if subject is None or each.waits.subject == subject][:most]
        for each in taken:
            each.state = State.RUNNING if each.tried else State.ACCEPTED
        return taken

    def expire(self, reply: Reply) -> set[int]:
        """What has waited for too long is answered."""
        late = [each for each in self.waiting() if (each.expires_at or 0.0) <= self.now]
        groups = [self._finish_one(Finish(_bare(each), reply)) for each in late]
        return {each.id for each in late} | set(self._complete(groups))

    def sent(self, topics: Collection[str]) -> None:
        """The broker has confirmed these answers."""
        for topic in topics:
            answer = self.answers[topic]
            answer.owed, answer.sent = False, True
        for request in {self.answers[topic].request for topic in topics} - {None}:
            if self.requests[request].state is State.DONE:
                self.requests[request].state = State.SENT
            if all(each.sent for each in self._answers_of(request)):
                for each in self.requests.values():
                    if request in (each.id, each.parent) and each.reply is not None and each.command == READING:
                        each.reply = each.reply._replace(body=FORGOTTEN)
        self.debts -= self.enabled
        self.enabled.clear()

    def restart(self) -> None:
        """The process is gone: what was only in its memory is, too."""
        self.handed_out.clear()
        self.enabled.clear()

    def forget(self, request: int) -> None:
        """A request and its answers are remembered no more."""
        del self.requests[request]
        for whole in self.requests.values():
            whole.parts = [part for part in whole.parts if part != request]
        self.answers = {topic: each for topic, each in self.answers.items() if each.request != request}

    def forget_reading(self) -> None:
        """What was read is forgotten once it is confirmed, also of a part of which no answer was left."""
        for each in self.requests.values():
            whole = each.id if each.parent is None else each.parent
            ended = each.reply is not None and each.command == READING
            if ended and all(answer.sent for answer in self._answers_of(whole)):
                each.reply = each.reply._replace(body=FORGOTTEN)

    # -- what there is -------------------------------------------------------------------------------------------

    def unfinished(self) -> list[Asked]:
        """What has no answer and does not wait."""
        return self._in_state(State.ACCEPTED, State.RUNNING)

    def waiting(self, device: str | None = None) -> list[Asked]:
        """What waits for a device."""
        return [each for each in self._in_state(State.WAITING) if device in (None, each.device)]

    def unsent(self) -> list[tuple[str, bytes, bytes | None]]:
        """Topic, body and correlation of each answer that is owed and that no thread is sending."""
        owed = [each for each in self.answers.values() if each.owed and each.topic not in self.handed_out]
        return [(each.topic, self.body_of(each), each.correlation) for each in owed]

    def body_of(self, answer: Owed) -> bytes:
        """An answer as it is published."""
        reply = answer.reply if answer.request is None else self.requests[answer.request].reply
        return flagged(reply.body, replayed=answer.replayed)

    def may_be_forgotten(self, request: int) -> bool:
        """Whether nothing of it, nor of the group's request that it belongs to, is unanswered or unconfirmed."""
        each = self.requests[request]
        whole = each.id if each.parent is None else each.parent
        parts = [other for other in self.requests.values() if other.parent == whole]
        ended = each.reply is not None and all(part.reply is not None for part in parts)
        return ended and all(answer.sent for answer in self._answers_of(request))

    # -- inside --------------------------------------------------------------------------------------------------

    def _in_state(self, *states: State) -> list[Asked]:
        return sorted((each for each in self.requests.values() if each.state in states), key=lambda each: each.id)

    def _answers_of(self, request: int) -> list[Owed]:
        return [each for each in self.answers.values() if each.request == request]

    def _suspect(self, draft: Draft) -> int | None:
        came = [
            each.request
            for each in self.answers.values()
            if each.digest == draft.digest and each.connection < draft.connection and each.request is not None
        ]
        return max(came, default=None) if draft.redeliverable else None

    def _part_of(self, group: int | None, key: PartKey) -> int | None:
        parts = self.requests[group].parts if group in self.requests else []
        return next((part for part in parts if self.requests[part].device == key[0]), None)

    def _owe(self, draft: Draft, **more: Any) -> None:
        where = (draft.digest, draft.mid, draft.connection, draft.correlation)
        made = Owed(draft.topic, draft.fallback, more.pop("request"), *where, **more)
        self.answers[made.topic] = made

    def _add(self, draft: Draft, **more: Any) -> Asked:
        self.last += 1
        made = Asked(
            self.last,
            draft.device,
            draft.command,
            draft.request_id,
            draft.content,
            draft.params,
            self.now,
            draft.expires_at,
            draft.catch_up,
            draft.language,
            **more,
        )
        self.requests[made.id] = made
        return made

    def _add_part(self, draft: Draft, part: Part, whole: Asked, **more: Any) -> Asked:
        own = draft._replace(device=part.device, request_id=None, command=part.command or draft.command)
        made = self._add(own._replace(params=part.params or draft.params), parent=whole.id, **more)
        whole.parts.append(made.id)
        if part.reply is not None:
            made.state, made.reply, made.done_at = State.DONE, part.reply, self.now
        elif draft.catch_up:
            self.answers[part.topic] = Owed(part.topic, part.topic, made.id, correlation=draft.correlation)
        return made

    def _finish_one(self, finish: Finish) -> int | None:
        each, reply = self.requests[finish.request.id], finish.reply
        if each.parent is not None:
            reply = reply._replace(body=flagged(reply.body, replayed=finish.replayed))
        each.state, each.reply, each.done_at, each.waits = State.DONE, reply, self.now, None
        if reply.open_effect != "unknown":
            each.tried = []
        if each.parent is not None and each.id > each.parent and self.requests[each.parent].state is State.SPLIT:
            self.answers = {topic: own for topic, own in self.answers.items() if own.request != each.id}
        for own in self._answers_of(each.id):
            if not own.sent:
                own.owed, own.replayed = True, own.replayed or (finish.replayed and each.parent is None)
        return each.parent

    def _complete(self, groups: Iterable[int | None]) -> list[int]:
        ended = []
        for number in dict.fromkeys(groups):
            if number is None:
                continue
            whole = self.requests[number]
            parts = [self.requests[part] for part in whole.parts]
            is_new = whole.state is State.SPLIT
            if is_new and not all(part.reply is not None or part.state is State.WAITING for part in parts):
                continue
            handed_over = parts[0].command.startswith(f"{whole.command}/")
            whole.reply = together(
                None if handed_over else whole.device,
                [self._said(part, whole) for part in parts],
                request_id=whole.request_id,
                command=whole.command,
                language=whole.language,
            )
            if is_new:
                whole.state, whole.done_at = State.DONE, self.now
                for own in self._answers_of(number):
                    own.owed = not own.sent
                ended.append(number)
        return ended

    def _said(self, part: Asked, whole: Asked) -> Said:
        if part.reply is None:
            return Said(part.device, part.waits.reply)
        replayed = part.id < whole.id and part.done_at < whole.accepted_at
        return Said(part.device, part.reply._replace(body=flagged(part.reply.body, replayed=replayed)))


def _is_copy(draft: Draft, each: Asked) -> bool:
    same = (each.device, each.command, each.request_id) == (draft.device, draft.command, draft.request_id)
    return same and each.parent is None and draft.request_id is not None


def _is_other(draft: Draft, copy: Asked) -> bool:
    return copy.content is not None and copy.content != draft.content


def _bare(each: Asked) -> Request:
    return Request(each.id, each.device, each.command, None, b"", each.accepted_at)
