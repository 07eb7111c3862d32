"""A list larger than the broker's packets got no answer at all, or ended the connection again and again.

Source: attack on 7bb949d, 2026-11
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.strict_broker import StrictBroker
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

LIST = "users/list"


@contextmanager
def bridge(folder: Path, port: int, base: str, **mqtt: Any) -> Iterator[Daemon]:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        for number in range(1, 201):
            terminal.add_user(str(number), f"Persona {number}")
        mqtt = {"base_topic": base, **mqtt}
        with Daemon(folder / "d", port, {"p": device(terminal)}, language="en", mqtt=mqtt, covered=False) as daemon:
            yield daemon


def test_a_list_is_cut_to_the_packets_that_connack_announces(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "m", max_packet_size=4000) as broker,
        bridge(tmp_path, broker.port, "zk") as daemon,
        Caller(broker.port) as caller,
    ):
        caller.subscribe("zk/p/users/list/reply")
        offset, found = 0, []
        while offset is not None:
            caller.publish("zk/p/users/list", {"offset": offset})
            reply = caller.wait_for("zk/p/users/list/reply").json
            found += [row["user_id"] for row in reply["data"]]
            offset = reply.get("next_offset")

        assert found == [str(n) for n in range(1, 201)]
        assert daemon.log.count(" connected to ") == 1


@pytest.mark.parametrize("request_id", ["r-1", None])
def test_a_reply_that_mosquitto_refuses_is_replaced_by_reply_too_large(tmp_path: Path, request_id: str | None) -> None:
    with (
        Mosquitto(tmp_path / "m", message_size_limit=2000) as broker,
        bridge(tmp_path, broker.port, "zk") as daemon,
        Caller(broker.port) as caller,
    ):
        caller.subscribe("zk/replies/me")
        payload = {} if request_id is None else {"request_id": request_id}
        caller.publish("zk/p/users/list", payload, response_topic="zk/replies/me", correlation_data=b"c")
        reply = caller.wait_for("zk/replies/me")

        assert reply.correlation_data == b"c"
        assert dict(reply.user_properties)["code"] == "reply_too_large"
        assert reply.json.pop("error").startswith("The reply has ")
        body = reply.json
        assert (body["success"], body["status"], body["code"]) == (False, 500, "reply_too_large")
        assert body["reply"] == {"success": True, "status": 200, "code": "ok"}
        assert body.get("request_id") == request_id
        wait_until(lambda: "reply_too_large is sent instead" in daemon.log)
        assert daemon.log.count(" connected to ") == 1


def test_a_reply_at_which_the_broker_closes_is_replaced_after_some_tries(
    tmp_path: Path, shared_broker: Mosquitto
) -> None:
    """MQTT 3.1.1, where no CONNACK and no PUBACK can tell: AWS IoT Core closes at 128 KiB."""

    def closes_at(_topic: str, size: int) -> bool:
        return size > 5000

    with (
        StrictBroker(shared_broker.port, closes_at=closes_at) as proxy,
        bridge(tmp_path, proxy.port, "closing", protocol="3.1.1"),
        Caller(shared_broker.port) as caller,
    ):
        caller.subscribe("closing/p/#")
        caller.publish("closing/p/users/list", {"request_id": "r-1"})
        reply = caller.wait_for("closing/p/users/list/reply", timeout=60).json
        assert (reply["code"], reply["request_id"]) == ("reply_too_large", "r-1")

        caller.publish("closing/p/users/list", {"limit": 20})
        assert len(caller.wait_for("closing/p/users/list/reply", timeout=60).json["data"]) == 20
