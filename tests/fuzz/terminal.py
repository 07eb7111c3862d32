"""The half of `make fuzz` about terminals."""

from __future__ import annotations

from tests.fuzz.half import Half
from tests.fuzz.terminal_property import EXAMPLES, holds
from tests.fuzz.terminal_site import terminal_site

TERMINAL = Half("terminal", terminal_site, EXAMPLES, holds)
