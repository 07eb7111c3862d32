"""Put on PYTHONPATH of a daemon: breaks it at the places that $FAULTS_AT names (JSON, see tests.faults.site.Break)."""

import importlib
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any


def _broken(function: Callable[..., Any], spec: dict[str, Any]) -> Callable[..., Any]:
    calls: list[Any] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        hit = spec["nth"] <= len(calls) < spec["nth"] + spec["times"]
        if hit and spec["when"] == "before":
            _happen(spec)
        result = function(*args, **kwargs)
        if hit and spec["when"] == "after":
            _happen(spec)
        return result

    return call


def _happen(spec: dict[str, Any]) -> None:
    if spec["do"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if spec["do"] == "hang":
        threading.Event().wait()
    raise RuntimeError(f"broken on purpose at {spec['at']}")


def _set_back(clock: Callable[[], float], flag: str) -> Callable[..., Any]:
    """A clock that shows an hour less while a file is there."""
    return lambda: clock() - (3600 if os.path.exists(flag) else 0)  # noqa: PTH110 - must not import more than it breaks


def _break(spec: dict[str, Any]) -> None:
    module_name, _, path = spec["at"].partition(":")
    owner = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    found = getattr(owner, name)
    match spec["do"]:
        case "set":
            setattr(owner, name, spec["value"])
        case "set back":
            setattr(owner, name, _set_back(found, spec["value"]))
        case _:
            setattr(owner, name, _broken(found, spec))


for _spec in json.loads(os.environ.get("FAULTS_AT", "[]")):
    _break(_spec)
