"""When a terminal may be asked again."""

from typing import Any

import pytest

from zkbridge.config.models import Retry
from zkbridge.contract.errors import DeviceAuthFailed, DeviceRejected, DeviceTimeout, DeviceUnreachable
from zkbridge.worker.retry import Interrupted, again


class Run:
    """Attempts with prepared outcomes, and what was paused between them."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.pauses: list[float] = []
        self.told: list[tuple[int, BaseException]] = []

    def attempt(self) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def go(self, *, stop: bool = False, left: float = 60.0, **retry: Any) -> Any:
        def pause(seconds: float) -> bool:
            self.pauses.append(seconds)
            return stop

        return again(
            self.attempt,
            retry=Retry(**retry),
            pause=pause,
            remaining=lambda: left,
            before_pause=lambda number, _seconds, failure: self.told.append((number, failure)),
        )


TIMEOUT = DeviceTimeout(host="h", port=1)


def test_a_connection_failure_is_tried_again_until_it_works() -> None:
    run = Run(TIMEOUT, DeviceUnreachable("reset", host="h", port=1), "done")

    assert run.go() == "done"
    assert [number for number, _ in run.told] == [1, 2]
    assert run.told[0][1] is TIMEOUT


def test_the_last_failure_comes_out_as_it_was() -> None:
    run = Run(TIMEOUT, TIMEOUT, TIMEOUT, "never")

    with pytest.raises(DeviceTimeout) as caught:
        run.go(attempts=3)

    assert caught.value is TIMEOUT
    assert run.outcomes == ["never"]


@pytest.mark.parametrize(
    "refusal", [DeviceAuthFailed(host="h", port=1), DeviceRejected("answer", host="h", port=1), ValueError("a fault")]
)
def test_a_refusal_is_never_retried(refusal: DeviceAuthFailed | DeviceRejected | ValueError) -> None:
    run = Run(refusal, "never")

    with pytest.raises(type(refusal)):
        run.go()

    assert run.pauses == []


def test_pauses_grow_with_jitter_up_to_the_most() -> None:
    run = Run(*[TIMEOUT] * 9, "done")
    run.go(attempts=10, initial_delay=0.5, max_delay=5)

    lows = [0.5, 1, 2, 4, 5, 5, 5, 5, 5]
    assert all(low <= pause <= 5 for low, pause in zip(lows, run.pauses, strict=True))
    assert len({round(pause, 6) for pause in run.pauses[:4]}) == 4


def test_no_pause_leads_past_the_deadline() -> None:
    run = Run(TIMEOUT, "never")

    with pytest.raises(DeviceTimeout):
        run.go(left=0.1)

    assert run.pauses == []


def test_a_stop_cuts_the_pause_short() -> None:
    run = Run(TIMEOUT, "never")

    with pytest.raises(Interrupted):
        run.go(stop=True)

    assert run.outcomes == ["never"]
