"""`mosquitto_sub -t 'zk/#'` by MQTT 3.1.1 was cut off by the demo's broker at the first reply, without a word.

Source: attack on 7bb949d, 2026-11
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.caller import Caller
from tests.support.waiting import wait_until

ASKED = {"user_id": "7", "name": "Eva"}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A demo as it comes, until the test is over: its output, and its port."""
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-u", "-m", "zkbridge", "demo", "--port", "0"], log=log)
    wait_until(lambda: "Ctrl-C ends the demo" in log.read_text(), timeout=60, what="the demo's invitation")
    text = log.read_text()
    yield text, int(text.partition(" on 127.0.0.1:")[2].partition(",")[0])
    assert processes.stop(process) == 0


def test_a_3_1_1_subscriber_of_everything_stays_and_gets_the_reply(demo: tuple[str, int]) -> None:
    text, port = demo
    with Caller(port, "3.1.1", reconnect=False) as old, Caller(port) as new:
        for each in ("zk/#", "zk/replies/me"):
            old.subscribe(each)
        new.publish("zk/principal/users/create", ASKED, response_topic="zk/replies/me", correlation_data=b"c")
        assert old.wait_for("zk/replies/me").json["code"] == "created"

    assert old.disconnections in ([], [0])
    assert "Broker Mosquitto on 127.0.0.1" in text
    assert "iotcore" not in text


def test_with_iotcore_it_prints_that_clients_must_use_mqtt_5() -> None:
    words = [sys.executable, "-m", "zkbridge", "demo", "--once", "--port", "0", "--broker-kind", "iotcore"]

    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    assert "Broker iotcore on 127.0.0.1" in said
    assert "iotcore cuts off a client that speaks MQTT 3.1.1" in said
    assert "use MQTT 5 (-V 5)" in said
