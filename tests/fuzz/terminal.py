"""The half of `make fuzz` about terminals: examples from one seed after the other until the time is over."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.result import Result
from tests.fuzz.terminal_property import EXAMPLES, Example, holds
from tests.fuzz.terminal_site import terminal_site
from tests.support.mosquitto import Mosquitto

#: Examples of one seed; then bridge and terminals begin anew.
BATCH = 200


def run(first_seed: int, seconds: float) -> Result:
    """At least one batch; ends at the first failure, which hypothesis has made as small as it can."""
    result = Result("terminal", first_seed)
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="zkbridge-fuzz-") as folder:
        while result.failure is None and (not result.seeds or time.monotonic() < until):
            number = first_seed + result.seeds
            result.seeds += 1
            _batch(Path(folder) / str(number), number, result, until)
    return result


def _batch(folder: Path, number: int, result: Result, until: float) -> None:
    folder.mkdir()
    try:
        with Mosquitto(folder / "mosquitto") as broker, terminal_site(folder / "d", broker.port) as site:

            @seed(number)
            @settings(
                max_examples=BATCH,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            )
            @given(example=EXAMPLES)
            def check(example: Example) -> None:
                if result.failure is None and time.monotonic() > until:
                    return
                result.examples += 1
                try:
                    holds(site, example)
                except Exception as error:
                    result.failure = str(error)  # what follows looks for the smallest example
                    raise

            try:
                check()
            finally:
                result.sessions += site.sessions
                result.messages += len(site.asked)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run reports it with its seed
        result.failure = f"seed {number}: {type(error).__name__}: {error}\n" + "\n".join(
            getattr(error, "__notes__", ())
        )
