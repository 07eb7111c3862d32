# ruff: noqa: INP001 - a program of its own beside the add-on's files
"""Turn the add-on's options and the supervisor's MQTT service into a configuration, and become zkbridge."""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

Json = dict[str, Any]
#: Options of a device that are keys of the configuration by the same name.
SAME = ("host", "port", "transport", "encoding", "timezone")
PATIENCE_S = 10


def main() -> None:
    """Write the configuration and start the daemon in the place of this program."""
    data = Path(os.environ.get("ADDON_DATA", "/data"))
    options = json.loads((data / "options.json").read_text())
    if not options["devices"]:
        fail("no terminal is named yet: add one under Configuration, devices")
    path = data / "config.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(configuration(options, broker(options), data), indent=2))
    program = os.environ.get("ADDON_PROGRAM", "/usr/bin/zkbridge")
    os.execv(program, [program, "run", "--config", str(path)])  # noqa: S606 - the daemon takes this program's place


def configuration(options: Json, mqtt: Json, data: Path) -> Json:
    """Zkbridge's configuration, which as JSON is YAML too."""
    return {
        "mqtt": mqtt,
        "devices": {each["id"]: device(each) for each in options["devices"]},
        "language": options["language"],
        "log": {"level": options["log_level"]},
        "homeassistant": {"discovery": options["discovery"]},
        "state_dir": str(data / "state"),
        "lock_dir": "/tmp/zkbridge-locks",  # noqa: S108 - the container is the add-on's own
    }


def device(told: Json) -> Json:
    """One terminal."""
    made: Json = {key: told[key] for key in SAME if told.get(key)}
    if told.get("comm_key"):
        made["comm_key"] = told["comm_key"]
    if told.get("attendance"):
        made["attendance"] = "live"
    if told.get("door"):
        made["door"] = {"enabled": True}
    return made


def broker(options: Json) -> Json:
    """The broker that the options name, else the one that the supervisor knows."""
    if options.get("mqtt_host"):
        told = {key: options.get(f"mqtt_{key}") for key in ("host", "port", "username", "password")}
        tls = bool(options.get("mqtt_tls"))
    else:
        told = service()
        tls = bool(told.get("ssl"))
    made: Json = {key: told[key] for key in ("host", "port", "username", "password") if told.get(key)}
    if tls:
        made["tls"] = {}
    if options.get("base_topic"):
        made["base_topic"] = options["base_topic"]
    return made


def service() -> Json:
    """The MQTT service, as the supervisor tells it to an add-on that asks for `mqtt`."""
    url = os.environ.get("SUPERVISOR_URL", "http://supervisor") + "/services/mqtt"
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ.get('SUPERVISOR_TOKEN', '')}"})  # noqa: S310 - the supervisor's address
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:  # noqa: S310 - as above
            told: Json = json.load(answer)["data"]
    except (OSError, ValueError, KeyError) as error:
        why = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error)
        fail(f"the supervisor names no MQTT broker ({why}): install the Mosquitto add-on, or set mqtt_host")
    return told


def fail(why: str) -> NoReturn:
    """End with one sentence in the add-on's log."""
    sys.exit(f"zkbridge: {why}")


if __name__ == "__main__":
    main()
