"""`zkbridge backup`, `backups` and `restore`: the commands of backups by shorter names, and a restore's difference."""

from __future__ import annotations

import click

from zkbridge.cli.output import columns, say
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.texts import shown

#: Shorter names of commands.
SHORT = {"backup": "device/backup", "backups": "device/backups", "restore": "device/restore"}
_HEADS = ("user_id", "difference", "with --apply", "with --apply --replace")
#: By the list in which a user is: what is different, and what a restore does about it.
_MEANINGS = {
    "added": ("is not on the terminal", "added", "added"),
    "completed": ("lacks fingers", "fingers added", "fingers added"),
    "changed": ("has another record or finger", "", "written over"),
    "extra_fingers": ("has fingers beside", "", "these fingers deleted"),
    "unfit": ("does not fit this terminal", "refused", "refused"),
    "extra": ("is not in the backup", "", "deleted"),
}


def tell_difference(answer: JsonObject) -> bool:
    """Print what a restore would do, a line for each user; whether the answer has that."""
    data = answer.get("data")
    if answer.get("code") != "compared" or not isinstance(data, dict):
        return False
    where = "the same terminal" if data.get("same_terminal") else "another terminal"
    say(f"Backup {_plain(data.get('backup'))}, {where} {_plain(data.get('device_id'))}")
    rows = _rows(data)
    if rows:
        say("", *columns([_HEADS, *rows]), "")
    say(f"Users who are the same: {_plain(data.get('unchanged'))}")
    say("Nothing was written." + " Add --apply to write." * bool(rows))
    return True


def _rows(data: JsonObject) -> list[tuple[str, ...]]:
    """A user who is in several lists has one line."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for kind, meaning in _MEANINGS.items():
        for user_id in data.get(kind) or ():
            found.setdefault(str(user_id), []).append(meaning)
    return [
        (shown(user_id, 64), *(", ".join(filter(None, each)) or "left as it is" for each in zip(*lists, strict=True)))
        for user_id, lists in found.items()
    ]


def _plain(value: object) -> str:
    return shown(str(value), 100)


def short_commands(found: dict[str, click.Command]) -> dict[str, click.Command]:
    """The commands by their shorter names, from those by their own."""
    short = {}
    for name, whole in SHORT.items():
        group, _, rest = whole.partition("/")
        device = found[group]
        assert isinstance(device, click.Group)
        made = device.commands[rest]
        short[name] = click.Command(
            name, params=made.params, callback=made.callback, help=made.help, epilog=made.epilog
        )
    return short
