"""More requests, more terminals, and a dead one among them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.frames import ALWAYS
from tests.faults.site import Site, new_site, new_terminal
from tests.support.caller import Caller
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import Simulator

#: Megabytes that a burst may cost: its queue and its answers are on disk.
BURST_MB = 60
PATIENT_S = 110


@pytest.fixture
def patient_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto that keeps whatever waits for somebody."""
    with Mosquitto(tmp_path / "mosquitto", extra=["max_queued_messages 0"]) as broker:
        yield broker


def _burst(caller: Caller, messages: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Publish without waiting for the broker in between."""
    for topic, body in messages:
        caller._client.publish(topic, json.dumps(body), 1)


def _memory_mb(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("requests", "limit"),
    [(1500, 300), pytest.param(5000, 1000, marks=pytest.mark.slow)],
)
def test_a_burst_over_the_limit_is_answered_to_the_last_request_in_bounded_memory(
    tmp_path: Path, patient_broker: Mosquitto, requests: int, limit: int
) -> None:
    more = {"queue_limit": limit}
    with new_site(tmp_path, patient_broker.port, **more) as site, site.caller() as caller:
        site.terminal.switches.user_capacity = requests + 10
        site.terminal.latency = 0.02  # a real one has 0.1: the queue fills up
        site.daemon.start()
        before = _memory_mb(site.daemon.pid, "VmRSS")
        users = [{"user_id": str(10_000 + n), "name": "Ana", "request_id": f"r-{n}"} for n in range(requests)]

        _burst(caller, ((site.topic(), user) for user in users))
        site.wait(lambda: len(site.heard(caller)) >= requests, f"{requests} answers", 240)

        answers = {answer.json["request_id"]: answer.json for answer in site.heard(caller)}
        assert answers.keys() == {user["request_id"] for user in users}
        codes = Counter(answer["code"] for answer in answers.values())
        assert codes.keys() == {"created", "busy"}, codes
        assert codes["created"] >= limit
        assert all(answer["retry_after_s"] >= 1 for answer in answers.values() if answer["code"] == "busy")
        created = {answer["data"]["user_id"] for answer in answers.values() if answer["success"]}
        held = [user.user_id for user in site.terminal.users() if int(user.user_id) >= 10_000]
        assert sorted(held) == sorted(created)
        assert _memory_mb(site.daemon.pid, "VmHWM") - before < BURST_MB
        site.settle(caller, requests)
        busy = next(user for user in users if answers[user["request_id"]]["code"] == "busy")
        caller.publish(site.topic(), busy)
        assert site.settle(caller, requests + 1)[-1].json["code"] == "created"
        site.check(busy)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_terminals_are_served_at_once(tmp_path: Path, patient_broker: Mosquitto, count: int) -> None:
    more = {"device": {"timeout": 20}, "retry": {"deadline": 60}}
    site = Site(tmp_path, patient_broker.port, {}, more=more)
    # The caller first: paho selects, and cannot with the descriptors that are left by so many terminals.
    with site.caller() as caller, Simulator() as simulator:
        site.terminals = {f"t{number}": new_terminal(simulator) for number in range(count)}
        with site.make_daemon():
            requests = {name: site.user() for name in site.terminals}

            _burst(caller, ((site.topic(name), request) for name, request in requests.items()))

            answers = site.settle(caller, count, timeout=300)
            assert Counter(answer.json["code"] for answer in answers) == {"created": count}
            assert {answer.json["data"]["device_id"] for answer in answers} == site.terminals.keys()
            site.check(*requests.values())


def test_a_dead_terminal_with_a_full_queue_costs_the_others_nothing(tmp_path: Path, patient_broker: Mosquitto) -> None:
    names = ["dead", "one", "two", "three"]
    with Simulator() as simulator:
        terminals = {name: new_terminal(simulator) for name in names}
        terminals["dead"].faults.add("CONNECT", "before", "silence", count=ALWAYS)
        limit = 50
        site = Site(tmp_path, patient_broker.port, terminals, more={"queue_limit": limit})
        with site.daemon, site.caller() as caller:
            _burst(caller, ((site.topic("dead"), site.user()) for _ in range(limit)))
            site.wait(lambda: site.query("SELECT count(*) FROM requests") == [(limit,)], "a full queue", 30)
            requests = [(name, site.user()) for _ in range(10) for name in names[1:]]

            _burst(caller, ((site.topic(name), request) for name, request in requests))
            answers = site.settle(caller, limit + len(requests), timeout=PATIENT_S)

            order = [answer.topic.split("/")[1] for answer in answers]
            assert "dead" not in order[: len(requests)], order
            told = Counter((answer.topic.split("/")[1] == "dead", answer.json["code"]) for answer in answers)
            assert told == {(False, "created"): len(requests), (True, "device_timeout"): limit}
            site.check(*(request for _, request in requests))
