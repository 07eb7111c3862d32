"""Tries again after a connection has failed, a few times, and never past a deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from zkbridge.config.models import Retry
from zkbridge.contract.errors import ConnectionFailure

T = TypeVar("T")


class Interrupted(Exception):
    """The pause between two attempts was cut short because the bridge is stopping."""


def again(
    attempt: Callable[[], T],
    *,
    retry: Retry,
    pause: Callable[[float], bool],
    remaining: Callable[[], float],
    before_pause: Callable[[int, float, BaseException], None],
) -> T:
    """Call `attempt` until it returns, fails for another reason than its connection, or may not be tried again.

    `pause` waits some seconds and says whether to give up instead (raises Interrupted); `remaining` tells the
    seconds that are left for everything; `before_pause` is called with the attempt's number, the pause and the failure.
    The last failure is raised as it was.
    """

    def sleep(seconds: float) -> None:
        if pause(seconds):
            raise Interrupted

    def announce(state: tenacity.RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        if failure is not None:
            before_pause(state.attempt_number, state.upcoming_sleep, failure)

    def enough(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= retry.attempts or remaining() <= state.upcoming_sleep

    wait = tenacity.wait_exponential_jitter(
        multiplier=retry.initial_delay, max=retry.max_delay, jitter=min(retry.initial_delay, retry.max_delay)
    )
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ConnectionFailure),
        stop=enough,
        wait=wait,
        sleep=sleep,
        before_sleep=announce,
        reraise=True,
    )(attempt)
