"""Some hundred examples of each half with every run of the tests; `make fuzz` is the long one."""

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.fuzz import message_property
from tests.fuzz.message_property import BATCHES
from tests.fuzz.message_site import MessageSite, message_site
from tests.fuzz.proxy import Mutation
from tests.fuzz.tables import Table
from tests.fuzz.terminal_property import EXAMPLES, holds
from tests.fuzz.terminal_site import TerminalSite, terminal_site
from tests.support.hostile_terminal import LOG, USERS
from tests.support.mosquitto import Mosquitto

#: A user of 28 bytes: more of them than there are uids take fewer bytes than 65,535 users of 72.
USER = struct.pack("<HB5s8sIxBHI", 1, 0, b"", b"Ana", 0, 1, 0, 1001)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[TerminalSite]:
    with terminal_site(tmp_path_factory.mktemp("fuzz") / "d", shared_broker.port) as site:
        yield site


@pytest.fixture(scope="module")
def message_bridge(tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto) -> Iterator[MessageSite]:
    with message_site(tmp_path_factory.mktemp("fuzz") / "m", shared_broker.port) as site:
        yield site


#: Batches of some 12 messages: two thousand messages in all.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # it would hide what failed
@settings(max_examples=175, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(batch=BATCHES)
def test_whatever_arrives_is_answered_once_in_time_and_the_tables_are_as_answered(
    message_bridge: MessageSite, batch: Any
) -> None:
    message_property.holds(message_bridge, batch)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(example=EXAMPLES)
@example(("users/list", [Mutation(frame=1, kind="grow", place=0, value=19_999_999)]))
@example(("users/list", [Mutation(frame=1, kind="flood", place=1)]))
@example(("users/list", [Mutation(frame=2, kind="flood", place=0)]))
@example(Table(LOG, bytes(64_000_000), 64_000_000, 1_600_000))
@example(Table(USERS, USER * 100_000, 2_800_000, 100_000))
def test_whatever_a_terminal_sends_the_answer_is_one_in_time_and_true(site: TerminalSite, example: Any) -> None:
    holds(site, example)
