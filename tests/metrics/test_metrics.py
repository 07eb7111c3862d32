"""What a running bridge tells Prometheus, held against what it did."""

import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.processes import accepts, closed_port, free_port
from tests.support.promql import questions, selectors
from tests.support.running import Running, running
from tests.support.scrape import scrape
from tests.support.waiting import wait_until
from zkbridge.metrics.errors import MetricsUnavailable
from zkbridge.metrics.server import MetricsServer
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal

PATIENCE_S = 20
SECRETS = {"password": "73915826", "card": 2718281828}


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("metrics"), metrics={"port": port}) as all_of_it:
        yield all_of_it


@pytest.fixture(scope="module")
def caller(bridge: Running) -> Iterator[Caller]:
    with Caller(bridge.broker.port) as caller:
        caller.subscribe("zk/#", no_local=True)
        yield caller


@pytest.fixture
def terminal() -> Iterator[SimulatedTerminal]:
    with Simulator() as simulator:
        yield simulator.add(TerminalConfig(profile="tft"))


def ask(caller: Caller, topic: str, **body: Any) -> dict[str, Any]:
    caller.publish(topic, json.dumps(body))
    return caller.wait_for(f"{topic}/reply", timeout=PATIENCE_S).json


def test_the_metrics_of_a_days_requests_are_correct(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path / "day", metrics={"port": port}) as bridge, Caller(bridge.broker.port) as caller:
        caller.subscribe("zk/#", no_local=True)
        _a_day(bridge, caller, port)


def _a_day(bridge: Running, caller: Caller, port: int) -> None:
    user = {"user_id": "4711", "name": "Rosa Quispe", **SECRETS}
    assert ask(caller, "zk/principal/users/create", **user, request_id="r-once")["code"] == "created"
    assert ask(caller, "zk/principal/users/create", **user, request_id="r-once")["replayed"]
    assert ask(caller, "zk/principal/users/create", **user)["code"] == "user_exists"
    assert ask(caller, "zk/principal/users/create", **{**user, "privilege": 3})["code"] == "invalid_field"
    assert ask(caller, "zk/apagada/ping")["code"] == "device_unreachable"
    assert ask(caller, "zk/entrada/ping")["success"]
    for number in range(20):
        assert ask(caller, f"zk/invented{number}/ping")["code"] == "device_not_found"

    # The session's end is told after the answers that it gave.
    wait_until(
        lambda: scrape(port).total("zkbridge_session_duration_seconds_count") == 3,
        timeout=PATIENCE_S,
        what="the sessions to be told",
    )
    said = scrape(port)

    create = {"device": "principal", "command": "users/create"}
    for code in ("created", "user_exists", "invalid_field"):
        assert said.get("zkbridge_requests_total", code=code, **create) == 1, code
    assert said.get("zkbridge_copies_total", **create) == 1
    assert said.get("zkbridge_requests_total", device="(unknown)", command="ping", code="device_not_found") == 20
    assert said.values("device") == {"principal", "entrada", "apagada", "(unknown)"}
    assert said.get("zkbridge_request_duration_seconds_count", command="users/create") == 2
    assert said.get("zkbridge_retries_total", device="apagada", code="device_unreachable") == 2
    assert said.get("zkbridge_failures_total", device="apagada", code="device_unreachable") == 1
    up = {name: said.get("zkbridge_terminal_up", device=name) for name in ("principal", "entrada", "apagada")}
    assert up == {"principal": 1, "entrada": 1, "apagada": 0}
    assert said.get("zkbridge_terminal_last_seen_timestamp_seconds", device="principal") > 1_700_000_000
    assert said.get("zkbridge_terminal_last_seen_timestamp_seconds", device="apagada") is None

    spans = bridge.principal.disabled_spans()
    assert said.get("zkbridge_disabled_duration_seconds_count", device="principal") == len(spans) == 2
    told = said.get("zkbridge_disabled_duration_seconds_sum", device="principal")
    assert abs(told - sum(spans)) < 0.5 * len(spans)
    assert told <= said.get("zkbridge_session_duration_seconds_sum", device="principal")
    assert said.get("zkbridge_disabled_duration_seconds_count", device="entrada") is None  # a ping keeps nobody off

    assert said.get("zkbridge_broker_connected") == 1
    assert said.get("zkbridge_broker_deaf_subscriptions") == 0
    assert said.get("zkbridge_queue_limit") == 1000
    assert said.get("zkbridge_ledger_bytes") > 1000
    assert said.total("zkbridge_queue_requests") == said.get("zkbridge_ledger_unfinished_requests") == 0


def test_no_metric_has_personal_data(bridge: Running, caller: Caller, port: int) -> None:
    person = {"user_id": "80815", "name": "Zacarias", "password": "73915826", "card": 2718281828}
    ask(caller, "zk/principal/users/create", **person, request_id="req-4242")

    text = scrape(port).text

    for value in (*person.values(), "req-4242", bridge.daemon.config["mqtt"]["client_id"], "127.0.0.1"):
        assert str(value) not in text


def test_every_question_of_the_dashboard_and_the_rules_has_an_answer(caller: Caller, port: int) -> None:
    user = {"user_id": "815", "name": "Ana", "request_id": "r-815"}
    for _ in range(2):
        ask(caller, "zk/principal/users/create", **user)
    ask(caller, "zk/apagada/ping")
    assert ask(caller, "zk/principal/device/backup")["code"] == "backed_up"
    wait_until(lambda: "zkbridge_disabled_duration_seconds_bucket" in scrape(port).names, timeout=PATIENCE_S)

    wanted = {selector.name for _, expression in questions() for selector in selectors(expression)} - {"up"}

    # Only a bridge that compares terminals with documents has it (test_recorder.py).
    assert wanted - scrape(port).names == {"zkbridge_desired_drift_users"}


def test_health_has_the_state_for_an_operator(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> None:
    devices = {"p": device(terminal), "apagada": {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}}
    with Daemon(tmp_path / "d", broker.port, devices) as daemon:
        with Caller(broker.port) as caller:
            caller.subscribe("zk/#", no_local=True)
            assert ask(caller, "zk/apagada/ping")["code"] == "device_unreachable"
        daemon.pause()
        broker.restart()
        with Caller(broker.port) as panel:
            panel.subscribe("zk/bridge/health")
            daemon.resume()
            said = panel.wait_for("zk/bridge/health", timeout=PATIENCE_S).json

    assert list(said) == [
        "instance",
        "uptime_s",
        "waiting",
        "devices",
        "connection",
        "version",
        "offline",
        "moved",
        "owed",
        "ledger_bytes",
        "reconnects",
        "deaf_to",
        "refused",
        "set_aside",
        "short_of",
        "dates_overdue",
        "backup_age_s",
        "drift",
    ]
    assert (said["dates_overdue"], said["backup_age_s"]) == (0, None)
    assert (said["offline"], said["devices"], said["waiting"], said["owed"]) == (["apagada"], 2, 0, 0)
    assert said["reconnects"] == 1
    assert said["ledger_bytes"] > 1000


def test_waiting_requests_are_counted_while_the_terminal_and_the_broker_are_away(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    port = free_port()
    release, reached = threading.Event(), threading.Event()
    terminal.faults.add("USER_WRQ", "before", lambda _: reached.set() or release.wait(PATIENCE_S))
    daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal, timeout=20)}, metrics={"port": port})
    with daemon, Caller(broker.port) as caller:
        try:
            for number in (1, 2):
                caller.publish("zk/p/users/create", json.dumps({"user_id": str(number), "name": "Ana"}))
            assert reached.wait(PATIENCE_S)
            wait_until(lambda: scrape(port).get("zkbridge_queue_requests", device="p") == 2)
            busy = scrape(port)
            broker.kill()
            wait_until(lambda: scrape(port).get("zkbridge_broker_connected") == 0, timeout=PATIENCE_S)
        finally:
            release.set()
        wait_until(lambda: scrape(port).get("zkbridge_ledger_owed_answers") == 2, timeout=PATIENCE_S)
        away = scrape(port)
        broker.restart()
        wait_until(lambda: scrape(port).get("zkbridge_ledger_owed_answers") == 0, timeout=60)
        back = scrape(port)

    assert busy.get("zkbridge_ledger_unfinished_requests") == 2
    assert busy.get("zkbridge_ledger_oldest_unfinished_seconds") > 0
    assert (away.get("zkbridge_ledger_unfinished_requests"), away.get("zkbridge_broker_reconnects_total")) == (0, 0)
    assert away.get("zkbridge_ledger_oldest_owed_seconds") > 0
    assert back.get("zkbridge_ledger_oldest_owed_seconds") == 0
    assert (back.get("zkbridge_broker_connected"), back.get("zkbridge_broker_reconnects_total")) == (1, 1)


def test_a_terminal_that_may_be_disabled_has_its_metric_until_it_is_enabled(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    port = free_port()
    owes = {"name": "zkbridge_terminal_owes_enable", "device": "p"}
    terminal.faults.add("ENABLE", "before", "refuse", count=2)  # at the end of the session, on both connections
    with (
        Daemon(tmp_path / "d", broker.port, {"p": device(terminal, timeout=3)}, metrics={"port": port}),
        Caller(broker.port) as caller,
    ):
        caller.subscribe("zk/#", no_local=True)
        assert ask(caller, "zk/p/users/create", user_id="1", name="Ana")["code"] == "created"
        wait_until(lambda: scrape(port).get("zkbridge_disabled_duration_seconds_count", device="p"))
        owing = scrape(port)
        wait_until(lambda: scrape(port).get(**owes) == 0, timeout=60, what="the pending enable to be carried out")

    assert owing.get(**owes) == 1
    # It counts with the whole time after which it enables itself: session_budget 2 and timeout 3.
    assert owing.get("zkbridge_disabled_duration_seconds_sum", device="p") == 5


def test_a_removed_device_has_no_metrics_and_a_new_port_needs_a_restart(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    port = free_port()
    devices = {"p": device(terminal), "q": device(terminal)}
    with Daemon(tmp_path / "d", broker.port, devices, metrics={"port": port}) as daemon, Caller(broker.port) as caller:
        caller.subscribe("zk/#", no_local=True)
        for name in devices:
            assert ask(caller, f"zk/{name}/ping")["success"]
        assert scrape(port).values("device") == {"p", "q"}

        refused = reload(daemon, {**daemon.config, "metrics": {"port": free_port()}})
        taken = reload(daemon, {**daemon.config, "devices": {"p": devices["p"]}})

        assert "metrics.port: has changed, which needs a restart" in refused
        assert "reloaded: removed: q" in taken
        assert scrape(port).values("device") == {"p"}


def reload(daemon: Daemon, config: dict[str, Any]) -> str:
    mark = len(daemon.log)
    (daemon.folder / "config.yaml").write_text(json.dumps(config))
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: any(end in daemon.log[mark:] for end in ("reloaded: ", "going on with")), timeout=PATIENCE_S)
    return daemon.log[mark:]


def test_a_port_in_use_stops_the_start_and_is_logged(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, metrics={"port": port})
        daemon.start(online=False)
        code = daemon.wait()

    assert code == 1
    first, last = daemon.log.splitlines()
    assert "zkbridge" in first
    assert last == f"metrics.port: 127.0.0.1:{port} cannot be listened on: Address already in use"


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_a_host_that_is_not_this_machine_is_the_host_s_fault(host: str) -> None:
    with pytest.raises(MetricsUnavailable, match=rf"^metrics\.host: {host}:9812 cannot be listened on: \w"):
        MetricsServer(host, 9812, CollectorRegistry())


def test_silent_readers_keep_neither_others_nor_the_end_waiting(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    port = free_port()
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, metrics={"port": port}) as daemon:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        try:
            silent[0].sendall(b"GET /metrics HT")
            assert scrape(port).get("zkbridge_broker_connected") == 1
            assert daemon.stop(timeout=20) == 0
        finally:
            for each in silent:
                each.close()
        assert not accepts(port)
        daemon.start()


def test_odd_readers_are_answered_and_nothing_is_logged(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    port = free_port()
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, metrics={"port": port}) as daemon:
        before = daemon.log
        statuses = {}
        for method, path in (("GET", "/"), ("HEAD", "/metrics"), ("POST", "/metrics"), ("GET", "/?name[]=up")):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(method, path, body=b"x" * 10 if method == "POST" else None)
            statuses[method, path] = connection.getresponse().status
            connection.close()
        for nonsense in (b"\r\n\r\n", b"\x16\x03\x01\x00", b"GET /" + b"x" * 70_000):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as odd:
                odd.sendall(nonsense)
                odd.shutdown(socket.SHUT_WR)
                try:
                    while odd.recv(4096):
                        pass
                except ConnectionResetError:
                    pass  # hung up on before all was read

        assert scrape(port).get("zkbridge_broker_connected") == 1
        assert daemon.log == before
    assert statuses["GET", "/"] == 200
    assert statuses["POST", "/metrics"] == 405


def test_only_with_a_port_metrics_are_served(tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal) -> None:
    port = free_port()
    with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}) as daemon:
        assert listening(daemon.pid) == set()
        daemon.stop()
        daemon.config["metrics"] = {"port": port}
        daemon.start()
        assert listening(daemon.pid) == {("127.0.0.1", port)}


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses (IPv4) on which a process accepts connections."""
    own = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "0A" and f"socket:[{inode}]" in own:
            host, port = local.split(":")
            found.add((socket.inet_ntoa(bytes.fromhex(host)[::-1]), int(port, 16)))
    return found
