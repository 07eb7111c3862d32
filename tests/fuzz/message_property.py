"""Whatever arrives by MQTT, each message is answered once, at its address, in time, and the tables are as answered."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.fuzz.message_grammar import messages
from tests.fuzz.message_site import MessageSite
from tests.support.raw_mqtt import RawMessage

#: Messages that are sent without a pause and answered together: some 12, and as few as one where fewer suffice to fail.
BATCHES = st.tuples(*[st.lists(messages(), max_size=8)] * 4).map(
    lambda parts: [each for part in parts for each in part]
)


def holds(site: MessageSite, batch: Sequence[RawMessage]) -> None:
    """One batch, and an honest request beside it. Raises AssertionError."""
    try:
        site.send(batch)
    except AssertionError:
        site.begin_again()
        raise
