"""essl-f22-sdk, by TCP: essl_f22_client.py MODULE HOST PORT tcp KEY."""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime
from importlib import import_module
from typing import Any

from operations import Operations

MODULE, HOST, PORT, _, KEY = sys.argv[1:]
WHEN = datetime(2031, 5, 6, 7, 8, 9)  # noqa: DTZ001  a terminal knows no zone
essl = import_module(MODULE)


def users(client: Any) -> dict[str, Any]:
    table = client.list_users()
    return {"count": len(table), "uid": table[-1].uid, "user_id": table[-1].user_id, "name": table[-1].name}


def attendance(client: Any) -> dict[str, Any]:
    log = client.list_attendance()
    return {
        "count": len(log),
        "user_id": log[0].user_id,
        "time": log[0].timestamp.isoformat(),
        "state": int(log[0].punch),
    }


def sizes(client: Any) -> dict[str, int]:
    told = client.get_free_sizes()
    return {"users": told.users, "records": told.attendance}


def zone(client: Any) -> bool:
    wanted = essl.TimeZone(48, tuple(essl.DayInterval(8, day, 17, 37) for day in range(7)))
    client.set_timezone(wanted)
    return bool(client.get_timezone(48) == wanted)


def group(client: Any) -> bool:
    wanted = essl.GroupInfo(77, 8, 7, 6, 14, holiday_enabled=True)
    client.set_group(wanted)
    return bool(client.get_group(77) == wanted)


def main() -> None:
    done = Operations()
    client = essl.Device(HOST, int(PORT), timeout=8, comm_key=int(KEY))
    done.attempt("connect", lambda: bool(client.connect()))
    done.attempt("serial number", client.get_serial_number)
    done.attempt("sizes", lambda: sizes(client))
    done.attempt("clock", lambda: client.get_time().isoformat())
    done.attempt("users", lambda: users(client))
    done.attempt("attendance", lambda: attendance(client))
    done.attempt("template", lambda: hashlib.sha256(client.get_user_fingerprints(1)[0].template).hexdigest())
    done.attempt("write user", lambda: client.set_user(essl.User(200, "2200", "Ana", card=7)))
    done.attempt("delete user", lambda: client.delete_user(2))
    done.attempt("time zone", lambda: zone(client))
    done.attempt("group", lambda: group(client))
    done.attempt("set the clock", lambda: client.set_time(WHEN))
    done.attempt("disconnect", client.close)
    done.finish()


main()
