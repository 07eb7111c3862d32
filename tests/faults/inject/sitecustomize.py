"""Put on PYTHONPATH of a daemon: breaks it at the places that $FAULTS_AT names (JSON, see tests.faults.site.Break)."""

import importlib
import json
import os
import signal
import threading


def _broken(function, spec):
    calls = []

    def call(*args, **kwargs):
        calls.append(None)
        hit = spec["nth"] <= len(calls) < spec["nth"] + spec["times"]
        if hit and spec["when"] == "before":
            _happen(spec)
        result = function(*args, **kwargs)
        if hit and spec["when"] == "after":
            _happen(spec)
        return result

    return call


def _happen(spec):
    if spec["do"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if spec["do"] == "hang":
        threading.Event().wait()
    raise RuntimeError(f"broken on purpose at {spec['at']}")


def _break(spec):
    module_name, _, path = spec["at"].partition(":")
    owner = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    value = spec["value"] if spec["do"] == "set" else _broken(getattr(owner, name), spec)
    setattr(owner, name, value)


for _spec in json.loads(os.environ.get("FAULTS_AT", "[]")):
    _break(_spec)
