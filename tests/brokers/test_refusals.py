"""Every sentence about a broker's refusal names the user, the topic where there is one, and the page that helps."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.bridge.test_mqtt import Rest
from tests.project.tree import ROOT
from tests.support.mosquitto import Mosquitto
from tests.support.refusing_broker import Refusal, RefusingBroker
from tests.support.waiting import wait_until
from zkbridge.cli import devices as devices_command
from zkbridge.cli.main import main
from zkbridge.client import batch
from zkbridge.client import connection as client_connection
from zkbridge.config import login
from zkbridge.config.models import Mqtt as Settings
from zkbridge.contract.messages import Publication
from zkbridge.mqtt import connection, dial
from zkbridge.mqtt.client import Mqtt
from zkbridge.mqtt.dial import Plan, try_out
from zkbridge.mqtt.subscription_check import SubscriptionCheck
from zkbridge.mqtt.subscriptions import Subscriptions

COMMAND, PROBE, STATE = "zk/+/ping", "zk/bridge/ping", "zk/bridge/state"
SHORT_S = 0.4

#: By way to refuse, what the command line says of `ping`, and the topic that it names. "" stands for none.
PING = {
    Refusal.CONNECT_CLOSED: ("closes the connection without an answer to CONNECT", ""),
    Refusal.CONNECT_SILENT: ("does not accept us: no answer to CONNECT", ""),
    Refusal.CONNECT_REFUSED: ("does not accept us: Not authorized", ""),
    Refusal.SUBSCRIBE_CLOSED: ("the broker ends the connection when we subscribe", "zk/p/ping/reply"),
    Refusal.SUBSCRIBE_SILENT: ("the broker does not answer when we subscribe", "zk/p/ping/reply"),
    Refusal.SUBSCRIBE_REFUSED: ("the broker refuses the subscription", "zk/p/ping/reply"),
    Refusal.PUBLISH_CLOSED: ("no answer within 1.5 s; the broker ended the connection ", "zk/p/ping"),
}
CHECK = {
    Refusal.CONNECT_CLOSED: ("closed the connection without an answer to CONNECT", ""),
    Refusal.CONNECT_SILENT: ("accepted the connection and did not answer CONNECT", ""),
    Refusal.CONNECT_REFUSED: ("refused: Not authorized", ""),
    Refusal.SUBSCRIBE_CLOSED: ("does not answer the subscription", COMMAND),
    Refusal.SUBSCRIBE_SILENT: ("does not answer the subscription", COMMAND),
    Refusal.SUBSCRIBE_REFUSED: ("refuses the subscription", COMMAND),
    Refusal.PUBLISH_CLOSED: ("closes the connection when something is published", PROBE),
}
RUN = {
    Refusal.CONNECT_CLOSED: ("no connection to the broker", ""),
    Refusal.CONNECT_SILENT: ("accepted the connection and did not answer CONNECT", ""),
    Refusal.CONNECT_REFUSED: ("refused: Not authorized", ""),
    Refusal.SUBSCRIBE_CLOSED: ("lost the connection to the broker", COMMAND),
    Refusal.SUBSCRIBE_SILENT: ("no SUBACK while the bridge made subscriptions", COMMAND),
    Refusal.SUBSCRIBE_REFUSED: ("refuses the subscription", COMMAND),
    Refusal.PUBLISH_CLOSED: ("the broker hung up twice", PROBE),
}
USERS = [("puente", "user 'puente'"), (None, "without a user name")]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_connection, "PATIENCE_S", SHORT_S)
    monkeypatch.setattr(devices_command, "PATIENCE_S", SHORT_S)
    monkeypatch.setattr(dial, "CONNECT_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT_S", SHORT_S)


def settings(port: int, username: str | None) -> Settings:
    password = None if username is None else "x"
    return Settings(host="127.0.0.1", port=port, protocol="3.1.1", username=username, password=password)


def configuration(folder: Path, mqtt: Settings) -> Path:
    path = folder / "config.yaml"
    told = mqtt.model_dump(mode="json", include={"host", "port", "protocol", "username", "password"}, exclude_none=True)
    path.write_text(json.dumps({"mqtt": told, "devices": {"p": {"host": "127.0.0.1"}}}))
    return path


def assert_named(sentence: str, said: str, topic: str, who: str) -> None:
    pages = (login.RIGHTS_PAGE,) if topic else (login.LOGIN_PAGE, login.BROKER_PAGE)
    assert said in sentence
    assert who in sentence
    assert topic in sentence
    assert any(page in sentence for page in pages), sentence


@pytest.mark.parametrize(("username", "who"), USERS)
@pytest.mark.parametrize("refusal", Refusal)
def test_the_command_line_names_user_topic_and_page(
    refusal: Refusal, username: str | None, who: str, tmp_path: Path
) -> None:
    with RefusingBroker(refusal) as broker:
        config = configuration(tmp_path, settings(broker.port, username))
        ended = CliRunner().invoke(main, ["ping", "p", "--wait", "1.5", "--config", str(config)])

    assert ended.exit_code == 4
    assert_named(ended.stderr.splitlines()[0], *PING[refusal], who)


@pytest.mark.parametrize("refusal", [each for each in Refusal if each is not Refusal.PUBLISH_CLOSED])
def test_commands_that_only_listen_name_the_same(refusal: Refusal, tmp_path: Path) -> None:
    with RefusingBroker(refusal) as broker:
        config = str(configuration(tmp_path, settings(broker.port, "puente")))
        ended = [CliRunner().invoke(main, [command, "--config", config]) for command in ("devices", "watch")]

    for each, topic in zip(ended, (STATE, "zk/#"), strict=True):
        assert each.exit_code == 4
        said, answered = PING[refusal]
        assert_named(each.stderr, said, topic if answered else "", "user 'puente'")


@pytest.mark.parametrize(("username", "who"), USERS)
@pytest.mark.parametrize("refusal", Refusal)
def test_check_names_user_topic_and_page(refusal: Refusal, username: str | None, who: str) -> None:
    plan = Plan((COMMAND,), {COMMAND: PROBE}, Publication(STATE, b"{}"))
    with RefusingBroker(refusal) as broker:
        problems = try_out(settings(broker.port, username), plan).problems

    assert len(problems) == 1
    assert_named(problems[0], *CHECK[refusal], who)


@pytest.mark.parametrize(("username", "who"), USERS)
@pytest.mark.parametrize("refusal", Refusal)
def test_the_log_of_a_run_names_user_topic_and_page(
    refusal: Refusal, username: str | None, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    said, topic = RUN[refusal]
    caplog.set_level(logging.WARNING)
    with RefusingBroker(refusal) as broker:
        mqtt = side(settings(broker.port, username))
        mqtt.start()
        wait_until(lambda: said in caplog.text, timeout=30, what=f"{said}:\n{caplog.text}")
        mqtt.stop(10)

    sentence = next(each for each in caplog.messages if said in each)
    if refusal in (Refusal.SUBSCRIBE_CLOSED, Refusal.SUBSCRIBE_SILENT):  # it may also be too many topics
        assert topic in sentence
        topic = ""
    assert_named(sentence, said, topic, who)


def side(mqtt: Settings) -> Mqtt:
    rights = login.rights_of(mqtt)
    rest = Rest()
    rest.states = []
    return Mqtt(
        mqtt,
        rest,
        subscriptions=Subscriptions((COMMAND,)),
        will=Publication(STATE, b"{}", retain=True),
        subscription_check=SubscriptionCheck({COMMAND: PROBE}, rights=rights),
    )


@pytest.fixture(scope="module")
def unheard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A real Mosquitto whose access list, that of its plugin dynamic-security, forbids every subscription."""
    folder = tmp_path_factory.mktemp("unheard")
    salt = b"twelve bytes"  # as the plugin demands
    digest = hashlib.pbkdf2_hmac("sha512", b"x", salt, 101, 64)
    client = {
        "username": "puente",
        "password": base64.b64encode(digest).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": 101,
    }
    default = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    rules = folder / "rules.json"
    rules.write_text(json.dumps({"defaultACLAccess": default, "clients": [client], "groups": [], "roles": []}))
    plugin = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
    extra = ["plugin " + str(plugin), f"plugin_opt_config_file {rules}"]
    with Mosquitto(folder / "m", extra=extra) as broker:
        yield broker


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_subscription_that_a_real_broker_refuses_is_told_with_user_topic_and_page(
    unheard: Mosquitto, protocol: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mqtt = settings(unheard.port, "puente").model_copy(update={"protocol": protocol})
    config = str(configuration(tmp_path, mqtt))

    words = {"ping": "zk/p/ping/reply", "devices": STATE, "watch": "zk/#", "apply": "zk/p/users/plan/reply"}
    (tmp_path / "people.csv").write_text("user_id,name\n1,Ana\n")
    more = {"ping": ["p"], "apply": [str(tmp_path / "people.csv"), "--device", "p", "--yes"]}
    ended = {
        command: CliRunner().invoke(main, [command, *more.get(command, []), "--config", config]) for command in words
    }
    problems = try_out(mqtt, Plan((COMMAND,), {COMMAND: PROBE})).problems
    run = side(mqtt)
    run.start()
    wait_until(lambda: "refuses the subscription" in caplog.text, timeout=30)
    run.stop(10)

    for command, topic in words.items():
        assert ended[command].exit_code == 4, ended[command].output
        assert_named(ended[command].stderr, "the broker refuses the subscription", topic, "user 'puente'")
    assert_named(problems[0], "refuses the subscription", COMMAND, "user 'puente'")
    sentence = next(each for each in caplog.messages if "refuses the subscription" in each)
    assert_named(sentence, "refuses the subscription", COMMAND, "user 'puente'")


def test_a_caller_who_may_not_read_the_answer_is_told_what_to_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto grants the subscription, and delivers nothing: only the missing answer shows it."""
    acl = "user puente\ntopic readwrite zk/#\nuser sordo\ntopic write zk/p/#\ntopic read zk/bridge/state\n"
    with Mosquitto(tmp_path / "m", users={"puente": "x", "sordo": "x"}, acl=acl) as broker:
        mqtt = settings(broker.port, "sordo")
        ended = CliRunner().invoke(main, ["ping", "p", "--wait", "0.5", "--config", str(configuration(tmp_path, mqtt))])

        monkeypatch.setattr(batch, "SILENT_S", 0.5)
        (tmp_path / "people.csv").write_text("user_id,name\n1,Ana\n")
        imported = CliRunner().invoke(
            main, ["users", "import", "p", str(tmp_path / "people.csv"), "--config", str(tmp_path / "config.yaml")]
        )

    assert (ended.exit_code, imported.exit_code) == (4, 4)
    said = "is the bridge running, and does the broker allow to read"
    assert_named(ended.stderr, said, "zk/p/ping/reply", "user 'sordo'")
    assert_named(imported.stderr, said, "zk/p/users/create-many/reply", "user 'sordo'")


def test_a_user_with_a_certificate_and_no_name_is_named_by_it() -> None:
    mqtt = Settings.model_validate({"tls": {"cert_file": "/etc/zkbridge/bridge.crt", "key_file": "/k"}})

    assert login.login_of(mqtt) == "the certificate /etc/zkbridge/bridge.crt"


def test_the_login_is_safe_to_print_and_has_no_password() -> None:
    mqtt = Settings(username="a\x1b[2J", password="geheim")

    assert login.login_of(mqtt) == r"user 'a\\u001b[2J'"


@pytest.mark.parametrize("page", [login.LOGIN_PAGE, login.BROKER_PAGE, login.RIGHTS_PAGE])
def test_the_pages_exist(page: str) -> None:
    path, _, anchor = page.partition("#")
    heads = [line.lstrip("# ") for line in (ROOT / path).read_text().splitlines() if line.startswith("#")]

    assert not anchor or anchor in {head.lower().replace(" ", "-") for head in heads}
