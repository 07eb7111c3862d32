"""A panel shows terminals as online for days while the bridge is stopped; and the log does not say what was started.

Source: attack on 7bb949d, 2026-11
"""

from pathlib import Path
from typing import Any

import pytest

import zkbridge
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import Simulator, TerminalConfig


@pytest.mark.parametrize(
    ("language", "probe_interval", "stopped"),
    [
        ("en", 300, {"state": "offline", "reason": "the bridge has stopped"}),
        ("es", 300, {"state": "offline", "reason": "el puente se ha detenido"}),
        ("en", 0, None),
    ],
)
def test_no_terminal_is_online_after_a_clean_stop(
    tmp_path: Path, shared_broker: Mosquitto, language: str, probe_interval: int, stopped: dict[str, Any] | None
) -> None:
    base = f"stopped-{language}-{probe_interval}"
    with Simulator() as simulator:
        devices = {"p": device(simulator.add(TerminalConfig(profile="tft")))}
        more: dict[str, Any] = {"mqtt": {"base_topic": base}, "language": language, "probe_interval": probe_interval}
        daemon = Daemon(tmp_path / "d", shared_broker.port, devices, groups={"all": ["p"]}, **more, covered=False)
        with Caller(shared_broker.port) as caller:
            caller.subscribe(f"{base}/#", no_local=True)
            with daemon:
                caller.publish(f"{base}/p/ping", b"{}")
                caller.wait_for(f"{base}/p/availability", lambda m: m.json == {"state": "online"})
            last = caller.wait_for(f"{base}/p/availability", lambda m: b"online" not in m.payload)
            caller.wait_for(f"{base}/bridge/state", lambda m: m.json["state"] == "offline")

    assert (last.json if last.payload else None) == stopped
    first = daemon.log.splitlines()[0]
    config = daemon.folder / "config.yaml"
    assert first.endswith(f"zkbridge {zkbridge.__version__} starts with {config}; devices: p; groups: all")
