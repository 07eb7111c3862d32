"""A part that dies or hangs never leaves a daemon that looks alive and is deaf."""

import resource
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.site import Break, Site, new_site
from tests.faults.thinned import thinned
from tests.support.caller import Caller
from tests.support.fake_broker import FakeBroker
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

PARTS = [
    "zkbridge.mqtt.client:Mqtt._connect",
    "zkbridge.mqtt.connection:Connection.serve",
    "zkbridge.mqtt.connection:Connection._read",
    "zkbridge.mqtt.receiver:message_of",
    "zkbridge.mqtt.receiver:Receiver._keep",
    "zkbridge.mqtt.send_window:SendWindow._send",
    "zkbridge.mqtt.connection:Connection._on_connect",
    "zkbridge.mqtt.connection:Connection._on_subscribe",
    "zkbridge.mqtt.connection:Connection._on_publish",
    "zkbridge.bridge.broker_hooks:BrokerHooks.retained",
    "zkbridge.bridge.broker_hooks:BrokerHooks.connected",
    "zkbridge.bridge.broker_hooks:BrokerHooks.confirmed",
    "zkbridge.bridge.broker_hooks:BrokerHooks.overheard",
    "zkbridge.bridge.dispatch:ReplyDispatch.note_answers",
    "zkbridge.bridge.availability:Availability.note",
    "zkbridge.intake.intake:Intake.receive",
    "zkbridge.intake.checks:Checks.check",
    "zkbridge.outbox.replies:Outbox._wait",
    "zkbridge.outbox.replies:Outbox._settle",
    "zkbridge.outbox.replies:Outbox._send",
    "zkbridge.worker.worker:Worker._has_work",
    "zkbridge.worker.worker:Worker._serve",
    "zkbridge.worker.session_runner:SessionRunner.run",
    "zkbridge.worker.planner:Planner.plan",
    "zkbridge.worker.change_maker:ChangeMaker.ask",
    "zkbridge.worker.verifier:Verifier.confirm",
    "zkbridge.worker.reply_keeper:ReplyKeeper.keep_answered",
    "zkbridge.ledger.acceptance:Acceptance.take_on",
    "zkbridge.ledger.ledger:Ledger.running",
    "zkbridge.ledger.ledger:Ledger.finish",
    "zkbridge.ledger.unsent_replies:UnsentReplies.sent",
    "zkbridge.ledger.ledger:Ledger.scrub",
    "zkbridge.runtime.scheduler:Upkeep._do",
]
#: The watchdog's interval, in microseconds: quick enough for a test.
WATCHDOG = {"WATCHDOG_USEC": "400000"}
QUIET_S = 3
#: Bytes that any file of a daemon may have: its log has room, a request in the ledger has none.
FULL = 12_000


def _known_to_the_broker(site: Site) -> None:
    """A broker keeps what is published while the daemon is away only once it knows the daemon's subscriptions."""
    site.daemon.start()
    assert site.daemon.stop() == 0


@pytest.mark.parametrize("part", thinned(PARTS))
def test_a_part_that_fails_heals_or_ends_the_daemon_and_every_request_is_answered(
    tmp_path: Path, shared_broker: Mosquitto, part: str
) -> None:
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        _known_to_the_broker(site)
        site.make_daemon(Break(part, "raise")).start(online=False)
        request = site.user(request_id="r-1")
        caller.publish(site.topic(), request)

        _as_systemd(site, lambda: site.heard(caller) and "RuntimeError" in site.daemon.log)
        # And it is well afterwards.
        second = site.user()
        caller.publish(site.topic(), second)
        _as_systemd(site, lambda: _answer_to(second, site, caller))
        _as_systemd(site, lambda: not site.secrets())  # it may end only now: a dying part takes a moment

        site.settle(caller)
        _assert_true(site, request, site.heard(caller)[0].json)
        assert _answer_to(second, site, caller)["code"] == "created"
        site.check(second)


def _as_systemd(site: Site, condition: Callable[[], object]) -> None:
    """Wait, and meanwhile start the daemon again, in good order, when it ends."""

    def reached() -> bool:
        if not site.daemon.running:
            assert site.daemon.wait() == 1, site.daemon.log
            site.make_daemon().start()
        return bool(condition())

    site.wait(reached, "an answer", 30)


def _answer_to(request: dict[str, Any], site: Site, caller: Caller) -> dict[str, Any] | None:
    heard = (answer.json for answer in site.heard(caller))
    return next((one for one in heard if one["success"] and one["data"]["user_id"] == request["user_id"]), None)


def _assert_true(site: Site, request: dict[str, Any], answer: dict[str, Any]) -> None:
    there = [user for user in site.terminal.users() if user.user_id == request["user_id"]]
    if answer["success"]:
        assert len(there) == 1
        return
    assert answer["code"] == "internal", site.daemon.log
    assert f"error_id={answer['error'].rpartition('(')[2][:8]}" in site.daemon.log
    assert not there


# -- what systemd is told --------------------------------------------------------------------------------------------


class Systemd:
    """The other end of sd_notify."""

    def __init__(self) -> None:
        name = f"zkbridge-test-{uuid.uuid4().hex}"
        self.environment = {"NOTIFY_SOCKET": f"@{name}", **WATCHDOG}
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(f"\0{name}")

    def close(self) -> None:
        self._line.close()

    def wait_for(self, word: str, *, timeout: float = 20) -> str:
        """The next message with this word."""
        self._line.settimeout(timeout)
        while word not in (said := self._line.recv(4096).decode()):
            pass
        return said

    def falls_silent(self, *, within: float = 60) -> None:
        """Return when no sign of life has come for several of the watchdog's intervals."""

        def silent() -> bool:
            self._line.settimeout(QUIET_S)
            try:
                self._line.recv(4096)
            except TimeoutError:
                return True
            return False

        wait_until(silent, timeout=within, what="the signs of life to end")


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    systemd = Systemd()
    yield systemd
    systemd.close()


def test_systemd_is_notified_of_the_start_of_life_and_of_the_stop(
    tmp_path: Path, shared_broker: Mosquitto, systemd: Systemd
) -> None:
    with new_site(tmp_path, shared_broker.port) as site:
        site.make_daemon(**systemd.environment).start()

        systemd.wait_for("READY=1")
        for _ in range(3):
            assert "requests waiting" in systemd.wait_for("WATCHDOG=1")
        assert site.daemon.stop() == 0
        systemd.wait_for("STOPPING=1")


def test_a_service_manager_that_does_not_read_delays_no_stop(tmp_path: Path, shared_broker: Mosquitto) -> None:
    name = f"zkbridge-test-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, new_site(tmp_path, shared_broker.port) as site:
        line.bind(f"\0{name}")
        site.make_daemon(NOTIFY_SOCKET=f"@{name}", **WATCHDOG).start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    filler.sendto(b"x", f"\0{name}")

        assert site.daemon.stop() == 0


HANGING = {
    "a worker past its deadline": [
        Break("zkbridge.worker.conversation_deadline:GRACE_S", "set", value=0.5),
        Break("zkbridge.terminal.session:Session.users", "hang"),
    ],
    "the network thread": [
        Break("zkbridge.mqtt.thread_control:SLACK_S", "set", value=0.5),
        Break("zkbridge.mqtt.receiver:Receiver._keep", "hang"),
    ],
    "the upkeep": [
        Break("zkbridge.runtime.scheduler:HUNG_AFTER_S", "set", value=0.5),
        Break("zkbridge.bridge.dispatch:SCRUB_AFTER_S", "set", value=0.1),
        Break("zkbridge.ledger.ledger:Ledger.scrub", "hang", nth=2),
    ],
}


@pytest.mark.parametrize("part", HANGING)
def test_systemd_is_no_longer_notified_when_a_part_hangs(
    tmp_path: Path, shared_broker: Mosquitto, systemd: Systemd, part: str
) -> None:
    more: dict[str, Any] = {"mqtt": {"keepalive": 5}}
    if part == "a worker past its deadline":
        more["retry"] = {"deadline": 3}
    with new_site(tmp_path, shared_broker.port, **more) as site, site.caller() as caller:
        site.make_daemon(*HANGING[part], **systemd.environment).start()
        systemd.wait_for("WATCHDOG=1")
        request = site.user()
        caller.publish(site.topic(), request)

        systemd.falls_silent()

        assert site.daemon.running
        site.daemon.kill()  # as systemd does
        site.more.pop("retry", None)  # a slow machine carries out no request in so short a time
        site.make_daemon().start()
        assert site.settle(caller)[0].json["code"] == "created"
        site.check(request)


def test_systemd_is_not_notified_while_no_message_can_be_kept(
    tmp_path: Path, shared_broker: Mosquitto, systemd: Systemd
) -> None:
    """The rule of 60 s, with 4 instead."""
    patience = Break("zkbridge.intake.keeper:PATIENCE_S", "set", value=4.0)
    with new_site(tmp_path, shared_broker.port) as site, site.caller() as caller:
        site.make_daemon(patience, **systemd.environment).start()
        systemd.wait_for("WATCHDOG=1")
        resource.prlimit(site.daemon.pid, resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
        request = site.user()
        caller.publish(site.topic(), request)

        systemd.falls_silent()

        assert site.daemon.running
        assert "nothing could be kept for" in site.daemon.log
        assert "some brokers take no more than 50" not in site.daemon.log  # it is the disk
        resource.prlimit(site.daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert [answer.json["code"] for answer in site.settle(caller)] == ["created"]
        systemd.wait_for("WATCHDOG=1")
        site.check(request)


def test_a_broker_that_confirms_nothing_any_more_is_left_for_a_new_connection(tmp_path: Path) -> None:
    with FakeBroker() as broker, new_site(tmp_path, broker.port, protocol="3.1.1") as site:
        pulse = Break("zkbridge.bridge.pulse:PULSE_S", "set", value=0.2)
        site.make_daemon(pulse, Break("zkbridge.bridge.pulse:SILENT_AFTER_S", "set", value=1.0)).start()
        broker.confirms = False

        broker.wait_for_client(2)
        broker.confirms = True
        assert "no sign of life" in site.daemon.log
