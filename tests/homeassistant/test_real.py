"""A real Home Assistant, a real Mosquitto, the bridge, simulated terminals: what people see and press."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.homeassistant.home_assistant import HomeAssistant, judge
from tests.homeassistant.test_messages import DOCS, KEYS, announced, entities
from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

PATIENCE_S = 300
EXAMPLES = re.search(r"```yaml\n(automation:.*?)```", DOCS, re.DOTALL)[1]
#: A warning that says nothing of us.
OTHERS = ("aiohttp_fast_zlib", "Skipping pip installation", "homeassistant.components.backup")


@dataclass
class Site:
    """Two bridges at one broker, one that speaks English and one that speaks Spanish."""

    home: HomeAssistant
    broker: Mosquitto
    bridge: Daemon
    terminal: SimulatedTerminal

    def wait_for(self, entity: str, state: str | None) -> None:
        wait_until(
            lambda: self.home.state(entity) == state,
            timeout=PATIENCE_S,
            what=f"{entity} to be {state}, which is {self.home.state(entity)}:\n{self.home.log}\n{self.bridge.log}",
        )

    def ask(self, topic: str, body: dict[str, Any]) -> dict[str, Any]:
        with Caller(self.broker.port) as caller:
            caller.subscribe(f"{topic}/reply")
            caller.publish(topic, body)
            return caller.wait_for(f"{topic}/reply", timeout=PATIENCE_S).json

    @property
    def complaints(self) -> list[str]:
        lines = self.home.log.splitlines()
        return [line for line in lines if re.search("WARNING|ERROR", line) and not any(each in line for each in OTHERS)]


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """Everything, started; every terminal has been probed."""
    on: dict[str, Any] = {"homeassistant": {"discovery": True}, "probe_interval": 300}
    with Simulator() as simulator, Mosquitto(folder / "broker") as broker:
        terminals = [simulator.add(TerminalConfig(profile="tft")) for _ in range(3)]
        english = {
            "principal": device(terminals[0], door={"enabled": True, "trust_clock": True}, attendance="live"),
            "entrada": device(terminals[1]),
        }
        spanish = {"bodega": device(terminals[2], door={"enabled": True, "trust_clock": True}, attendance="live")}
        with (
            Daemon(folder / "en", broker.port, english, language="en", **on) as bridge,
            Daemon(folder / "es", broker.port, spanish, mqtt={"base_topic": "planta_2/zk"}, **on),
            HomeAssistant(folder / "home", broker.port, more=EXAMPLES) as home,
        ):
            yield Site(home, broker, bridge, terminals[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site")) as site:
        site.wait_for("sensor.principal_users", "0")
        site.wait_for("binary_sensor.bodega_conexion", "on")
        yield site


def test_the_keys_that_the_quick_tests_use_are_home_assistants() -> None:
    assert judge("keys") == KEYS, "bring tests/homeassistant/keys.json up to date: judge.py keys"


def test_home_assistants_own_schemas_take_every_message_and_every_key_of_it() -> None:
    messages = [each for language in ("es", "en") for each in announced(language=language).values()]
    broken = json.loads(json.dumps(messages[-1]))
    broken["components"]["users"]["availabilty_mode"] = "all"
    broken["components"]["check"].pop("command_topic")

    *good, bad = judge("messages", given=[*messages, broken])

    assert good == [{} for _ in messages]
    assert bad["users"] == "dropped: availabilty_mode"
    assert "command_topic" in bad["check"]


def test_every_entity_is_there_in_both_languages_and_nothing_is_complained_of(site: Site) -> None:
    states = site.home.states()

    wanted = set(entities("en")) | {each.replace("principal", "bodega") for each in entities("es")}
    wanted |= {"binary_sensor.zkbridge_connection", "sensor.zkbridge_requests_waiting"}
    wanted |= {"binary_sensor.zkbridge_planta_2_zk_conexion"}
    assert wanted <= states.keys()
    assert "button.entrada_unlock_door" not in states
    assert {each: states[each]["state"] for each in wanted if each.startswith("sensor.principal")} == {
        "sensor.principal_users": "0",
        "sensor.principal_users_free": "5000",
        "sensor.principal_user_capacity": "5000",
        "sensor.principal_clock_drift": "0",
        "sensor.principal_last_error": "unknown",
        "sensor.principal_last_user_created": "unknown",
    }
    assert site.complaints == []


def test_every_terminal_is_a_device_that_hangs_on_its_bridge(site: Site) -> None:
    above = "{{ device_attr(device_attr('%s', 'via_device_id'), 'name') }}"

    assert site.home.render(above % "sensor.principal_users") == "zkbridge"
    assert site.home.render(above % "sensor.bodega_usuarios") == "zkbridge planta_2/zk"
    said = {
        "manufacturer": "ZKTeco",
        "model": "K40/ID",
        "serial_number": "A8N5184260172",
        "sw_version": "Ver 6.60 May 25 2018",
    }
    told = {key: site.home.render(f"{{{{ device_attr('sensor.principal_users', '{key}') }}}}") for key in said}
    assert told == said


def test_a_new_user_is_seen_and_the_name_is_not(site: Site) -> None:
    assert site.ask("zk/principal/users/create", {"user_id": "007", "name": "Ana Quispe"})["success"]

    site.wait_for("sensor.principal_users", "1")
    site.wait_for("sensor.principal_last_user_created", "007")
    site.wait_for("sensor.principal_users_free", "4999")
    assert "at" in site.home.states()["sensor.principal_last_user_created"]["attributes"]
    assert "Quispe" not in json.dumps({k: v for k, v in site.home.states().items() if k.startswith("sensor.")})


def test_the_button_asks_the_terminal_and_the_door_opens(site: Site) -> None:
    site.home.call("button.press", entity_id="button.principal_check_connection")
    wait_until(lambda: "command=info" in site.bridge.log and "code=ok" in site.bridge.log, timeout=PATIENCE_S)
    site.home.call("button.press", entity_id="button.principal_unlock_door")

    wait_until(lambda: "command=door/unlock" in site.bridge.log, timeout=PATIENCE_S)
    wait_until(lambda: re.search("answered .*door/unlock.* status=200", site.bridge.log), timeout=PATIENCE_S)


def test_the_lock_opens_for_its_seconds_and_is_locked_again(site: Site) -> None:
    lock = "lock.principal_lock"
    opened = site.bridge.log.count("command=door/unlock")
    site.home.call("lock.unlock", entity_id=lock)
    site.wait_for(lock, "unlocked")
    site.wait_for(lock, "locked")

    site.home.call("lock.lock", entity_id=lock)
    wait_until(lambda: "invalid_field" in site.bridge.log, timeout=PATIENCE_S)
    assert site.home.state(lock) == "locked"
    assert site.bridge.log.count("command=door/unlock") > opened
    assert site.complaints == []


def test_a_punch_is_seen_as_it_happens(site: Site) -> None:
    wait_until(lambda: "listened to for the first time" in site.bridge.log, timeout=PATIENCE_S)
    assert site.home.states()["event.principal_punch"]["state"] == "unknown"
    site.terminal.punch("007", verify=1, state=1, when=datetime(2026, 3, 2, 17, 30))  # noqa: DTZ001 - as a terminal's clock

    wait_until(lambda: site.home.states()["event.principal_punch"]["state"] != "unknown", timeout=PATIENCE_S)
    told = site.home.states()["event.principal_punch"]["attributes"]
    assert {key: told[key] for key in ("event_type", "user_id", "name", "timestamp", "status")} == {
        "event_type": "check_out",
        "user_id": "007",
        "name": "Ana Quispe",
        "timestamp": "2026-03-02T17:30:00",
        "status": 1,
    }
    assert site.complaints == []


def test_a_terminal_that_goes_and_comes_back_is_seen_to_do_so(site: Site) -> None:
    site.terminal.power_off()
    site.home.call("button.press", entity_id="button.principal_check_connection")

    site.wait_for("binary_sensor.principal_connection", "off")
    site.wait_for("sensor.principal_users", "unavailable")
    site.wait_for("button.principal_unlock_door", "unavailable")
    site.wait_for("sensor.principal_last_error", "device_unreachable")
    states = site.home.states()
    sentence = f"Connection refused by device 127.0.0.1:{site.terminal.port}"
    assert states["sensor.principal_last_error"]["attributes"]["error"] == sentence
    assert states["binary_sensor.principal_connection"]["attributes"]["reason"] == sentence
    assert states["sensor.entrada_users"]["state"] == "0"

    site.terminal.power_on()
    site.home.call("button.press", entity_id="button.principal_check_connection")

    site.wait_for("binary_sensor.principal_connection", "on")
    site.wait_for("sensor.principal_users", "1")
    site.wait_for("sensor.principal_last_error", "device_unreachable")


def test_the_examples_of_the_docs_work(site: Site) -> None:
    before = site.terminal.users()
    site.home.call("script.create_user", user_id="008", name='Inés "La Ñ"')

    site.wait_for("sensor.principal_last_user_created", "008")
    assert [user.name for user in site.terminal.users()[len(before) :]] == ['Inés "La Ñ"']
    # A notification is no entity; an automation tells when its conditions were met.
    ran = "{{ state_attr('automation.%s', 'last_triggered') is not none }}"
    wait_until(lambda: site.home.render(ran % "what_became_of_a_new_user") == "True", timeout=PATIENCE_S)
    wait_until(lambda: site.home.render(ran % "trouble_at_a_terminal") == "True", timeout=PATIENCE_S)


def test_a_home_assistant_that_starts_again_finds_everything_as_it_was(tmp_path: Path) -> None:
    with running(tmp_path) as site:
        assert site.ask("zk/principal/users/create", {"user_id": "7", "name": "Ana"})["success"]
        site.wait_for("sensor.principal_last_user_created", "7")
        site.terminal.power_off()
        site.home.call("button.press", entity_id="button.principal_check_connection")
        site.wait_for("sensor.principal_last_error", "device_unreachable")

        site.home.stop()
        site.home.start()

        site.wait_for("sensor.principal_last_error", "device_unreachable")
        site.wait_for("sensor.principal_last_user_created", "7")
        site.wait_for("binary_sensor.principal_connection", "off")
        site.wait_for("sensor.entrada_users", "0")
        assert site.complaints == []


def test_a_bridge_that_stops_and_what_is_removed_or_switched_off_then(tmp_path: Path) -> None:
    with running(tmp_path) as site:
        site.wait_for("sensor.principal_users", "0")
        site.wait_for("sensor.bodega_usuarios", "0")
        assert site.bridge.stop() == 0

        site.wait_for("binary_sensor.zkbridge_connection", "off")
        for entity in entities("en"):
            site.wait_for(entity, "unavailable")
        site.wait_for("sensor.bodega_usuarios", "0")

        site.bridge.config["devices"].pop("entrada")
        site.bridge.config["devices"]["principal"]["door"] = {"enabled": False}
        site.bridge.start()
        site.wait_for("sensor.entrada_users", None)
        site.wait_for("button.principal_unlock_door", None)
        site.wait_for("sensor.principal_users", "0")
        # One that stops before this is sure of nothing, and takes the same away again: Home Assistant wonders at that.
        wait_until(lambda: "messages for removed devices have been cleared" in site.bridge.log, timeout=PATIENCE_S)
        assert site.bridge.stop() == 0

        site.bridge.config["homeassistant"] = {"discovery": False}
        site.bridge.start()
        site.wait_for("sensor.principal_users", None)
        site.wait_for("binary_sensor.zkbridge_connection", None)
        site.wait_for("sensor.bodega_usuarios", "0")
        assert site.complaints == []
