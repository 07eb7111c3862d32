"""The life of a few requests between a broker, a bridge that is killed, and one terminal: every state, every step.

Steps are as small as what can come between them: a message is delivered, kept, acknowledged; a session is planned and
noted, each change is asked for, the replies are kept, the terminal is enabled; a reply is published, confirmed. Between
any two of them the bridge may be killed, the connection to the broker may end, and an answer of the terminal may be
lost. What is decided is decided by the program: the ledger on a real file, `intake.admission`, the commands, the
planner and the verifier.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from tests.model import truth
from tests.model.explorer import Exploration, Step, explore
from tests.model.kept import Ledgers
from tests.model.terminal import COMMANDS, REPLIES, Decisions, Hand, Held, Plan
from tests.support.judging import Judging, keep_drafts
from zkbridge.contract.errors import OutcomeUnknown
from zkbridge.contract.messages import Reply
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import Answer, Draft, Finish, Kept, Request, Verdict

T = TypeVar("T")

NOW = 1_700_000_000.0
LATER = NOW + 1000.0
_REPLAYED = b',"replayed":true'


class Wish(NamedTuple):
    """One message of a caller. Messages of one `effect` ask for the same thing: it is to be done once at most."""

    command: str
    fields: tuple[tuple[str, str], ...] = ()
    request_id: str | None = None
    effect: int = 0
    expires: bool = False


class Setting(NamedTuple):
    """What is explored: messages, how often what goes wrong, and what is broken on purpose.

    `marks`: the broker delivers again under the same packet id and with DUP, as Mosquitto does; else as RabbitMQ.
    """

    wishes: tuple[Wish, ...]
    kills: int = 2
    breaks: int = 1
    losses: int = 1
    marks: bool = True
    breakage: str | None = None


class Session(NamedTuple):
    """A session with the terminal that is under way."""

    hands: tuple[Hand, ...]
    at_plan: Held
    plan: Plan
    late: bool = False  #: whether it was planned after time had passed
    asked: int = 0
    done: tuple[int, ...] = ()
    broken: bool = False
    over: bool = False
    unknown: tuple[int, ...] = ()


class State(NamedTuple):
    """Everything: at the broker, in the bridge's memory, on its disk, at the terminal, at the callers."""

    acked: tuple[bool, ...]
    delivered: tuple[int, ...]
    heard: tuple[frozenset[bytes], ...]
    effects: tuple[int, ...]
    ledger: int = Ledgers.FIRST
    held: Held = Held()
    alive: bool = False
    connection: int = 0
    inbox: tuple[tuple[int, bool], ...] = ()
    to_ack: tuple[int, ...] = ()
    queue: tuple[Hand, ...] = ()
    session: Session | None = None
    published: frozenset[int] = frozenset()
    late: bool = False
    kills: int = 0
    breaks: int = 0
    losses: int = 0


class Life:
    """The steps of one setting, the rules that no state may break, and when a life is complete."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._late = False
        self._ledgers = Ledgers(self._now)
        self._ledger = 0
        self._decisions = Decisions(self._now, self._reply_of)

    def explore(self) -> Exploration[State]:
        """Visit every state."""
        count = len(self.setting.wishes)
        first = State(
            (False,) * count,
            (0,) * count,
            (frozenset(),) * count,
            (0,) * (1 + max(each.effect for each in self.setting.wishes)),
            kills=self.setting.kills,
            breaks=self.setting.breaks,
            losses=self.setting.losses,
        )
        try:
            return explore(first, self.steps, broken=self.broken, is_complete=self.is_complete)
        finally:
            self._ledgers.close()

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Everything that may happen next."""
        self._late = state.late
        if not state.late and any(each.expires for each in self.setting.wishes):
            yield "time passes", state._replace(late=True)
        if not state.alive:
            yield "the bridge starts", self._start(state)
            return
        yield from self._messages(state)
        yield from self._work(state)
        yield from self._replies(state)
        if state.kills:
            yield "the bridge is killed", _killed(state)
        if state.breaks:
            yield "the connection ends", self._connected(state)._replace(breaks=state.breaks - 1)

    def broken(self, state: State) -> str | None:
        """The rule that a state breaks."""
        self._late = state.late
        order = [hand.request for hand in (*(state.session.hands if state.session else ()), *state.queue)]
        if order != sorted(order):
            return f"the terminal's order is {order}"
        told = [
            truth.lie(wish, heard, state.effects[wish.effect], state.held)
            for wish, heard in zip(self.setting.wishes, state.heard, strict=True)
        ]
        found = [
            *told,
            truth.repeated(state.effects, state.held),
            truth.lost(state.acked, self._topics(state)),
        ]
        return next((each for each in found if each is not None), None)

    def is_complete(self, state: State) -> bool:
        """Whether everything is acknowledged, answered and confirmed, and the terminal is enabled."""
        self._late = state.late
        still = state.alive and state.session is None and not state.queue and not state.held.disabled
        told = all(state.acked) and all(state.heard) and not state.published
        return still and told and not (self._unfinished(state.ledger) or self._unsent(state) or self._pending(state))

    # -- the broker and the bridge -------------------------------------------------------------------------------

    def _messages(self, state: State) -> Iterator[Step[State]]:
        too_soon = self.setting.breakage == "acknowledge before the commit"
        held = {number for number, _ in state.inbox} | set(state.to_ack)
        due = [n for n, acked in enumerate(state.acked) if not acked and state.delivered[n] != state.connection]
        if due and due[0] not in held:
            number = due[0]
            after = state._replace(
                inbox=(*state.inbox, (number, state.delivered[number] > 0)),
                delivered=_with(state.delivered, number, state.connection),
            )
            if too_soon:
                after = after._replace(acked=_with(after.acked, number, True))
            yield f"message {number} is delivered", after
        if state.inbox:
            yield f"messages {[number for number, _ in state.inbox]} are kept", self._keep(state)
        if state.to_ack:
            number, *rest = state.to_ack
            after = state._replace(to_ack=tuple(rest), acked=_with(state.acked, number, True))
            yield f"message {number} is acknowledged", after

    def _keep(self, state: State) -> State:
        def call(ledger: Ledger) -> list[Kept]:
            return keep_drafts(ledger, [self._draft(ledger, state, *each) for each in state.inbox], Judging())

        ledger, kept = self._ledgers.do(state.ledger, ("keep", state.inbox, state.connection), call)
        new = [each.request for each in kept if each.verdict is Verdict.NEW]
        hands = tuple(Hand(each.id, bool(each.tried), _texts(each.tried)) for each in new)
        return state._replace(
            ledger=ledger,
            inbox=(),
            to_ack=(*state.to_ack, *(number for number, _ in state.inbox)),
            queue=(*state.queue, *hands),
        )

    def _draft(self, ledger: Ledger, state: State, number: int, again: bool) -> Draft:
        wish = self.setting.wishes[number]
        command = COMMANDS[wish.command]
        params = command.parse(dict(wish.fields), strict=True).stored()
        marked = again and self.setting.marks
        topic = f"reply/{number}"
        return Draft(
            digest=ledger.digest(wish.command, params, wish.request_id),
            topic=topic,
            fallback=topic,
            connection=state.connection,
            mid=number + 1 if self.setting.marks else number + 1 + 10 * state.connection,
            dup=marked,
            redeliverable=command.repeatable or state.connection > 1,
            settled=state.connection == 1,
            device="p",
            command=wish.command,
            request_id=wish.request_id,
            content=ledger.digest(params),
            params=params,
            expires_at=NOW + 500 if wish.expires else None,
        )

    def _replies(self, state: State) -> Iterator[Step[State]]:
        for answer in self._unsent(state):
            if answer.id not in state.published:
                number = int(answer.topic.removeprefix("reply/"))
                after = state._replace(
                    published=state.published | {answer.id},
                    heard=_with(state.heard, number, state.heard[number] | {answer.body.replace(_REPLAYED, b"")}),
                )
                if self.setting.breakage == "delete the reply before the broker has confirmed it":
                    forgotten = self._connected(self._confirm(state, answer.id))
                    yield f"the reply to message {number} is lost with its connection", forgotten
                yield f"the reply to message {number} is published", after
                break
        for number in sorted(state.published):
            yield f"reply {number} is confirmed", self._confirm(state, number)

    def _confirm(self, state: State, number: int) -> State:
        ledger, _ = self._ledgers.do(state.ledger, ("sent", number), lambda ledger: ledger.replies.sent([number]))
        return state._replace(ledger=ledger, published=state.published - {number})

    def _start(self, state: State) -> State:
        ledger = self._ledgers.restarted(state.ledger)
        left = self._unfinished(ledger)
        queue = tuple(Hand(each.id, bool(each.tried), _texts(each.tried), resumed=True) for each in left)
        return self._connected(state._replace(ledger=ledger, alive=True, queue=queue))

    def _connected(self, state: State) -> State:
        ledger, connection = self._ledgers.do(state.ledger, "connect", lambda ledger: ledger.facts.next_connection())
        return state._replace(ledger=ledger, connection=connection, inbox=(), to_ack=(), published=frozenset())

    # -- the worker and the terminal -----------------------------------------------------------------------------

    def _work(self, state: State) -> Iterator[Step[State]]:
        session = state.session
        if session is None:
            if state.queue:
                yield "a session begins", self._begin(state)
            elif self._pending(state):
                yield "the terminal is enabled at the next contact", self._enable(state)
        elif session.over:
            yield "the terminal is enabled", self._enable(state)._replace(session=None)
        elif session.broken or session.asked == len(session.plan.changes):
            yield "the replies are kept", self._end(state, session)
        else:
            yield from self._ask(state, session)

    def _begin(self, state: State) -> State:
        requests = {each.id: each for each in self._unfinished(state.ledger)}
        kind = COMMANDS[requests[state.queue[0].request].command].disables
        count = 0
        while count < len(state.queue) and COMMANDS[requests[state.queue[count].request].command].disables is kind:
            count += 1
        hands, queue = state.queue[:count], state.queue[count:]
        self._ledger = state.ledger
        plan = self._decisions.plan(state.held, [(requests[hand.request], hand) for hand in hands])
        after = state._replace(queue=queue, held=state.held._replace(disabled=kind or state.held.disabled))
        after = after._replace(session=Session(hands, state.held, plan, state.late))
        return after if self.setting.breakage == "send a change before its note is stored" else self._note(after, plan)

    def _note(self, state: State, plan: Plan) -> State:
        if not plan.changes:
            return state
        intents = [(request, json.loads(intent)) for request, intent in plan.changes]
        ledger, _ = self._ledgers.do(state.ledger, ("note", plan.changes), lambda ledger: ledger.running(intents))
        return state._replace(ledger=ledger)

    def _ask(self, state: State, session: Session) -> Iterator[Step[State]]:
        request, _ = session.plan.changes[session.asked]
        asked = session._replace(asked=session.asked + 1)
        self._late = session.late
        held = self._decisions.apply(session.at_plan, state.held, self._in_hand(state, session), request)
        self._late = state.late
        effect = self.setting.wishes[self._message_of(state, request)].effect
        done = state._replace(held=held, effects=_with(state.effects, effect, state.effects[effect] + 1))
        yield f"the terminal does {request}", done._replace(session=asked._replace(done=(*asked.done, request)))
        if state.losses:
            repeatable = COMMANDS[self._requests(state)[request].command].repeatable
            lost = asked._replace(broken=True, unknown=asked.unknown if repeatable else (*asked.unknown, request))
            for what, after in (("does not hear of", state), ("does, and its answer is lost,", done)):
                yield f"the terminal {what} {request}", after._replace(session=lost, losses=state.losses - 1)

    def _end(self, state: State, session: Session) -> State:
        """Keep what is known; what is not settled goes back to the queue, with what is known of it."""
        requests = self._requests(state)
        replies = {number: (reply, replayed) for number, reply, replayed in session.plan.replies}
        self._ledger = state.ledger
        if not session.broken:
            in_hand = self._in_hand(state, session)
            self._late = session.late
            confirmed = self._decisions.confirm(session.at_plan, state.held, in_hand, session.done)
            self._late = state.late
            replies |= {number: (reply, False) for number, reply in confirmed.items()}
        for number in session.unknown:
            replies[number] = (REPLIES.failed(requests[number], OutcomeUnknown()), False)
        if self.setting.breakage == "send a change before its note is stored":
            state = self._note(state, session.plan)
        finishes = [Finish(requests[number], *reply) for number, reply in sorted(replies.items())]
        pending = "p" if state.held.disabled else None

        def call(ledger: Ledger) -> None:
            ledger.replies.release(ledger.finish(finishes, pending_enable=pending).answers)

        ledger, _ = self._ledgers.do(state.ledger, ("finish", tuple(replies.items()), pending), call)
        intents = dict(session.plan.changes[: session.asked])
        left = tuple(
            hand._replace(asked=True, tried=(*hand.tried, intents[hand.request])) if hand.request in intents else hand
            for hand in session.hands
            if hand.request not in replies
        )
        over = None if session.broken else session._replace(hands=(), over=True)
        return state._replace(ledger=ledger, queue=(*left, *state.queue), session=over)

    def _enable(self, state: State) -> State:
        ledger, _ = self._ledgers.do(state.ledger, "enabled", lambda ledger: ledger.enables.mark_enabled("p"))
        return state._replace(ledger=ledger, held=state.held._replace(disabled=False))

    # -- what the ledger says ------------------------------------------------------------------------------------

    def _now(self) -> float:
        return LATER if self._late else NOW

    def _unfinished(self, number: int) -> list[Request]:
        return self._ledgers.do(number, "unfinished", lambda ledger: ledger.unfinished())[1]

    def _requests(self, state: State) -> dict[int, Request]:
        return {each.id: each for each in self._unfinished(state.ledger)}

    def _in_hand(self, state: State, session: Session) -> list[tuple[Request, Hand]]:
        requests = self._requests(state)
        return [(requests[hand.request], hand) for hand in session.hands]

    def _unsent(self, state: State) -> list[Answer]:
        return self._ledgers.do(state.ledger, "unsent", lambda ledger: ledger.replies.unsent(99))[1]

    def _pending(self, state: State) -> set[str]:
        return self._ledgers.do(state.ledger, "enables", lambda ledger: ledger.enables.devices())[1]

    def _reply_of(self, request: int) -> Reply | None:
        return self._ledgers.do(self._ledger, ("reply", request), lambda ledger: ledger.reply_of(request))[1]

    def _topics(self, state: State) -> dict[str, set[int | None]]:
        """The topics of all messages that are kept, with the requests that they were."""

        def call(ledger: Ledger) -> dict[str, set[int | None]]:
            found: dict[str, set[int | None]] = {}
            for topic, request in ledger.inspect(
                lambda db: [*map(tuple, db.execute("SELECT topic, request FROM answers"))]
            ):
                found.setdefault(topic, set()).add(request)
            return found

        return self._ledgers.do(state.ledger, "topics", call)[1]

    def _message_of(self, state: State, request: int) -> int:
        topics = self._topics(state)
        return next(int(topic.removeprefix("reply/")) for topic, whose in topics.items() if request in whose)


def _killed(state: State) -> State:
    """What was in the process's memory is gone."""
    return state._replace(
        alive=False, inbox=(), to_ack=(), queue=(), session=None, published=frozenset(), kills=state.kills - 1
    )


def _texts(tried: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(json.dumps(each) for each in tried)


def _with(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    return (*values[:place], value, *values[place + 1 :])
