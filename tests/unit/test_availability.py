"""Which terminals answer, and what is published of that, without a broker."""

import json
from typing import Any

import pytest

from zkbridge.bridge.availability import Availability
from zkbridge.contract.messages import Publication
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import Topics
from zkbridge.worker.places import Places

TOPIC = Topics("zk").availability("p")


class Site:
    """An availability, and what it has published: the state in each message, "" for a cleared one."""

    def __init__(self) -> None:
        self.published: list[Publication] = []
        mqtt: Any = self
        self.availability = Availability(Topics("zk"), mqtt, Places())

    def publish(self, token: None, publication: Publication) -> None:
        assert token is None
        assert (publication.topic, publication.retain) == (TOPIC, True)
        self.published.append(publication)

    @property
    def states(self) -> list[str]:
        return [state_of(each) for each in self.published]


def state_of(publication: Publication) -> str:
    return json.loads(publication.payload)["state"] if publication.payload else ""


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    ("notes", "states"),
    [
        ([None], ["online"]),
        ([None, None], ["online"]),
        (["away"], ["offline"]),
        (["away", "away"], ["offline"]),
        (["away", "busy"], ["offline", "offline"]),
        ([None, "away", None], ["online", "offline", "online"]),
    ],
)
def test_a_state_is_published_where_it_is_new(site: Site, notes: list[str | None], states: list[str]) -> None:
    for reason in notes:
        site.availability.note("p", reason)

    assert site.states == states
    assert [state_of(each) for each in site.availability.retained()] == states[-1:]


@pytest.mark.parametrize(("notes", "online", "seen"), [([], None, False), ([None], True, True), (["x"], False, False)])
def test_what_is_known_of_a_terminal(site: Site, notes: list[str | None], online: bool | None, seen: bool) -> None:
    for reason in notes:
        site.availability.note("p", reason)

    known = site.availability.of("p")
    assert (known.online, known.seen_at is not None) == (online, seen)


def test_a_terminal_that_went_away_was_still_seen(site: Site) -> None:
    site.availability.note("p", None)
    site.availability.note("p", "away")

    known = site.availability.of("p")
    assert known.online is False
    assert known.seen_at is not None


def test_a_removed_device_is_cleared_and_stays_so_on_the_next_connect(site: Site) -> None:
    site.availability.note("p", None)
    site.availability.forget("p")

    assert site.states == ["online", ""]
    assert [state_of(each) for each in site.availability.retained()] == [""]
    assert site.availability.of("p").online is None


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize(
    ("reason", "is_probed", "states"),
    [
        (None, True, ["online", "offline"]),
        (None, False, ["online", ""]),
        ("away", True, ["offline"]),
        ("away", False, ["offline"]),
    ],
    ids=["online, probed", "online, not probed", "offline, probed", "offline, not probed"],
)
def test_after_a_clean_stop_no_device_is_online(
    site: Site, reason: str | None, is_probed: bool, states: list[str], language: Language
) -> None:
    site.availability.note("p", reason)

    site.availability.publish_stopped(language, lambda _: is_probed)

    assert site.states == states
    assert site.availability.of("p").online is False
