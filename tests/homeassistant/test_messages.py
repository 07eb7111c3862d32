"""What the bridge announces, held against the keys that Home Assistant knows: it drops others without a word.

`keys.json` is what `judge.py keys` prints in a Home Assistant; `make homeassistant` compares it with one.
"""

import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.project.tree import ROOT
from zkbridge.commands import commands
from zkbridge.config.models import Config
from zkbridge.config.yaml_file import parse_yaml
from zkbridge.contract.errors import InvalidField
from zkbridge.contract.topics import Topics
from zkbridge.homeassistant.discovery import NAMES, Discovery, escaped
from zkbridge.homeassistant.door import LockState
from zkbridge.homeassistant.status import Status

KEYS = json.loads(Path(__file__).with_name("keys.json").read_text())
DOCS = (ROOT / "docs" / "home-assistant.md").read_text()
TOPICS = Topics()
BUTTONS = [(name, each.button) for name, each in commands().items() if each.button is not None]


def announced(devices: tuple[str] | list[str] = ("principal",), **more: Any) -> dict[str, Any]:
    """Every message by its topic, as Home Assistant reads it."""
    listed = {name: {"host": "192.0.2.1", "door": {"enabled": True}, "attendance": "live"} for name in devices}
    config = Config.model_validate({"devices": listed, "homeassistant": {"discovery": True}, **more})
    return {each.topic: json.loads(each.payload) for each in Discovery(config, BUTTONS).messages()}


def complaints(message: dict[str, Any]) -> list[str]:
    """What Home Assistant would not take, or would drop."""
    found: list[Any] = []

    def look(place: str, given: dict[str, Any], known: dict[str, bool]) -> None:
        found.extend(f"{place}: {key} is not known" for key in given if key not in known)
        found.extend(f"{place}: {key} is missing" for key, needed in known.items() if needed and key not in given)

    look("message", message, KEYS["message"])
    look("device", message["device"], KEYS["device"])
    look("origin", message["origin"], KEYS["origin"])
    for name, component in message["components"].items():
        platform = component["platform"]
        look(name, component, KEYS["components"][platform])
        for each in component.get("availability", ()):
            look(f"{name}.availability", each, KEYS["availability"])
        for key, value in component.items():
            words = KEYS["words"].get(f"{platform}.{key}", KEYS["words"].get(key))
            if words is not None and value not in words:
                found.append(f"{name}: {value} is no {key}")
    return found


@pytest.mark.parametrize("language", ["es", "en"])
def test_home_assistant_knows_every_key_and_misses_none(language: str) -> None:
    for message in announced(language=language).values():
        assert complaints(message) == []


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"availabilty_mode": "all"}, "users: availabilty_mode is not known"),
        ({"state_class": "measured"}, "users: measured is no state_class"),
        ({"device_class": "people"}, "users: people is no device_class"),
        ({"availability": [{"value_template": "x"}]}, "users.availability: topic is missing"),
    ],
)
def test_a_key_or_word_that_home_assistant_does_not_know_is_noticed(broken: dict[str, Any], complaint: str) -> None:
    *_, message = announced().values()
    message["components"]["users"] |= broken

    assert complaints(message) == [complaint]


def test_a_key_that_home_assistant_needs_is_missed() -> None:
    *_, message = announced().values()
    del message["components"]["check"]["command_topic"]
    del message["origin"]["name"]

    assert complaints(message) == ["origin: name is missing", "check: command_topic is missing"]


def test_its_topics_are_those_of_the_bridge() -> None:
    (_bridge, terminal) = announced().values()
    told = {TOPICS.state, TOPICS.availability("principal"), TOPICS.status("principal"), TOPICS.punches("principal")}
    heard = {TOPICS.command("principal", name) for name in commands()}
    assert {each["platform"] for each in terminal["components"].values() if "command_topic" in each} == {
        "button",
        "lock",
    }

    for component in terminal["components"].values():
        topics = {value for key, value in component.items() if key.endswith("topic") and key != "command_topic"}
        assert topics | {each["topic"] for each in component["availability"]} <= told
        assert {component[key] for key in ("command_topic",) if key in component} <= heard
        assert component["qos"] == 1
        if "command_topic" in component:
            assert commands()[component["command_topic"].removeprefix("zk/principal/")].parse(
                json.loads(component.get("payload_press") or component["payload_unlock"]), strict=True
            )


@pytest.mark.parametrize("strict", [False, True])
def test_the_order_to_lock_opens_no_door(strict: bool) -> None:
    (_bridge, terminal) = announced().values()
    lock = terminal["components"]["lock"]

    with pytest.raises(InvalidField):
        commands()["door/unlock"].parse(json.loads(lock["payload_lock"]), strict=strict)


def test_a_lock_is_unknown_until_the_bridge_publishes_its_state() -> None:
    (_bridge, terminal) = announced().values()
    lock = terminal["components"]["lock"]

    assert not lock.get("optimistic", False)
    assert lock["state_topic"] == TOPICS.status("principal")
    assert {lock[f"state_{each}"] for each in get_args(LockState)} == set(get_args(LockState))
    assert lock["value_template"] == "{{ value_json.lock }}"
    assert Status._fields[-1] == "lock"


def test_counts_and_door_need_the_terminal_and_all_else_the_bridge_alone() -> None:
    (_bridge, terminal) = announced().values()
    both = [TOPICS.state, TOPICS.availability("principal")]
    needs = {
        name: [each["topic"] for each in component["availability"]]
        for name, component in terminal["components"].items()
    }

    assert {name for name, topics in needs.items() if topics == both} == {
        "users",
        "users_free",
        "users_capacity",
        "clock_drift",
        "punch",
        "unlock",
        "lock",
    }
    assert {name for name, topics in needs.items() if topics == both[:1]} == {
        "connection",
        "last_error",
        "last_user",
        "check",
    }
    assert {component["availability_mode"] for component in terminal["components"].values()} == {"all"}


@pytest.mark.parametrize(
    ("policy", "check", "unlock"),
    [
        (None, "zk/principal/info", True),
        (["ping", "users/create"], "zk/principal/ping", False),
        (["users/create", "door/unlock"], None, True),
    ],
)
def test_no_button_asks_for_what_the_policy_forbids(policy: list[str] | None, check: str | None, unlock: bool) -> None:
    (_bridge, terminal) = announced(policy={"commands": policy}).values()

    assert terminal["components"].get("check", {}).get("command_topic") == check
    assert ("command_topic" in terminal["components"]["unlock"]) == unlock
    assert ("command_topic" in terminal["components"]["lock"]) == unlock


def test_a_door_that_may_not_be_opened_and_punches_that_are_not_published_are_not_shown() -> None:
    config = Config.model_validate({"devices": {"principal": {"host": "a"}}})
    components = json.loads(Discovery(config, BUTTONS).messages()[1].payload)["components"]

    assert components["unlock"] == {"platform": "button"}
    assert components["lock"] == {"platform": "lock"}
    assert components["punch"] == {"platform": "event"}


#: What Home Assistant knows entities by. A line may be added; one that is changed or removed breaks what people built.
FROZEN = {
    "zkbridge/zk/bridge/connection": ("binary_sensor", "Conexión", "Connection"),
    "zkbridge/zk/bridge/waiting": ("sensor", "Solicitudes en espera", "Requests waiting"),
    "zkbridge/zk/principal/connection": ("binary_sensor", "Conexión", "Connection"),
    "zkbridge/zk/principal/users": ("sensor", "Usuarios", "Users"),
    "zkbridge/zk/principal/users_free": ("sensor", "Lugares libres", "Users free"),
    "zkbridge/zk/principal/users_capacity": ("sensor", "Capacidad de usuarios", "User capacity"),
    "zkbridge/zk/principal/clock_drift": ("sensor", "Desfase del reloj", "Clock drift"),
    "zkbridge/zk/principal/last_error": ("sensor", "Último error", "Last error"),
    "zkbridge/zk/principal/last_user": ("sensor", "Último usuario creado", "Last user created"),
    "zkbridge/zk/principal/punch": ("event", "Fichaje", "Punch"),
    "zkbridge/zk/principal/check": ("button", "Comprobar conexión", "Check connection"),
    "zkbridge/zk/principal/unlock": ("button", "Abrir puerta", "Unlock door"),
    "zkbridge/zk/principal/lock": ("lock", "Cerradura", "Lock"),
}


def test_an_update_changes_no_entity() -> None:
    """Literals, and no constant of the program: its own names are what may not change."""
    told: dict[str, list[str]] = {}
    for language in ("es", "en"):
        messages = announced(language=language)
        assert list(messages) == [
            "homeassistant/device/zkbridge_zk/bridge/config",
            "homeassistant/device/zkbridge_zk/principal/config",
        ]
        assert [each["device"]["identifiers"] for each in messages.values()] == [
            ["zkbridge/zk/bridge"],
            ["zkbridge/zk/principal"],
        ]
        for message in messages.values():
            for key, each in message["components"].items():
                assert each["unique_id"].rpartition("/")[2] == key
                told.setdefault(each["unique_id"], [each["platform"]]).append(each["name"])

    assert {id_: tuple(each) for id_, each in told.items()} == FROZEN


def test_a_terminal_is_described_by_what_it_has_reported() -> None:
    config = Config.model_validate({"devices": {"principal": {"host": "a"}}, "homeassistant": {"discovery": True}})

    def about(status: Status) -> Any:
        return json.loads(Discovery(config, BUTTONS, lambda _device: status).messages()[1].payload)["device"]

    bare = {"identifiers", "name", "manufacturer", "via_device"}
    assert about(Status()).keys() == bare
    told = about(Status(device_name="K40/ID", serialnumber="A8N5184260172", firmware_version="Ver 6.60"))
    assert told.keys() == bare | {"model", "serial_number", "sw_version"}
    assert (told["model"], told["serial_number"], told["sw_version"]) == ("K40/ID", "A8N5184260172", "Ver 6.60")
    assert told.keys() <= KEYS["device"].keys()


def test_every_terminal_hangs_on_the_bridge_and_everything_has_one_id() -> None:
    messages = announced(["principal", "entrada"])
    bridge, *terminals = messages.values()
    ids = [each["unique_id"] for message in messages.values() for each in message["components"].values()]

    assert {each["device"]["via_device"] for each in terminals} == set(bridge["device"]["identifiers"])
    assert len(set(ids)) == len(ids) > 12
    assert "zkbridge/zk/principal/users" in ids


def test_the_topic_is_one_that_home_assistant_reads() -> None:
    for base in ("zk", "planta/zk", "planta_2/zk-1"):
        for topic in announced(mqtt={"base_topic": base}):
            assert re.fullmatch(r"homeassistant/device/zkbridge_[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config", topic)


def test_no_two_base_topics_meet_in_home_assistant() -> None:
    bases = ["a", "a/b", "a_b", "a-b", "a_/b", "a/_b", "a_-b", "a__b", "a/-b", "a//b".replace("//", "/x/")]

    assert len({escaped(base) for base in bases}) == len(bases)
    seen = [tuple(announced(mqtt={"base_topic": base})) for base in bases]
    assert len({topic for topics in seen for topic in topics}) == 2 * len(bases)


def test_help_is_offered_where_the_package_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        def get_all(self, _name: str) -> list[str]:
            return ["Homepage, https://example.org", "Issues, https://example.org/issues"]

    monkeypatch.setattr(metadata, "metadata", lambda _name: Package())

    for message in announced().values():
        assert message["origin"]["support_url"] == "https://example.org/issues"
        assert complaints(message) == []


# -- the page in the docs ------------------------------------------------------------------------------------------


def slug(text: str) -> str:
    """As Home Assistant makes ids of names, for the letters that ours have."""
    plain = text.lower().translate(str.maketrans("áéíóúüñ", "aeiouun"))
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def entities(language: str) -> list[str]:
    """The ids that Home Assistant gives the entities of the terminal `principal`, in their order."""
    (_bridge, terminal) = announced(language=language).values()
    return [f"{each['platform']}.principal_{slug(each['name'])}" for each in terminal["components"].values()]


def test_the_table_in_the_docs_is_what_is_announced() -> None:
    rows = DOCS.split("<!-- entities -->")[1].split("<!-- /entities -->")[0].strip().splitlines()[2:]

    assert [row.split("|")[2].strip(" `") for row in rows] == entities("en")
    assert [row.split("|")[3].strip(" `") for row in rows] == entities("es")
    named = NAMES | {button.key: button.name for _command, button in BUTTONS}
    named |= {button.lock.key: button.lock.name for _command, button in BUTTONS if button.lock is not None}
    assert len({name for names in named.values() for name in names}) == 2 * len(named)


def test_the_configuration_in_the_docs_is_valid() -> None:
    block = parse_yaml(re.search(r"```yaml\n(homeassistant:.*?)```", DOCS, re.DOTALL)[1])

    assert Config.model_validate({**block, "devices": {"principal": {"host": "a"}}}).homeassistant.discovery


def test_the_examples_in_the_docs_speak_of_what_there_is() -> None:
    block = re.search(r"```yaml\n(automation:.*?)```", DOCS, re.DOTALL)[1]
    example = parse_yaml(block)
    known = {each.replace("principal", device) for each in entities("en") for device in ("principal", "entrada")}
    (asked,) = [step["data"] for step in example["script"]["create_user"]["sequence"]]
    payload = re.sub(r"\{\{.*?\}\}", '"x"', asked["payload"])

    assert set(re.findall(r"(?:binary_sensor|sensor|button)\.\w+", block)) <= known
    assert asked["topic"].removeprefix("zk/principal/") in commands()
    assert commands()["users/create"].parse(json.loads(payload), strict=True)
    assert (asked["qos"], "retain" in asked) == ("1", False)
    assert f"topic: {TOPICS.reply('principal', 'users/create')}\n" in block
