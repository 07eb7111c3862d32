"""A half of `make fuzz`: examples from one seed after the other until the time is over."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.fuzz.result import Result
from tests.support.mosquitto import Mosquitto


class Site(Protocol):
    """Where the examples take place; it counts sessions with terminals, and messages sent to the bridge."""

    @property
    def sessions(self) -> int: ...

    @property
    def messages(self) -> int: ...


S = TypeVar("S", bound=Site)
E = TypeVar("E")


@dataclass(frozen=True)
class Half(Generic[S, E]):
    """`start` begins a site in a folder, at a broker's port; `holds` raises if an example breaks a promise there.

    After `batch` examples of one seed bridge, broker and terminals begin anew.
    """

    name: str
    start: Callable[[Path, int], AbstractContextManager[S]]
    examples: SearchStrategy[E]
    holds: Callable[[S, E], None]
    batch: int = 200

    def run(self, first_seed: int, seconds: float) -> Result:
        """At least one batch; ends at the first failure, which hypothesis has made as small as it can."""
        result = Result(self.name, first_seed)
        until = time.monotonic() + seconds
        with tempfile.TemporaryDirectory(prefix="zkbridge-fuzz-") as folder:
            while result.failure is None and (not result.seeds or time.monotonic() < until):
                number = first_seed + result.seeds
                result.seeds += 1
                self._run_seed(Path(folder) / str(number), number, result, until)
        return result

    def _run_seed(self, folder: Path, number: int, result: Result, until: float) -> None:
        folder.mkdir()
        try:
            with Mosquitto(folder / "mosquitto") as broker, self.start(folder / "d", broker.port) as site:

                @seed(number)
                @settings(
                    max_examples=self.batch,
                    deadline=None,
                    database=None,
                    phases=(Phase.generate, Phase.shrink),
                    suppress_health_check=list(HealthCheck),
                    print_blob=True,
                )
                @given(example=self.examples)
                def check(example: E) -> None:
                    if result.failure is None and time.monotonic() > until:
                        return
                    result.examples += 1
                    try:
                        self.holds(site, example)
                    except Exception as error:
                        result.failure = str(error)  # what follows looks for the smallest example
                        raise

                try:
                    check()
                finally:
                    result.sessions += site.sessions
                    result.messages += site.messages
        except Exception as error:  # noqa: BLE001 - whatever it is, the run reports it with its seed
            each = error.exceptions if isinstance(error, ExceptionGroup) else [error]
            result.failure = f"seed {number}: " + "\n\n".join(
                "\n".join([f"{type(one).__name__}: {one}", *getattr(one, "__notes__", ())]) for one in (error, *each)
            )
