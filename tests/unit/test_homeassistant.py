"""What stands at the broker for Home Assistant: said on every connect and change, taken away when it is over."""

import json
from collections.abc import Callable, Hashable
from typing import Any

import pytest

from zkbridge.commands import Button, commands
from zkbridge.config.models import Config
from zkbridge.contract.messages import Publication
from zkbridge.homeassistant.publisher import HomeAssistant, own_filters, watched_topics
from zkbridge.homeassistant.retained_topics import TAKEN_S
from zkbridge.telemetry.events import Counted, Created, DoorAnswered, DoorAsked, Identified

CONFIG = "homeassistant/device/zkbridge_zk/{}/config"


class Rest:
    """The rest of a daemon, as far as Home Assistant's part needs it; jobs are run when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.facts: dict[Any, Any] = {}
        self.published: list[Any] = []
        self.jobs: dict[Any, Any] = {}
        self.taken = True

    def part(self, devices: tuple[str, str] | list[str] = ("principal", "entrada"), **settings: Any) -> HomeAssistant:
        return HomeAssistant(config(devices, **settings), self, clock=lambda: self.now)

    def recall(self, subject: str, name: str) -> str | None:
        return self.facts.get((subject, name))

    def keep(self, subject: str, name: str, value: str) -> None:
        self.facts[subject, name] = value

    def publish(self, publication: Publication) -> None:
        self.published.append(publication)

    def later(self, key: Hashable, seconds: float, job: Callable[[], float | None]) -> None:
        self.jobs.setdefault(key, (seconds, job))

    def has_taken_all(self) -> bool:
        return self.taken

    def buttons(self) -> list[tuple[str, Button]]:
        return [(name, each.button) for name, each in commands().items() if each.button is not None]

    def run_jobs(self) -> None:
        jobs, self.jobs = self.jobs, {}
        for key, (_seconds, job) in jobs.items():
            again = job()
            if again is not None:
                self.jobs[key] = (again, job)

    def topics(self) -> list[Any]:
        said, self.published = self.published, []
        return [each.topic for each in said]


def config(
    devices: tuple[str, str] | list[str] = ("principal", "entrada"), *, discovery: bool = True, **more: Any
) -> Config:
    listed = {name: {"host": "192.0.2.1"} for name in devices}
    return Config.model_validate({"devices": listed, "homeassistant": {"discovery": discovery}, **more})


def shown(publications: list[Any]) -> dict[Any, Any | None]:
    """Topic by topic what is retained; None is what was cleared."""
    assert all(each.retain for each in publications)
    return {each.topic: json.loads(each.payload) if each.payload else None for each in publications}


@pytest.fixture
def rest() -> Rest:
    return Rest()


def test_where_it_is_off_nothing_is_published_subscribed_or_kept(rest: Rest) -> None:
    part = rest.part(discovery=False)
    part.hear(Counted("principal", 1, 10, 9))
    part.overheard("homeassistant/status", b"online")
    part.reload(config(["principal"], discovery=False))
    part.flush()

    assert part.retained() == []
    assert (watched_topics(config(discovery=False)), own_filters(config(discovery=False))) == ([], [])
    assert (rest.published, rest.jobs, rest.facts) == ([], {}, {})


def test_the_bridge_is_announced_before_the_terminals_that_refer_to_it(rest: Rest) -> None:
    topics = [each.topic for each in rest.part().retained()]

    assert topics == [
        CONFIG.format("bridge"),
        CONFIG.format("principal"),
        CONFIG.format("entrada"),
        "zk/entrada/status",
        "zk/principal/status",
    ]


def test_a_change_is_published_once_and_kept(rest: Rest) -> None:
    part = rest.part()
    part.hear(Counted("principal", 1, 10, 9))
    part.hear(Created("principal", "7"))
    part.hear(Counted("elsewhere", 1, 10, 9))
    assert list(rest.jobs) == [("status", "principal")]

    rest.run_jobs()

    assert [each.topic for each in rest.published] == ["zk/principal/status"]
    (status,) = shown(rest.published).values()
    assert (status["users"], status["last_user"]["user_id"]) == (1, "7")
    assert rest.part().retained()[-1] == rest.published[0]


def test_a_lock_is_published_at_once_and_again_when_its_time_is_over(rest: Rest) -> None:
    part = rest.part()

    def told() -> list[str | None]:
        rest.run_jobs()
        said, rest.published = rest.published, []
        return [json.loads(each.payload)["lock"] for each in said]

    part.hear(DoorAsked("principal"))
    assert [seconds for seconds, _job in rest.jobs.values()] == [0.0]
    assert told() == ["unlocking"]
    part.hear(DoorAnswered("principal", 3, opened=True))
    assert told() == ["unlocked"]
    assert list(rest.jobs) == [("locked", "principal")]
    rest.now += 2
    assert told() == []
    assert [seconds for seconds, _job in rest.jobs.values()] == [1.0]
    rest.now += 1
    assert told() == ["locked"]
    assert rest.jobs == {}


def test_a_terminal_that_has_reported_what_it_is_is_announced_again_once(rest: Rest) -> None:
    part = rest.part()
    for _time in range(2):
        part.hear(Identified("principal", "A8N5184260172", "K40/ID", "Ver 6.60"))
        rest.run_jobs()

    assert [each.topic for each in rest.published] == ["zk/principal/status", CONFIG.format("principal")]
    about = {"model": "K40/ID", "serial_number": "A8N5184260172", "sw_version": "Ver 6.60"}
    assert json.loads(rest.published[1].payload)["device"].items() >= about.items()
    assert shown(rest.part().retained())[CONFIG.format("principal")]["device"].items() >= about.items()


def test_a_change_that_waits_is_published_at_the_end(rest: Rest) -> None:
    part = rest.part()
    part.hear(Created("principal", "7"))
    part.flush()

    assert "zk/principal/status" in rest.topics()


def test_a_birth_is_answered_by_every_announcement_but_not_at_once(rest: Rest) -> None:
    part = rest.part()
    for topic, payload in (("homeassistant/status", b"offline"), ("zk/bridge/state", b"online")):
        part.overheard(topic, payload)
    assert rest.jobs == {}

    part.overheard("homeassistant/status", b"online")
    part.overheard("homeassistant/status", b"online")
    ((seconds, _job),) = rest.jobs.values()
    assert seconds > 0
    rest.run_jobs()

    assert rest.topics() == [CONFIG.format(each) for each in ("bridge", "principal", "entrada")]


def test_a_device_that_goes_is_taken_away_until_the_broker_has_taken_that(rest: Rest) -> None:
    part = rest.part()
    part.reload(config(["principal"]))
    gone = {CONFIG.format("entrada"): None, "zk/entrada/status": None}
    assert shown(rest.published).items() >= gone.items()
    assert set(rest.topics()) >= {CONFIG.format("principal"), "zk/principal/status"}

    rest.run_jobs()
    assert shown(part.retained()).items() >= gone.items(), "the broker was not asked yet"
    rest.now += TAKEN_S
    rest.taken = False
    rest.run_jobs()
    assert shown(part.retained()).items() >= gone.items(), "the broker has not taken it"
    rest.now += TAKEN_S
    rest.taken = True
    rest.run_jobs()

    assert not gone.keys() & shown(part.retained()).keys()
    assert not gone.keys() & shown(rest.part(["principal"]).retained()).keys()


def test_a_device_that_comes_back_meanwhile_stays(rest: Rest) -> None:
    part = rest.part()
    part.reload(config(["principal"]))
    part.reload(config())
    rest.now += TAKEN_S
    rest.run_jobs()

    assert None not in shown(part.retained()).values()
    assert None not in shown(rest.part().retained()).values()
    assert None in shown(rest.part(["principal"]).retained()).values()


@pytest.mark.parametrize(
    ("later", "cleared"),
    [
        ({"discovery": False}, 5),
        ({"devices": ["principal"]}, 2),
        ({"homeassistant": {"discovery": True, "prefix": "ha"}}, 3),
        ({"mqtt": {"base_topic": "planta/zk"}}, 5),
    ],
    ids=["switched off", "a device less", "another prefix", "another base topic"],
)
def test_a_restart_clears_what_an_earlier_run_has_published(rest: Rest, later: dict[str, Any], cleared: int) -> None:
    rest.part()

    after = rest.part(**later)

    assert list(shown(after.retained()).values()).count(None) == cleared
    rest.now += TAKEN_S
    rest.run_jobs()
    assert None not in shown(rest.part(**later).retained()).values()


def test_a_topic_is_noted_before_it_is_published(rest: Rest) -> None:
    """A crash right after the first word must not leave at the broker what nobody knows of."""
    rest.part()

    assert set(rest.facts["homeassistant", "topics"].split()) >= {CONFIG.format("bridge"), "zk/entrada/status"}


def test_no_caller_can_make_the_bridge_publish_to_home_assistant() -> None:
    assert own_filters(config(homeassistant={"discovery": True, "prefix": "ha"})) == ["ha/#"]
