"""What each program of this folder does: try operations one by one, and print what came of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


class Operations:
    """Results by name: {"value": …}, or {"error": …} with the client's own words."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, Any]] = {}

    def attempt(self, name: str, operation: Callable[[], Any]) -> None:
        """Try one; a fault in it is a result, for the next ones may do."""
        try:
            self.results[name] = {"value": operation()}
        except Exception as error:  # noqa: BLE001  whatever a client of another project raises
            self.results[name] = {"error": f"{type(error).__name__}: {error}"}

    def finish(self) -> None:
        """Print the results, on one line."""
        sys.stdout.write(f"\nRESULT {json.dumps(self.results)}\n")


def ready() -> None:
    """Say that punches are listened for."""
    sys.stdout.write("\nREADY\n")
    sys.stdout.flush()
