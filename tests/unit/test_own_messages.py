"""The bridge's messages about itself, and which that come back are its own: tables, without a broker."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from zkbridge.bridge.own_messages import OwnMessages
from zkbridge.contract.topics import Topics
from zkbridge.telemetry.snapshot import BridgeSnapshot, Terminal

TOPICS = Topics("zk")


class Link:
    """What OwnMessages asks of the connection, and what it was told."""

    def __init__(self) -> None:
        self.number, self.protocol = 7, "5"
        self.heard: list[object] = []

    def heard_health(self, connection: object) -> None:
        self.heard.append(connection)


class Site:
    """Own messages of a bridge with one device and one group."""

    def __init__(self) -> None:
        self.link: Any = Link()
        config = SimpleNamespace(devices={"p": None}, groups={"all": ["p"]})
        current: Any = SimpleNamespace(topics=TOPICS, config=config, commands={"ping": None})
        self.messages = OwnMessages(current, self.link)


@pytest.fixture
def site() -> Site:
    return Site()


def test_each_run_has_a_name_of_its_own() -> None:
    assert Site().messages.instance != Site().messages.instance


@pytest.mark.parametrize("state", ["online", "offline"])
def test_the_state_is_retained_and_names_the_run(site: Site, state: str) -> None:
    publication = site.messages.state(state)

    assert (publication.topic, publication.retain) == (TOPICS.state, True)
    assert json.loads(publication.payload) == {"state": state, "instance": site.messages.instance}


def test_the_info_is_retained_and_lists_what_can_be_asked(site: Site) -> None:
    publication = site.messages.info()

    body = json.loads(publication.payload)
    assert (publication.topic, publication.retain) == (TOPICS.info, True)
    assert (body["devices"], body["groups"], body["commands"]) == (["p"], {"all": ["p"]}, ["ping"])
    assert (body["protocol"], body["instance"]) == ("5", site.messages.instance)


@pytest.mark.parametrize(
    ("topic", "body", "heard"),
    [
        (TOPICS.health, {"instance": "mine", "connection": 7}, [7]),
        (TOPICS.health, {"instance": "mine", "connection": 6}, [6]),
        (TOPICS.health, {"instance": "mine"}, [None]),
        (TOPICS.health, {"instance": "another", "connection": 7}, []),
        (TOPICS.health, {"connection": 7}, []),
        (TOPICS.state, {"instance": "mine", "connection": 7}, []),
        (TOPICS.health, None, []),
    ],
)
def test_only_the_health_of_this_run_counts_for_the_link(
    site: Site, topic: str, body: dict[str, Any] | None, heard: list[object]
) -> None:
    site.messages.instance = "mine"

    site.messages.note_health(topic, b"no JSON" if body is None else json.dumps(body).encode())

    assert site.link.heard == heard


@pytest.mark.parametrize(
    ("topic", "body", "is_late"),
    [
        (TOPICS.state, {"state": "offline", "instance": "an earlier one"}, True),
        (TOPICS.state, {"state": "offline"}, True),
        (TOPICS.state, {"state": "offline", "instance": "mine"}, False),
        (TOPICS.state, {"state": "online", "instance": "an earlier one"}, False),
        (TOPICS.health, {"state": "offline", "instance": "an earlier one"}, False),
        (TOPICS.state, None, False),
    ],
)
def test_the_last_will_of_an_earlier_run_is_recognised(
    site: Site, topic: str, body: dict[str, Any] | None, is_late: bool
) -> None:
    site.messages.instance = "mine"

    assert site.messages.is_late_will(topic, b"no JSON" if body is None else json.dumps(body).encode()) is is_late


@pytest.mark.parametrize(
    ("backups", "age"), [([], None), ([100.0], 100), ([100.0, 7000.0], 7000), ([100.0, None], None), ([-50.0], 0)]
)
def test_the_health_has_the_highest_age_of_a_latest_backup(
    site: Site, monkeypatch: pytest.MonkeyPatch, backups: list[float | None], age: int | None
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_900_000_000.0)
    terminals = tuple(
        Terminal("p", 0, True, None, False, overdue_dates=1, backup_at=None if each is None else 1_900_000_000.0 - each)
        for each in backups
    )
    snapshot = BridgeSnapshot("1", 0.0, True, 0, (), 1000, terminals, None)

    body = json.loads(site.messages.health(snapshot, refused=()).payload)

    assert (body["backup_age_s"], body["dates_overdue"]) == (age, len(backups))
