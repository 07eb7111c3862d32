"""`zkbridge watch`: what a person sees, as lines and on a live screen."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from datetime import datetime
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from tests.support import processes
from tests.support.caller import Caller
from tests.support.mosquitto import Mosquitto
from tests.support.running import Running
from tests.support.waiting import wait_until
from zkbridge.cli.traffic import MOST, Sightings
from zkbridge.contract.messages import Message, encode
from zkbridge.contract.topics import Topics

ROOT = Path(__file__).parents[2]
SECRETS = ("98765432", "7771234", "Juana la Secreta")


@pytest.fixture
def sightings() -> Sightings:
    return Sightings(Topics("zk"), ["users/create", "ping"])


def see(
    sightings: Sightings,
    topic: str,
    body: dict[str, Any],
    *,
    correlation: bytes | None = None,
    answers: str | None = None,
    now: float = 100.0,
) -> Any:
    return sightings.see(Message(topic, encode(body), correlation_data=correlation, answers=answers), now=now)


def ask_for_a_user(port: int, user_id: str, *, device: str = "principal", request_id: str = "w-1") -> dict[str, Any]:
    """One request with things that nobody else may see, and its answer."""
    password, card, name = SECRETS
    body = {"user_id": user_id, "name": name, "password": password, "card": int(card), "request_id": request_id}
    with Caller(port) as caller:
        caller.subscribe("zk/replies/somebody")
        caller.publish(
            f"zk/{device}/users/create", body, response_topic="zk/replies/somebody", correlation_data=b"\x00c"
        )
        return caller.wait_for("zk/replies/somebody").json


def watching(bridge: Running, *more: Any) -> list[Any]:
    return [sys.executable, "-u", "-m", "zkbridge", "watch", "--config", str(bridge.config), *more]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_each_event_is_a_line(bridge: Running, tmp_path: Path, sign: Signals) -> None:
    log = tmp_path / "log"
    user_id = f"2{int(sign):02}"
    watch = processes.start(watching(bridge), log=log)
    wait_until(lambda: "bridge online" in log.read_text(), timeout=20)

    ask_for_a_user(bridge.broker.port, user_id, request_id=f"w-{user_id}")
    wait_until(lambda: "←" in log.read_text())

    assert processes.stop(watch, sign=sign) == 0
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in log.read_text().splitlines()]
    assert lines[0] == "broker connected"
    assert f"→ principal users/create {user_id} (w-{user_id})" in lines
    assert re.fullmatch(rf"← principal users/create {user_id}: 200 Usuario registrado\. in \d\.\d\d s", lines[-1])
    assert not any(secret in log.read_text() for secret in SECRETS)


def test_for_machines_each_event_is_a_json_object(bridge: Running, tmp_path: Path) -> None:
    log = tmp_path / "log"
    watch = processes.start(watching(bridge, "--json"), log=log)
    wait_until(lambda: '"state": "online"' in log.read_text(), timeout=20)

    ask_for_a_user(bridge.broker.port, "299", request_id="w-299")
    wait_until(lambda: '"answer"' in log.read_text())

    assert processes.stop(watch, sign=signal.SIGINT) == 0
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(datetime.fromisoformat(each.pop("at")).tzinfo is not None for each in told)
    assert told[0] == {"event": "broker", "state": "connected"}
    asked = {"device": "principal", "command": "users/create", "user_id": "299", "request_id": "w-299"}
    assert {"event": "request", **asked} in told
    answer = told[-1]
    assert isinstance(answer.pop("seconds"), float)
    assert answer == {"event": "answer", **asked, "status": 200, "code": "created", "said": "Usuario registrado."}
    assert not any(secret in log.read_text() for secret in SECRETS)


def test_on_a_terminal_it_is_a_screen_that_ctrl_c_ends(bridge: Running) -> None:
    main, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    watch = subprocess.Popen(
        watching(bridge),
        stdin=screen,
        stdout=screen,
        stderr=screen,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(screen)
    shown = bytearray()
    reader = threading.Thread(target=read_all, args=(main, shown))
    reader.start()
    wait_until(lambda: b"online" in shown and b"apagada" in shown, timeout=20, what="the devices on the screen")

    ask_for_a_user(bridge.broker.port, "300", device="apagada")
    wait_until(lambda: b"Connection refused by device" in shown, what="the answer on the screen")
    with Caller(bridge.broker.port) as caller:
        caller.publish("zk/entrada/attendance/event", {"user_id": "301", "timestamp": "2030-01-31T08:00:00"})
        wait_until(lambda: b"user 301 at 2030-01-31T08:00:00" in shown, what="the punch on the screen")
    # Ctrl-C is a byte on a controlling terminal; this one has none, so the signal is sent as the kernel would.
    watch.send_signal(signal.SIGINT)

    assert watch.wait(20) == 0
    reader.join()
    os.close(main)
    assert b"users/create" in shown
    assert b"\x1b[?1049l" in shown, "the screen of before comes back"
    assert not any(secret.encode() in shown for secret in SECRETS)


def read_all(file: int, found: bytearray) -> None:
    with contextlib.suppress(OSError):  # EIO: the program has closed its side
        while piece := os.read(file, 4096):
            found.extend(piece)


def test_a_lost_and_restored_broker_connection_is_shown(broker: Mosquitto, tmp_path: Path) -> None:
    log = tmp_path / "log"
    watch = processes.start(watching_broker(broker), log=log, cwd=tmp_path)
    wait_until(lambda: "broker connected" in log.read_text(), timeout=20)

    broker.kill()
    wait_until(lambda: "broker lost" in log.read_text())
    broker.start()
    wait_until(lambda: log.read_text().count("broker connected") == 2, timeout=20)
    wait_until(lambda: announce(broker) or "bridge online" in log.read_text(), what="what is said afterwards")

    assert processes.stop(watch, sign=signal.SIGINT) == 0


def watching_broker(broker: Mosquitto) -> list[str]:
    return [sys.executable, "-u", "-m", "zkbridge", "watch", "--broker", f"127.0.0.1:{broker.port}"]


def announce(broker: Mosquitto) -> None:
    with Caller(broker.port) as caller:
        caller.publish("zk/bridge/state", {"state": "online"}, retain=True)


def test_no_broker_exits_4(tmp_path: Path) -> None:
    port = processes.free_port()
    command = [sys.executable, "-m", "zkbridge", "watch", "--broker", f"127.0.0.1:{port}"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (4, "")
    told = "cannot be reached: Connection refused (docs/client.md#where-the-bridge-is)."
    assert done.stderr == f"the broker 127.0.0.1:{port} {told}\n"


def test_an_answer_finds_its_request_by_correlation_data_whatever_the_topic(sightings: Sightings) -> None:
    see(sightings, "zk/a/users/create", {"user_id": "1"}, correlation=b"1", now=10)
    see(sightings, "zk/a/users/create", {"user_id": "2"}, correlation=b"2", now=11)

    line = see(
        sightings, "zk/replies/x", {"success": True, "code": "created", "status": 200}, correlation=b"2", now=11.5
    )

    assert line == "← a users/create 2: 200 created in 0.50 s"
    assert [asked.status for asked in sightings.asked] == [None, 200]


def test_without_correlation_data_it_is_found_by_its_request_id(sightings: Sightings) -> None:
    for request_id in ("r-1", "r-2"):
        see(sightings, "zk/a/users/create", {"user_id": "1", "request_id": request_id})
    answer = {"success": False, "error": "no", "code": "busy", "status": 503, "request_id": "r-2"}

    line = see(sightings, "zk/a/users/create/reply", answer, now=100.25)

    assert line == "← a users/create 1: 503 no in 0.25 s"
    assert [asked.status for asked in sightings.asked] == [None, 503]


def test_an_answer_to_what_was_asked_before_is_shown_too(sightings: Sightings) -> None:
    answer = {"success": True, "message": "Usuario registrado.", "code": "created", "status": 200}

    assert see(sightings, "zk/a/users/create/reply", answer) == "← a users/create: 200 Usuario registrado."


def test_an_answer_on_a_topic_of_its_caller_is_shown_with_the_command_that_it_answers(sightings: Sightings) -> None:
    answer = {"success": True, "message": "Bien.", "code": "ok", "status": 200, "data": {"device_id": "a"}}

    assert see(sightings, "zk/replies/operator/1", answer, answers="ping") == "← a ping: 200 Bien."
    assert see(sightings, "zk/replies/me", answer, answers="\x1b[2J") == "← a \\u001b[2J: 200 Bien."


def test_a_user_who_was_blocked_because_of_a_date_is_shown(sightings: Sightings) -> None:
    told = {"event": "blocked", "user_id": "7", "reason": "valid_until", "moment": "2030-01-31T08:00:00"}

    assert see(sightings, "zk/a/users/event", told) == "• a: user 7 blocked (valid_until)"
    assert see(sightings, "zk/a/users/event", told | {"late": True}) == "• a: user 7 blocked (valid_until, late)"
    assert sightings.facts == {"event": "blocked", "device": "a", "user_id": "7", "reason": "valid_until"}


def test_a_punch_is_shown_without_the_name(sightings: Sightings) -> None:
    punch = {"user_id": "7", "name": "Juana la Secreta", "timestamp": "2030-01-31T08:00:00", "status": 1, "punch": 0}

    assert see(sightings, "zk/a/attendance/event", punch) == "• a: user 7 at 2030-01-31T08:00:00"
    assert sightings.facts == {"event": "punch", "device": "a", "user_id": "7", "timestamp": "2030-01-31T08:00:00"}
    assert see(sightings, "zk/a/attendance/event", punch | {"timestamp": None}) == "• a: user 7 at no known time"
    assert [line for _, line in sightings.events] == [
        "• a: user 7 at 2030-01-31T08:00:00",
        "• a: user 7 at no known time",
    ]


def test_the_same_state_again_is_no_news(sightings: Sightings) -> None:
    away = {"state": "offline", "reason": "Connection timeout"}

    assert see(sightings, "zk/a/availability", {"state": "online"}) == "device a online"
    assert see(sightings, "zk/a/availability", {"state": "online"}) is None
    assert see(sightings, "zk/a/availability", away) == "device a offline Connection timeout"
    assert sightings.facts == {"event": "device", "device": "a", **away}
    assert see(sightings, "zk/bridge/state", {"state": "online"}) == "bridge online"
    assert see(sightings, "zk/bridge/state", {"state": "online"}) is None
    assert see(sightings, "zk/bridge/info", {"version": "1.2", "devices": ["a", "b"]}) is None
    assert sightings.devices == {"a": "offline Connection timeout", "b": None}
    assert sightings.version == "1.2"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("zk/a/users/create", b"\xff\x00"),
        ("zk/a/users/create", b"[]"),
        ("zk/a/users/create", b'{"user_id": {"a": 1}, "request_id": "\\u001b[2J"}'),
        ("zk/a/users/create/reply", b'{"success": 1, "code": [], "status": "x"}'),
        ("zk/a/availability", b'{"state": "\\u001b[31mred"}'),
        ("zk/bridge/info", b'{"devices": [1, {"a": 2}, null]}'),
        ("zk/\x1b[2J/availability", b"{}"),
        ("elsewhere", b"{}"),
        ("zk", b""),
    ],
)
def test_whatever_comes_nothing_breaks_and_nothing_writes_on_the_screen(
    sightings: Sightings, topic: str, payload: bytes
) -> None:
    line = sightings.see(Message(topic, payload), now=1.0)

    texts = [line or "", *sightings.devices, *(asked.what for asked in sightings.asked)]
    assert all(text.isprintable() for text in texts)


def test_it_shows_neither_password_nor_card_nor_name(sightings: Sightings) -> None:
    password, card, name = SECRETS
    body = {"user_id": "1", "password": password, "card": card, "name": name}

    lines = [
        see(sightings, "zk/a/users/create", body),
        see(sightings, "zk/a/users/create/reply", {"success": True, "code": "x", "status": 200, "data": body}),
    ]

    assert not any(secret in f"{lines}{sightings.asked}" for secret in SECRETS)


def test_it_forgets_the_oldest(sightings: Sightings) -> None:
    for number in range(MOST + 10):
        see(sightings, "zk/a/users/create", {"user_id": number})

    assert len(sightings.asked) == MOST
    assert sightings.asked[0].user_id == "10"
