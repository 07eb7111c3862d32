"""How Home Assistant shows the commands that look whether a terminal answers."""

from __future__ import annotations

from zkbridge.commands.api.registry import Button

#: One button for both: it asks for `info`, or for `ping` where the policy allows only that.
CHECK = Button("check", ("Comprobar conexión", "Check connection"), "mdi:lan-check", diagnostic=True, while_away=True)
