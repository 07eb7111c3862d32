"""What Home Assistant takes as an add-on: its config.yaml, the options that a person enters, its translations.

The rules are those of home-assistant/supervisor, supervisor/apps/validate.py and options.py (090ef31, August 2026).
The supervisor drops a key that it does not know without a word; here that is a fault, and so are a value that is the
default and an architecture that is no longer served: frenck/action-addon-linter, with which add-ons are checked before
they are published, refuses them (config.schema.json and lint.py, 2bd8faa, April 2026). No text of either is here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft7Validator

#: A file of an add-on, as YAML or JSON is read.
Document = Mapping[str, Any]

ARCHITECTURES = ("aarch64", "amd64")
CAPABILITIES = (
    *("BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK", "NET_ADMIN", "NET_RAW", "PERFMON", "SYS_ADMIN"),
    *("SYS_MODULE", "SYS_NICE", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME"),
)
FOLDERS = (
    *("data", "ssl", "backup", "share", "media", "homeassistant_config", "local_apps", "all_app_configs", "app_config"),
    *("addons", "all_addon_configs", "addon_config"),
)
#: Keys that are true or false, by their default.
FLAGS = {
    True: ("apparmor", "init", "panel_admin"),
    False: (
        *("audio", "auth_api", "devicetree", "docker_api", "full_access", "gpio", "hassio_api", "homeassistant_api"),
        *("host_dbus", "host_ipc", "host_network", "host_pid", "host_uts", "ingress", "ingress_stream", "journald"),
        *("kernel_modules", "legacy", "realtime", "stdin", "tmpfs", "uart", "udev", "usb", "video"),
    ),
}
TEXTS = (
    *("name", "version", "description", "backup_post", "backup_pre", "homeassistant", "image", "ingress_entry"),
    *("panel_icon", "panel_title", "url"),
)
LISTS_OF_TEXTS = ("backup_exclude", "breaking_versions", "devices", "discovery", "machine")
#: The default of each comes first.
CHOICES = {
    "backup": ("hot", "cold"),
    "boot": ("auto", "manual", "manual_only"),
    "hassio_role": ("default", "homeassistant", "backup", "manager", "admin"),
    "stage": ("stable", "experimental", "deprecated"),
    "startup": ("application", "initialize", "system", "services", "once"),
}
REQUIRED = ("name", "version", "slug", "description", "arch")
DEFAULTS: dict[str, object] = {
    **{key: default for default, keys in FLAGS.items() for key in keys},
    **{key: values[0] for key, values in CHOICES.items()},
    "ingress_port": 8099,
    "panel_icon": "mdi:puzzle",
    "timeout": 10,
    "options": {},
    "schema": {},
}

_RANGE = r"(\(-?[\d.]*,-?[\d.]*\))?"
#: What an option may be: `str`, `int(1,10)?`, `list(tcp|udp)`; the question mark makes it optional.
OPTION = re.compile(
    rf"(bool|email|url|port|device(\(subsystem=[a-z]+\))?|(str|password|int|float){_RANGE}"
    r"|match\((?P<match>.*)\)|list\((?P<list>.+)\))(?P<optional>\?)?"
)
_TEXT = {"type": "string"}
_ELEMENT = {"$ref": "#/definitions/element"}
_ONE_OR_MANY = {"type": "object", "additionalProperties": _ELEMENT}
_OPTION = {"type": "string", "pattern": f"^({OPTION.pattern})$"}
_LIMIT = {"type": "integer"}

CONFIG: dict[str, Any] = {
    "type": "object",
    "required": list(REQUIRED),
    "additionalProperties": False,
    "definitions": {
        "element": {
            "anyOf": [
                _OPTION,
                _ONE_OR_MANY,
                # A list holds options or groups of them, never another list.
                {"type": "array", "minItems": 1, "maxItems": 1, "items": {"anyOf": [_OPTION, _ONE_OR_MANY]}},
            ]
        }
    },
    "properties": {
        **{key: {"type": "boolean"} for keys in FLAGS.values() for key in keys},
        **dict.fromkeys(TEXTS, _TEXT),
        **{key: {"type": "array", "items": _TEXT} for key in LISTS_OF_TEXTS},
        **{key: {"enum": list(values)} for key, values in CHOICES.items()},
        "arch": {"type": "array", "minItems": 1, "items": {"enum": list(ARCHITECTURES)}},
        "environment": {"type": "object", "additionalProperties": _TEXT},
        "ingress_port": {"type": "integer", "minimum": 0, "maximum": 65535},
        "map": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "string", "pattern": f"^({'|'.join(FOLDERS)})(:(rw|ro))?$"},
                    {
                        "type": "object",
                        "required": ["type"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"enum": list(FOLDERS)},
                            "read_only": {"type": "boolean"},
                            "path": _TEXT,
                        },
                    },
                ]
            },
        },
        "options": {"type": "object"},
        "ports": {
            "type": "object",
            "propertyNames": {"pattern": r"^\d+(-\d+)?(/(tcp|udp|sctp))?$"},
            "additionalProperties": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
        },
        "ports_description": {"type": "object", "additionalProperties": _TEXT},
        "privileged": {"type": "array", "items": {"enum": list(CAPABILITIES)}},
        "schema": {"anyOf": [{"enum": [False]}, _ONE_OR_MANY]},
        "services": {"type": "array", "items": {"type": "string", "pattern": "^(mqtt|mysql):(provide|want|need)$"}},
        "slug": {"type": "string", "pattern": r"^[-_.A-Za-z0-9]+$"},
        "timeout": {"type": "integer", "minimum": 10, "maximum": 300},
        "ulimits": {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    _LIMIT,
                    {
                        "type": "object",
                        "required": ["soft", "hard"],
                        "additionalProperties": False,
                        "properties": {"soft": _LIMIT, "hard": _LIMIT},
                    },
                ]
            },
        },
        "webui": {"type": "string", "pattern": r"^(https?|\[PROTO:\w+\])://\[HOST\]:\[PORT:\d+\]"},
    },
}
TRANSLATION: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "definitions": {
        "option": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": _TEXT,
                "description": {"type": ["string", "null"]},
                "fields": {"type": "object", "additionalProperties": {"$ref": "#/definitions/option"}},
            },
        }
    },
    "properties": {
        "configuration": {"type": "object", "additionalProperties": {"$ref": "#/definitions/option"}},
        "network": {"type": "object", "additionalProperties": _TEXT},
    },
}


def config_faults(config: Document) -> list[str]:
    """What is wrong with a config.yaml: the path of each key, and what it is to be."""
    found = _schema_faults(config, CONFIG)
    found += [f"{key}: is the default" for key, default in DEFAULTS.items() if config.get(key) == default]
    if config.get("backup") == "cold":
        found += [f"{key}: is for hot backups" for key in ("backup_pre", "backup_post") if key in config]
    if not found and config.get("schema"):
        found += _pattern_faults(config["schema"])
        found += option_faults(config.get("options", {}), config["schema"])
    return found


def translation_faults(translation: Document) -> list[str]:
    """What is wrong with a file of translations."""
    return _schema_faults(translation, TRANSLATION)


def option_faults(options: Document, schema: Document) -> list[str]:
    """What is wrong with the options of an add-on, whose schema it is: an add-on with a fault is not started."""
    return list(_group_faults(options, schema, "options"))


def _schema_faults(document: Document, schema: Document) -> list[str]:
    errors = Draft7Validator(schema).iter_errors(document)
    return sorted(f"{error.json_path.removeprefix('$.')}: {error.message}" for error in errors)


def _pattern_faults(element: object) -> Iterator[str]:
    """Each `match(…)` whose expression Python does not read."""
    if isinstance(element, str):
        named = OPTION.fullmatch(element)
        try:
            re.compile(named["match"] or "" if named else "")
        except re.error as error:
            yield f"schema: {element}: {error}"
    elif isinstance(element, Mapping | Sequence):
        for each in element.values() if isinstance(element, Mapping) else element:
            yield from _pattern_faults(each)


def _group_faults(options: Document, schema: Document, path: str) -> Iterator[str]:
    for key, value in options.items():
        if key in schema:
            yield from _value_faults(value, schema[key], f"{path}.{key}")
        else:
            yield f"{path}.{key}: is not in the schema"
    for key in schema.keys() - options.keys():
        element = schema[key][0] if isinstance(schema[key], list) else schema[key]
        if not (isinstance(element, str) and element.endswith("?")):
            yield f"{path}.{key}: is missing"


def _value_faults(value: object, element: object, path: str) -> Iterator[str]:
    if isinstance(element, list):
        if not isinstance(value, list):
            yield f"{path}: must be a list"
            return
        for place, each in enumerate(value):
            yield from _value_faults(each, element[0], f"{path}.{place}")
    elif isinstance(element, Mapping):
        if not isinstance(value, Mapping):
            yield f"{path}: must be a group of options"
            return
        yield from _group_faults(value, element, path)
    elif not _fits(value, str(element)):
        yield f"{path}: must be {element}"


def _fits(value: object, element: str) -> bool:
    """Whether a value is one of that kind. Ranges, addresses and devices are not looked at: no option here has one."""
    named = OPTION.fullmatch(element)
    assert named, element
    kind = named[1].partition("(")[0]
    if kind == "match":
        return re.match(named["match"], str(value)) is not None
    if kind == "list":
        return str(value) in named["list"].split("|")
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "port":
        return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
    assert kind in ("str", "password"), element
    return isinstance(value, str)
