"""The add-on is what Home Assistant takes, and the rules that say so find a copy of it that is broken."""

import copy
import struct
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.homeassistant.addon_rules import CONFIG, DEFAULTS, config_faults, option_faults, translation_faults
from tests.project.tree import ROOT

ADDON = ROOT / "addon"
LANGUAGES = ("en", "es")


def read(path: str) -> Any:
    return YAML(typ="safe").load(ADDON / path)


def broken(**changes: Any) -> dict[str, Any]:
    """A copy of the add-on's config.yaml with other values; None removes a key."""
    changed = {**copy.deepcopy(read("config.yaml")), **changes}
    return {key: value for key, value in changed.items() if value is not None}


def with_option(element: object, default: object = None) -> dict[str, Any]:
    """A copy with one more option, `extra`, and its default if there is one."""
    config = broken()
    config["schema"]["extra"] = element
    if default is not None:
        config["options"]["extra"] = default
    return config


def test_home_assistant_takes_the_addon() -> None:
    assert config_faults(read("config.yaml")) == []
    for language in LANGUAGES:
        assert translation_faults(read(f"translations/{language}.yaml")) == []


def test_the_addon_has_the_files_that_a_local_addon_needs() -> None:
    assert (ADDON / "Dockerfile").is_file()
    assert (ADDON / "DOCS.md").is_file()
    assert not list(ADDON.glob("build.*"))  # deprecated: what it said is said in the Dockerfile
    signature, width, height = struct.unpack(">8s8xII", (ADDON / "icon.png").read_bytes()[:24])
    assert (signature, width, height) == (b"\x89PNG\r\n\x1a\n", 128, 128)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (broken(version=None), "'version' is a required property"),
        (broken(version=0.1), "version: 0.1 is not of type 'string'"),
        (broken(slug="zk bridge"), "slug: 'zk bridge' does not match"),
        (broken(arch=["amd64", "armv7"]), "arch[1]: 'armv7' is not one of"),
        (broken(arch=[]), "arch: [] should be non-empty"),
        (broken(startup="before"), "startup: 'before' is not one of"),
        (broken(boot="auto"), "boot: is the default"),
        (broken(init="no"), "init: 'no' is not of type 'boolean'"),
        (broken(timeout=900), "timeout: 900 is greater than the maximum of 300"),
        (broken(services=["mqtt:wants"]), "services[0]: 'mqtt:wants' does not match"),
        (broken(backup_pre="sync"), "backup_pre: is for hot backups"),
        (broken(map=["/etc:rw"]), "map[0]: '/etc:rw' is not valid"),
        (broken(ports={"1883/tcp": 70000}), "70000 is greater than the maximum of 65535"),
        (broken(prots={}), "Additional properties are not allowed ('prots' was unexpected)"),
        (with_option("strng?"), "schema: "),
        (with_option([["str"]]), "schema: "),
        (with_option([]), "schema: "),
        (with_option("match(^[a-z$)?"), "schema: match(^[a-z$)?: unterminated character set"),
        (with_option("str"), "options.extra: is missing"),
        (with_option("list(a|b)", "c"), "options.extra: must be list(a|b)"),
        (with_option("port", 0), "options.extra: must be port"),
        (with_option("bool", 1), "options.extra: must be bool"),
        (with_option("str?", 7), "options.extra: must be str?"),
        (with_option(["str"], "a"), "options.extra: must be a list"),
        (with_option({"a": "str"}, "a"), "options.extra: must be a group of options"),
        (with_option([{"a": "str"}], [{"b": "x"}]), "options.extra.0.b: is not in the schema"),
        (with_option([{"a": "match(^x$)"}], [{"a": "y"}]), "options.extra.0.a: must be match(^x$)"),
    ],
)
def test_a_broken_copy_is_found(config: dict[str, Any], fault: str) -> None:
    assert any(fault in each for each in config_faults(config)), config_faults(config)


@pytest.mark.parametrize("key", CONFIG["properties"])
def test_every_key_has_a_rule(key: str) -> None:
    """None of them is a key of which anything is taken."""
    assert config_faults({**broken(), key: 7.5})


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_default_is_not_to_be_written(key: str) -> None:
    assert f"{key}: is the default" in config_faults({**broken(), key: DEFAULTS[key]})


@pytest.mark.parametrize(
    ("translation", "fault"),
    [
        ({"configuration": {"devices": {"description": "x"}}}, "'name' is a required property"),
        ({"configuration": {"devices": {"name": "x", "fields": {"id": "x"}}}}, "'x' is not of type 'object'"),
        ({"configurations": {}}, "'configurations' was unexpected"),
    ],
)
def test_a_broken_translation_is_found(translation: dict[str, Any], fault: str) -> None:
    (found,) = translation_faults(translation)
    assert fault in found


def test_every_option_of_a_terminal_has_a_name_in_each_language() -> None:
    schema = read("config.yaml")["schema"]["devices"][0]
    for language in LANGUAGES:
        fields = read(f"translations/{language}.yaml")["configuration"]["devices"]["fields"]
        assert set(fields) == set(schema)


def test_what_a_person_enters_is_held_to_the_schema() -> None:
    config = read("config.yaml")
    terminal = {"id": "entrada", "host": "192.0.2.1", "comm_key": "1234", "transport": "udp", "door": True}

    assert option_faults({**config["options"], "devices": [terminal]}, config["schema"]) == []
    assert option_faults({**config["options"], "devices": [{"id": "a b"}]}, config["schema"]) == [
        f"options.devices.0.id: must be {config['schema']['devices'][0]['id']}",
        "options.devices.0.host: is missing",
    ]
