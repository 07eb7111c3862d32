"""Everybody on a terminal, as pyzk and its like or essl-f22-sdk read them: people.py MODULE HOST PORT tcp|udp KEY."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import import_module
from typing import Any

MODULE, HOST, PORT, WAY, KEY = sys.argv[1:]


def read_by_pyzk() -> list[dict[str, Any]]:
    options = {"timeout": 8, "ommit_ping": True, "force_udp": WAY == "udp", "password": int(KEY)}
    client = import_module(MODULE).ZK(HOST, port=int(PORT), **options).connect()
    fingers = client.get_templates()
    people = [
        {
            **_fields(user),
            **(
                {"blocked": bool(user.is_disabled())} if hasattr(user, "is_disabled") else {}
            ),  # pyzk 0.9 has no word for it
            "fingers": {str(one.fid): [one.valid, digest(one.template)] for one in fingers if one.uid == user.uid},
        }
        for user in client.get_users()
    ]
    client.disconnect()
    return people


def read_by_essl() -> list[dict[str, Any]]:
    client = import_module(MODULE).Device(HOST, int(PORT), timeout=8, comm_key=int(KEY))
    client.connect()
    people = [_fields(user) for user in client.list_users()]
    client.close()
    return people


def _fields(user: Any) -> dict[str, Any]:
    return {name: getattr(user, name) for name in ("uid", "user_id", "name", "password", "privilege", "card")}


def digest(template: bytes) -> str:
    return hashlib.sha256(template).hexdigest()


sys.stdout.write(f"\nRESULT {json.dumps({'people': read_by_essl() if MODULE == 'essl_f22' else read_by_pyzk()})}\n")
