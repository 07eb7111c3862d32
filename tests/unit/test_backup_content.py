"""What a file of a backup may hold: what a terminal can have told, and nothing else."""

import base64
import json
from typing import Any

import pytest

from zkbridge.commands.api.backups import BackupDamaged
from zkbridge.commands.backup_content import parsed

FINGER: dict[str, Any] = {"index": 1, "flag": 1, "template": base64.b64encode(b"template").decode()}
USER: dict[str, Any] = {
    "user_id": "7",
    "name": "Ana",
    "password": "1234",
    "privilege": 14,
    "card": 0xFFFFFFFF,
    "group": 255,
    "record": "",
    "encoding": "cp1252",
    "fingers": [FINGER],
    "valid_from": "2030-01-31T08:00:00",
    "valid_until": None,
}


def content(**user: Any) -> bytes:
    """A backup of this user with other fields."""
    whole = {"device_id": "p", "serial_number": "1", "made_at": "", "algorithm": "10", "users": [{**USER, **user}]}
    return json.dumps(whole).encode()


def test_what_a_terminal_has_sent_is_read() -> None:
    (user,) = parsed("b", content()).users

    assert (user.user_id, user.card, user.valid_from, len(user.fingers)) == ("7", 0xFFFFFFFF, "2030-01-31T08:00:00", 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("privilege", value) for value in (-1, 256, None)),
        *(("card", value) for value in (-1, 1 << 32, 1.5)),
        *(("group", value) for value in (-1, 256)),
        *(("record", value) for value in ("%%%", "AAA", "\x00", None)),
        *(("encoding", value) for value in ("klingon", "base64", "../../x", "\x00", "")),
        *(
            (end, value)
            for end in ("valid_from", "valid_until")
            for value in ("xxx", "", "\x00", "1999-12-31T00:00:00")
        ),
        ("valid_until", "2030-01-31T08:00:00+00:00"),
        ("fingers", [{**FINGER, "index": -1}]),
        ("fingers", [{**FINGER, "index": 256}]),
        ("fingers", [{**FINGER, "flag": 256}]),
        ("fingers", [{**FINGER, "template": "%%%"}]),
        ("fingers", [{**FINGER, "template": base64.b64encode(bytes(65_536)).decode()}]),
    ],
)
def test_what_no_terminal_can_have_sent_is_damaged(field: str, value: object) -> None:
    with pytest.raises(BackupDamaged):
        parsed("b", content(**{field: value}))
