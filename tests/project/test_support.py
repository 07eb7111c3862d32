"""The test kit is worth no more than what it notices."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support import mosquitto, processes
from tests.support.caller import Caller, Refused
from tests.support.certificates import make_certificates
from tests.support.leftovers import Leftovers
from tests.support.mosquitto import Mosquitto
from tests.support.nursery import Nursery
from tests.support.waiting import wait_until


def test_a_wait_in_vain_names_what_it_waited_for() -> None:
    with pytest.raises(AssertionError, match="in vain for the moon"):
        wait_until(lambda: False, timeout=0.01, what="the moon")


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
def test_a_caller_publishes_and_receives(shared_broker: Mosquitto, protocol: int | str) -> None:
    with Caller(shared_broker.port, protocol) as caller:
        caller.subscribe(f"kit/{protocol}/#")

        caller.publish(f"kit/{protocol}/a", {"name": "Ñandú"})
        caller.publish(f"kit/{protocol}/b", b"\x00\xff", qos=0)
        caller.publish(f"kit/{protocol}/b", b"2", qos=2)

        assert caller.wait_for(f"kit/{protocol}/b").payload == b"\x00\xff"
        assert caller.wait_for(f"kit/{protocol}/b").payload == b"2"
        assert caller.wait_for(f"kit/{protocol}/a").json == {"name": "Ñandú"}
        with pytest.raises(AssertionError, match="in vain for a message to kit/"):
            caller.wait_for(f"kit/{protocol}/a", timeout=0.05)


def test_a_caller_sees_every_property(shared_broker: Mosquitto) -> None:
    with Caller(shared_broker.port) as caller:
        caller.subscribe("kit/properties", retain_as_published=True)

        caller.publish(
            "kit/properties",
            b"{}",
            retain=True,
            response_topic="kit/answer",
            correlation_data=b"\x00\x01",
            content_type="application/json",
            payload_format=1,
            message_expiry_s=60,
            user_properties=[("status", "200"), ("status", "201")],
        )

        message = caller.wait_for(where=lambda message: message.payload)
        assert message.retain
        assert message.response_topic == "kit/answer"
        assert message.correlation_data == b"\x00\x01"
        assert message.content_type == "application/json"
        assert message.payload_format == 1
        assert message.message_expiry == 60
        assert message.user_properties == [("status", "200"), ("status", "201")]


def test_a_caller_on_the_older_protocol_has_no_properties(shared_broker: Mosquitto) -> None:
    with Caller(shared_broker.port, "3.1.1") as caller:
        caller.subscribe("kit/old")
        caller.publish("kit/old", b"1")

        message = caller.wait_for("kit/old")

        assert (message.correlation_data, message.response_topic, message.user_properties) == (None, None, [])
        with pytest.raises(AssertionError, match=r"MQTT 3.1.1 has no ResponseTopic"):
            caller.publish("kit/old", b"1", response_topic="kit/answer")


def test_a_refused_message_raises(tmp_path: Path) -> None:
    acl = "user reader\ntopic read open\n"
    with Mosquitto(tmp_path, users={"reader": "secret"}, acl=acl) as broker:
        with pytest.raises(Refused) as wrong, Caller(broker.port, username="reader", password="wrong"):
            pass
        with (
            Caller(broker.port, username="reader", password="secret") as caller,
            pytest.raises(Refused) as denied,
        ):
            caller.publish("closed", b"1")

    assert wrong.value.reason == 0x87
    assert denied.value.reason == 0x87


def test_a_caller_uses_tls(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    with (
        Mosquitto(tmp_path, tls=certificates) as broker,
        Caller(broker.port, ca_file=certificates.ca) as caller,
    ):
        caller.subscribe("kit/tls")
        caller.publish("kit/tls", b"1")

        assert caller.wait_for("kit/tls").payload == b"1"


def test_a_lost_caller_leaves_its_will_and_comes_back(broker: Mosquitto) -> None:
    with Caller(broker.port) as watcher, Caller(broker.port, will=("kit/will", b"gone")) as caller:
        watcher.subscribe("kit/will")
        caller.subscribe("kit/news")

        caller.drop()

        assert watcher.wait_for("kit/will").payload == b"gone"
        wait_until(lambda: "kit/news" in _subscriptions_after_a_reconnect(caller), what="a new connection")
        watcher.publish("kit/news", b"1")
        assert caller.wait_for("kit/news").payload == b"1"


def _subscriptions_after_a_reconnect(caller: Caller) -> dict[str, SubscribeOptions | int]:
    return caller._filters if caller.disconnections and caller.connected and len(caller._granted) > 1 else {}


def test_a_killed_broker_comes_back_on_its_port_with_what_it_kept(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, persistence=True) as broker:
        port = broker.port
        with Caller(port) as caller:
            caller.publish("kit/kept", b"1", retain=True)
        wait_until((tmp_path / "mosquitto.db").exists, what="the broker to save")

        broker.kill()
        assert not processes.accepts(port)
        broker.restart()

        assert broker.port == port
        with Caller(port) as caller:
            caller.subscribe("kit/kept")
            assert caller.wait_for("kit/kept").retain


def test_a_paused_broker_answers_nothing_until_it_goes_on(broker: Mosquitto) -> None:
    with Caller(broker.port) as caller:
        broker.pause()
        with pytest.raises(AssertionError, match="in vain for PUBACK"):
            caller.publish("kit/pause", b"1", timeout=0.1)

        broker.resume()

        caller.publish("kit/pause", b"2")


def test_a_broker_that_refuses_large_packets_logs_that(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, max_packet_size=200, message_size_limit=50, extra=["log_type all"]) as broker:
        with Caller(broker.port) as caller:
            caller.publish("kit/size", b"x" * 50)
            caller.subscribe("kit/size")
            caller.publish("kit/size", b"x" * 51, qos=0)
            caller.publish("kit/size", b"last", qos=0)
            assert caller.wait_for("kit/size").payload == b"last"

        wait_until(lambda: "Dropped too large PUBLISH" in broker.log, what="the broker to say so")


def test_a_wrong_configuration_shows_the_brokers_own_words(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Unknown configuration variable"):
        Mosquitto(tmp_path, extra=["no_such_key 1"]).start()


def test_a_missing_mosquitto_fails_the_test_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(mosquitto, "SYSTEM_FOLDERS", "")

    with pytest.raises(pytest.fail.Exception, match="apt install mosquitto mosquitto-clients"):
        mosquitto.program("mosquitto")


def test_a_broker_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from tests.support.mosquitto import Mosquitto\n"
        "broker = Mosquitto(Path(sys.argv[1])); broker.start(); print(broker.port, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        port = int(parent.stdout.readline())
        assert processes.accepts(port)

        parent.kill()

    wait_until(lambda: not processes.accepts(port), what="the broker to end")


def test_leftovers_name_a_thread_and_a_process() -> None:
    before = Leftovers.since()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="forgotten")
    thread.start()
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as child:
        try:
            left = Leftovers.since(before)

            assert "thread forgotten" in str(left)
            assert f"process {child.pid} (" in str(left)
        finally:
            release.set()
            thread.join()
            left.kill()
    assert child.returncode == -signal.SIGKILL
    assert not Leftovers.since(before)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, args=(2,), name='lost').start()", "lost"),
        ("import subprocess; globals()['kept'] = subprocess.Popen(['sleep', '60'])", "sleep 60"),
    ],
)
def test_a_test_that_leaves_something_behind_fails(tmp_path: Path, body: str, name: str) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        f"from tests import conftest\n\n"
        f"conftest.PATIENCE_S = 0.1\n"
        f"leftovers = conftest.leftovers\n\n\n"
        f"def test_it():\n    {body}\n"
    )

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-c", os.devnull, test],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "left behind: " in ended.stdout
    assert name in ended.stdout


def test_what_the_nursery_bears_is_the_program_and_ends_as_it_does(nursery: Nursery, tmp_path: Path) -> None:
    log = tmp_path / "log"

    good = nursery.bear(["--help"], log=log, env={"ZKBRIDGE_X": "1"})
    bad = nursery.bear(["run", "--config", "nowhere.yaml"], log=tmp_path / "other", env={})

    assert (good.wait(20), bad.wait(20)) == (0, 2)
    assert (good.poll(), bad.poll()) == (0, 2)
    assert log.read_text().startswith("Usage: zkbridge ")
    assert "nowhere.yaml" in (tmp_path / "other").read_text()


def test_the_end_of_one_child_may_be_seen_by_many_threads_at_once(nursery: Nursery, tmp_path: Path) -> None:
    children = [nursery.bear(["--help"], log=tmp_path / "log", env={}) for _ in range(3)]

    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda child: child.wait(60), children * 4))

    assert codes == [0] * 12
    assert nursery.ask(bury=children[0].pid) == 0  # a request that comes twice ends nothing


def test_what_the_nursery_bears_is_noticed_and_can_be_killed(nursery: Nursery, tmp_path: Path) -> None:
    before, log = Leftovers.since(), tmp_path / "log"
    log.touch()
    child = nursery.bear(["simulate", "--port", "0"], log=log, env={})
    wait_until(lambda: "ready on" in log.read_text(), what="the simulator")

    assert Leftovers.since(before).processes == {child.pid}
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    child.kill()

    assert child.wait(20) == -signal.SIGKILL
    assert not Leftovers.since(before)
