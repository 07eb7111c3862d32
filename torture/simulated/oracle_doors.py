"""Whether doors were opened once for a request, in time, and as the answers say, in one run of the simulated world.

A request of the world has seconds of its own for which the door is to be open: they say whose an opening is.

- One request_id opens a door once at most, and so does each message that has none.
- Not later than the device's `max_age` after the message, or with an `expires_at` not after that.
- Success: it was opened before the answer. Anything but success and `effect: unknown`: it was not opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torture.simulated.callers import Told, Wish
    from torture.simulated.terminal import Terminal

#: Seconds for which a request is good without an end of its own, as the configuration has it by default.
MAX_AGE_S = 10.0
#: From the bridge's last look at its clock until the terminal opens: a frame, and an answer that the terminal owes.
TOLERANCE_S = 3.5


def judge_doors(
    terminals: Mapping[str, Terminal], wishes: Sequence[Wish], replies: dict[int, list[Told]]
) -> Iterator[str]:
    """A sentence for each broken promise."""
    for name, terminal in terminals.items():
        asked = {wish.body["seconds"]: wish for wish in wishes if (wish.kind, wish.device) == ("door", name)}
        for seconds in {seconds for _, seconds in terminal.openings} - asked.keys():
            yield f"the door of {name} was opened for {seconds} s, which nobody asked for"
        for seconds, wish in asked.items():
            moments = [at for at, opened in terminal.openings if opened == seconds]
            yield from _judge_openings(wish, moments)
            yield from _judge_answers(wish, moments, [one for ask in wish.asks for one in replies.get(ask.number, [])])


def _judge_openings(wish: Wish, moments: Sequence[float]) -> Iterator[str]:
    if len(moments) > (1 if wish.has_id else len(wish.asks)):
        yield f"request {wish.number} opened the door of {wish.device} {len(moments)} times"
    for at in moments:
        asked = max(ask.at for ask in wish.asks if ask.at <= at)
        end = asked + MAX_AGE_S if wish.good_until is None else wish.good_until
        if at > end + TOLERANCE_S:
            yield f"request {wish.number} opened the door of {wish.device} {at - end:.1f} s too late"


def _judge_answers(wish: Wish, moments: Sequence[float], told: Sequence[Told]) -> Iterator[str]:
    codes = sorted({one.body["code"] for one in told})
    if moments and told and not any(one.body["status"] == 200 or one.body.get("effect") == "unknown" for one in told):
        yield f"request {wish.number} opened the door of {wish.device}, and its answers say {', '.join(codes)}"
    if any(one.body["status"] == 200 and not any(at <= one.at for at in moments) for one in told):
        yield f"request {wish.number} was told that the door of {wish.device} is open, and it was not"
