"""zk-sdk, which wraps a copy of pyzk: zk_sdk_client.py MODULE HOST PORT tcp|udp KEY."""

from __future__ import annotations

import sys
from datetime import datetime
from importlib import import_module
from typing import Any

from operations import Operations

MODULE, HOST, PORT, WAY, KEY = sys.argv[1:]
WHEN = datetime(2031, 5, 6, 7, 8, 9)  # noqa: DTZ001  a terminal knows no zone


def users(client: Any) -> dict[str, Any]:
    table = client.list_users()
    return {"count": len(table), "uid": table[-1].uid, "user_id": table[-1].user_id, "name": table[-1].name}


def attendance(client: Any) -> dict[str, Any]:
    log = client.get_attendance()
    first = min(log, key=lambda row: row.timestamp)
    return {
        "count": len(log),
        "user_id": first.user_id,
        "time": first.timestamp.isoformat(),
        "state": int(first.punch),
    }


def sizes(client: Any) -> dict[str, int]:
    capacity = client.get_capacity()
    return {"users": capacity.users, "records": capacity.records}


def main() -> None:
    done = Operations()
    options = {"ommit_ping": True, "force_udp": WAY == "udp", "timeout": 8, "password": int(KEY)}
    client = import_module(MODULE).ZKClient(HOST, port=int(PORT), **options)
    done.attempt("connect", lambda: bool(client.connect()))
    done.attempt("serial number", lambda: client.get_info().serial_number)
    done.attempt("sizes", lambda: sizes(client))
    done.attempt("clock", lambda: client.get_time().isoformat())
    done.attempt("users", lambda: users(client))
    done.attempt("attendance", lambda: attendance(client))
    done.attempt("write user", lambda: client.add_user(uid=200, name="Ana", user_id="2200", card=7) and None)
    done.attempt("delete user", lambda: client.delete_user(user_id="1002"))
    done.attempt("unlock", lambda: bool(client.unlock_door(3)))
    done.attempt("set the clock", lambda: client.set_time(WHEN))
    done.attempt("disconnect", client.disconnect)
    done.finish()


main()
