"""The half of `make fuzz` about what arrives by MQTT."""

from __future__ import annotations

from tests.fuzz.half import Half
from tests.fuzz.message_property import BATCHES, holds
from tests.fuzz.message_site import message_site

MESSAGE = Half("message", message_site, BATCHES, holds)
