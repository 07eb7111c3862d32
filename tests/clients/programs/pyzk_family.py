"""pyzk or a package made of it: pyzk_family.py MODULE HOST PORT tcp|udp KEY."""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime
from importlib import import_module
from typing import Any

from operations import Operations, ready

MODULE, HOST, PORT, WAY, KEY = sys.argv[1:]
WHEN = datetime(2031, 5, 6, 7, 8, 9)  # noqa: DTZ001  a terminal knows no zone
Finger = import_module(f"{MODULE}.finger").Finger


def users(client: Any) -> dict[str, Any]:
    table = client.get_users()
    return {"count": len(table), "uid": table[-1].uid, "user_id": table[-1].user_id, "name": table[-1].name}


def attendance(client: Any) -> dict[str, Any]:
    log = client.get_attendance()
    return {"count": len(log), "user_id": log[0].user_id, "time": log[0].timestamp.isoformat(), "state": log[0].punch}


def sizes(client: Any) -> dict[str, int]:
    client.read_sizes()
    return {"users": client.users, "records": client.records}


def template(client: Any) -> str:
    return hashlib.sha256(client.get_user_template(uid=1, temp_id=3).template).hexdigest()


def templates(client: Any) -> list[list[int]]:
    return [[finger.uid, finger.fid, len(finger.template)] for finger in client.get_templates()]


def write_template(client: Any) -> None:
    held = client.get_user_template(uid=1, temp_id=3)
    first = client.get_users()[0]
    client.save_user_template(first, [Finger(1, 4, 1, held.template)])


def punch(client: Any) -> dict[str, str]:
    live = client.live_capture(new_timeout=8)
    # The generator registers on its first step; pyzk has no other way to say when it listens.
    ready()
    seen = next(live)
    client.end_live_capture = True
    list(live)
    return {"user_id": seen.user_id, "time": seen.timestamp.isoformat()}


def main() -> None:
    done = Operations()
    options = {"timeout": 8, "ommit_ping": True, "force_udp": WAY == "udp", "password": int(KEY)}
    client = import_module(MODULE).ZK(HOST, port=int(PORT), **options)
    done.attempt("connect", lambda: bool(client.connect()))
    done.attempt("serial number", client.get_serialnumber)
    done.attempt("platform", client.get_platform)
    done.attempt("firmware", client.get_firmware_version)
    done.attempt("sizes", lambda: sizes(client))
    done.attempt("clock", lambda: client.get_time().isoformat())
    done.attempt("disable", lambda: bool(client.disable_device()))
    done.attempt("users", lambda: users(client))
    done.attempt("attendance", lambda: attendance(client))
    done.attempt("template", lambda: template(client))
    done.attempt("templates", lambda: templates(client))
    done.attempt("write template", lambda: write_template(client))
    done.attempt("write user", lambda: client.set_user(uid=200, name="Ana", user_id="2200", card=7))
    done.attempt("delete user", lambda: client.delete_user(uid=2))
    done.attempt("enable", lambda: bool(client.enable_device()))
    # Before the enrolment, which ends with a registration for nothing.
    done.attempt("punch", lambda: punch(client))
    done.attempt("enrol", lambda: bool(client.enroll_user(uid=3, temp_id=5, user_id="1003")))
    done.attempt("unlock", lambda: bool(client.unlock(time=3)))
    done.attempt("set the clock", lambda: bool(client.set_time(WHEN)))
    done.attempt("disconnect", lambda: bool(client.disconnect()))
    done.finish()


main()
