"""The contract as data: an AsyncAPI 3 document made from the commands, the models and the errors themselves.

Structure after the AsyncAPI 3.0.0 specification and its MQTT bindings 0.2.0.
"""

from __future__ import annotations

import json
import re
import string
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

import zkbridge
from zkbridge.commands import Command, Lasting, commands
from zkbridge.config.models import Config
from zkbridge.contract import answers
from zkbridge.contract.errors import (
    BridgeError,
    Busy,
    DeviceTimeout,
    EnrolmentError,
    Expired,
    FieldFault,
    Internal,
    InvalidField,
    MissingFields,
    OutcomeUnknown,
    TerminalError,
    UserExists,
)
from zkbridge.contract.groups import Said, together, waiting
from zkbridge.contract.messages import Reply, failed, succeeded
from zkbridge.contract.texts import TEXTS, Language, say
from zkbridge.contract.topics import DEVICE_ID, Topics

Json = dict[str, Any]

_MQTT = "0.2.0"
_SCHEMAS = "#/components/schemas/"
_REQUEST_ID = "r-1"
#: What fills the sentences of the examples.
_FACTS: dict[str, object] = {
    "device": "bodega",
    "user_id": "123",
    "request_id": _REQUEST_ID,
    "size": 70_000,
    "limit": 65_536,
    "command": "users/create",
    "host": "192.168.1.205",
    "port": 4370,
    "detail": "Network is down",
    "operation": "set_user",
    "answer": 2001,
    "retry_after_s": 10,
    "waiting": 1000,
    "finger_index": 6,
}
#: Errors of some commands only; all others can be the answer to any command.
_ONLY: dict[str, str] = {
    "user_exists": "users/create",
    "device_full": "users/create|users/enroll-finger",
    "user_not_found": "users/(update|delete|fingers|enroll-finger)",
    "finger_.*": "users/enroll-finger",
    "enroll_(?!not_found).*": "users/enroll-finger",
    "enroll_not_found": "users/enroll-finger/cancel",
}
#: Errors that only a group's request has.
_OF_GROUPS = {"partial", "all_failed"}
#: Fields of every request, or of some and the same for all of these.
_SHARED = ("catch_up", "request_id", "expires_at")
#: Errors of requests that were not read, so that their id is not known.
_UNREAD = {"body_required", "payload_too_large"}


@dataclass(frozen=True)
class Site:
    """Whose contract is described: any bridge's, or that of one configuration."""

    topics: Topics = field(default_factory=Topics)
    language: Language = "es"
    devices: tuple[str, ...] = ("principal", "entrada")
    groups: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"planta": ("principal", "entrada")})
    known: bool = False
    broker: str = "localhost:1883"
    secure: bool = False
    offered: dict[str, Command] = field(default_factory=commands)

    @classmethod
    def of(cls, config: Config) -> Site:
        """The bridge that this configuration makes."""
        allowed = config.policy.commands
        return cls(
            topics=Topics(config.mqtt.base_topic),
            language=config.language,
            devices=tuple(config.devices),
            groups=config.groups,
            known=True,
            broker=f"{config.mqtt.host}:{config.mqtt.port}",
            secure=config.mqtt.tls is not None,
            offered={name: each for name, each in commands().items() if allowed is None or name in allowed},
        )


def document(site: Site | None = None) -> Json:
    """The whole document, as plain values."""
    site = site or Site()
    made = {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": {"broker": _server(site)},
        "channels": _channels(site),
        "operations": _operations(site),
        "components": {"messages": _messages(site), "schemas": _schemas(site)},
    }
    plain: Json = json.loads(json.dumps(made))  # nothing shared: a YAML file with anchors is hard to read
    return plain


def example_request(command: Command) -> Json:
    """A request with every field of the command, as its models show it."""
    properties = command.params.model_json_schema()["properties"]
    own = {name: _example(schema) for name, schema in properties.items() if name not in _SHARED}
    return {**own, "request_id": _REQUEST_ID}


def example_success(command: Command, site: Site) -> Json:
    """What the bridge answers to the example when all is well, made as the bridge makes it."""
    body: Json = {}
    model = answers.DATA.get(command.name)
    data: Any = None
    if model is not None:
        data = [_sample(model[0])] if isinstance(model, list) else _sample(model)
    for name in answers.COUNTS.get(command.name, {}):
        if name != "next_offset":
            body[name] = len(data) if isinstance(data, list) else 0
    if command.name in TEXTS:
        facts = data if isinstance(data, dict) else {}
        body = {"message": say(command.name, site.language, **facts), **body}
    if data is not None:
        body["data"] = data
    return _read(succeeded(body, code=command.code, request_id=_REQUEST_ID))


def example_progress(command: Command, site: Site) -> list[Json]:
    """What an attended command tells, step by step, to the example."""
    steps = answers.STEPS.get(command.name, {})
    return [
        {
            "message": say(f"{command.name}.{step}", site.language, **facts),
            "step": step,
            **facts,
            "device_id": "principal",
            "request_id": _REQUEST_ID,
        }
        for step, facts in steps.items()
    ]


def example_failures(site: Site, *, command: Command | None = None) -> dict[str, list[Json]]:
    """Every error by its code, each with an example of each of its sentences; of one command, or of all."""
    found: dict[str, list[Json]] = {}
    for kind in _error_classes():
        if command is not None and not _can_answer(command, kind):
            continue
        if kind.code in _OF_GROUPS:
            found[kind.code] = list(_group_failures(kind.code, site)) if site.groups else []
            continue
        for error in _samples(kind, site):
            request_id = None if kind.code in _UNREAD else _REQUEST_ID
            example = _read(failed(error, site.language, request_id=request_id))
            if example not in found.setdefault(kind.code, []):
                found[kind.code].append(example)
    found = {code: examples for code, examples in found.items() if examples}
    return dict(sorted(found.items(), key=lambda pair: (pair[1][0]["status"], pair[0])))


def request_fields(command: Command) -> Json:
    """The schema of each field of the command's payload, its own ones first."""
    fields: Json = _request_schema(command, {})["properties"]
    return fields


def summary(command: Command) -> str:
    """What the command is for, in a sentence: the first line of its file, without its name."""
    line = _first_line(sys.modules[command.run.__module__]).removeprefix(f"{command.name}: ")
    return line[:1].upper() + line[1:]


def camel(*parts: str) -> str:
    """An identifier of several words: `users/create`, `reply` becomes `usersCreateReply`."""
    first, *rest = (word for part in parts for word in re.split(r"[/_-]", part))
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


# -- the head ------------------------------------------------------------------------------------------------------


def _info() -> Json:
    return {
        "title": "zkbridge",
        "version": zkbridge.__version__,
        "description": _text(
            """
            The MQTT way into ZKTeco terminals: publish one message, get one honest answer.

            A request goes to `<base>/<device>/<command>`, its one reply comes on `…/reply`. An MQTT 5 caller may set
            Response Topic (below `<base>/replies/` or `<base>/<device>/`) and Correlation Data, which comes back byte
            for byte; an MQTT 3.1.1 caller tells replies apart by `request_id`.

            A retained command is never executed. A field that is null counts as absent. The same `request_id` with
            the same content is carried out once; every later copy gets the stored reply with `replayed: true`.
            """
        ),
        "license": {"name": "GPL-2.0-or-later", "url": "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html"},
        "tags": [{"name": "command"}, {"name": "state"}],
    }


def _server(site: Site) -> Json:
    state = {"state": "offline", "instance": "9f86d081"}
    return {
        "host": site.broker,
        "protocol": "secure-mqtt" if site.secure else "mqtt",
        "protocolVersion": "5",
        "description": "The MQTT broker; MQTT 3.1.1 is spoken where the broker knows nothing newer.",
        "bindings": {
            "mqtt": {
                "clientId": "zkbridge",
                "cleanSession": False,
                "lastWill": {"topic": site.topics.state, "qos": 1, "retain": True, "message": json.dumps(state)},
                "bindingVersion": _MQTT,
            }
        },
    }


# -- topics and what is done on them -------------------------------------------------------------------------------


def _channels(site: Site) -> Json:
    topics, channels = site.topics, {}
    for name, command in site.offered.items():
        channels[camel(name)] = {
            "address": topics.command("{device}", name),
            "title": name,
            "description": summary(command),
            "messages": _references([camel(name, "request")]),
            "parameters": {"device": _device(site, command)},
            "tags": [{"name": "command"}],
        }
        channels[camel(name, "reply")] = {
            "address": topics.reply("{device}", name),
            "title": f"{name}: the reply",
            "description": "The one answer to each request, unless the request named a Response Topic that is allowed.",
            "messages": _references(_replies(command, site)),
            "parameters": {"device": _device(site, command)},
            "tags": [{"name": "command"}],
        }
        if (model := answers.PROGRESS.get(name)) is not None:
            channels[camel(name, "progress")] = {
                "address": topics.progress("{device}", name),
                "title": f"{name}: the progress",
                "description": _first_line(model),
                "messages": _references([camel(name, "progress")]),
                "parameters": {"device": _device(site)},
                "tags": [{"name": "command"}],
            }
    channels["availability"] = {
        "address": topics.availability("{device}"),
        "title": "availability",
        "description": "Whether a device answers. Retained, and published again with each connect.",
        "messages": _references(["availability"]),
        "parameters": {"device": _device(site)},
        "tags": [{"name": "state"}],
    }
    channels["attendanceEvent"] = {
        "address": topics.punches("{device}"),
        "title": _TITLES["attendanceEvent"],
        "description": _first_line(answers.PunchEvent),
        "messages": _references(["attendanceEvent"]),
        "parameters": {"device": _device(site)},
        "tags": [{"name": "state"}],
    }
    channels["status"] = {
        "address": topics.status("{device}"),
        "title": "status",
        "description": _first_line(answers.Status),
        "messages": _references(["status"]),
        "parameters": {"device": _device(site)},
        "tags": [{"name": "state"}],
    }
    for name, address in (("bridgeState", topics.state), ("bridgeInfo", topics.info), ("bridgeHealth", topics.health)):
        channels[name] = {
            "address": address,
            "title": _TITLES[name],
            "description": _first_line(_STATES[name]),
            "messages": _references([name]),
            "tags": [{"name": "state"}],
        }
    return channels


def _operations(site: Site) -> Json:
    operations: Json = {}
    for name, command in site.offered.items():
        channel, reply = f"#/channels/{camel(name)}", f"#/channels/{camel(name, 'reply')}"
        operations[camel("answer", name)] = {
            "action": "receive",
            "channel": {"$ref": channel},
            "title": name,
            "summary": summary(command),
            "tags": [{"name": "command"}],
            "bindings": {"mqtt": {"qos": 1, "bindingVersion": _MQTT}},
            "messages": [{"$ref": f"{channel}/messages/{camel(name, 'request')}"}],
            "reply": {
                "channel": {"$ref": reply},
                "messages": [{"$ref": f"{reply}/messages/{message}"} for message in _replies(command, site)],
            },
        }
        if (told := answers.PROGRESS.get(name)) is not None:
            progress = camel(name, "progress")
            operations[camel("publish", progress)] = {
                "action": "send",
                "channel": {"$ref": f"#/channels/{progress}"},
                "title": f"{name}/progress",
                "summary": _first_line(told),
                "tags": [{"name": "command"}],
                "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": _MQTT}},
                "messages": [{"$ref": f"#/channels/{progress}/messages/{progress}"}],
            }
    for name, model in _STATES.items():
        retain = name not in _PASSING
        operations[camel("publish", name)] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "title": _TITLES.get(name, name),
            "summary": _first_line(model),
            "tags": [{"name": "state"}],
            "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": _MQTT}},
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        }
    return operations


def _device(site: Site, command: Command | None = None) -> Json:
    groups = list(site.groups) if command is not None and command.for_groups else []
    said = f"The id of a device{' or a group' if groups else ''} in the bridge's configuration"
    if site.known:
        return {"description": f"{said}.", "enum": [*site.devices, *groups]}
    rule = f"matches `^{DEVICE_ID.pattern}$`, never `bridge`"
    return {"description": f"{said}; {rule}.", "examples": [*site.devices, *groups]}


def _replies(command: Command, site: Site) -> list[str]:
    whole = [_TOGETHER] if site.groups and command.for_groups else []
    failures = example_failures(site, command=command)
    return [camel(command.name, "success"), *whole, *(camel(code) for code in failures)]


def _references(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


# -- groups --------------------------------------------------------------------------------------------------------

_TOGETHER = "groupSuccess"


def _said(site: Site, group: str) -> list[Said]:
    """What the group's devices say when each has done what users/create asks."""
    command = site.offered.get("users/create") or next(iter(site.offered.values()))
    return [
        Said(device, succeeded(_without_id(example_success(command, site), device), code=command.code, request_id=None))
        for device in site.groups[group]
    ]


def _without_id(example: Json, device: str) -> Json:
    body = {key: value for key, value in example.items() if key in ("message", "data", "total")}
    return body | ({"data": {**body["data"], "device_id": device}} if isinstance(body.get("data"), dict) else {})


def example_together(site: Site) -> Json:
    """What a group answers when all is well."""
    group = next(iter(site.groups))
    return _read(together(group, _said(site, group), request_id=_REQUEST_ID, language=site.language))


def _group_failures(code: str, site: Site) -> Iterator[Json]:
    """What a group answers when not all is well, made as the bridge makes it."""
    group = next(iter(site.groups))
    said = _said(site, group)
    timeout = DeviceTimeout(host=_FACTS["host"], port=_FACTS["port"])
    away = failed(timeout, site.language)
    until = waiting(
        said[-1].device,
        until=1_893_484_800,
        effect="none",
        why=timeout.sentence(site.language),
        language=site.language,
    )
    exists = failed(UserExists(user_id="123"), site.language)
    kinds = {
        "partial": [[*said[:-1], Said(said[-1].device, reply)] for reply in (away, until)],
        "all_failed": [[Said(each.device, reply) for each in said] for reply in (exists,)]
        + [[*(Said(each.device, exists) for each in said[:-1]), Said(said[-1].device, away)]],
    }
    for each in kinds[code]:
        yield _read(together(group, each, request_id=_REQUEST_ID, language=site.language))


# -- messages ------------------------------------------------------------------------------------------------------

_STATES: dict[str, type[BaseModel]] = {
    "availability": answers.Availability,
    "attendanceEvent": answers.PunchEvent,
    "status": answers.Status,
    "bridgeState": answers.State,
    "bridgeInfo": answers.Info,
    "bridgeHealth": answers.Health,
}
_TITLES = {
    "attendanceEvent": "attendance/event",
    "bridgeState": "bridge/state",
    "bridgeInfo": "bridge/info",
    "bridgeHealth": "bridge/health",
}
#: What is said once and not retained.
_PASSING = {"attendanceEvent", "bridgeHealth"}
_PUNCH: Json = {
    "user_id": "123",
    "name": "Juan Perez",
    "timestamp": "2030-01-31T08:00:00",
    "status": 1,
    "punch": 0,
    "device_id": "principal",
    "id": "principal/2030-01-31T08:00:00/123/1/0/0",
}
_STATE_EXAMPLES: dict[str, list[Json]] = {
    "availability": [
        {"state": "online"},
        {"state": "offline", "reason": "Connection timeout to device 192.168.1.205:4370"},
    ],
    "attendanceEvent": [_PUNCH, {**_PUNCH, "late": True}],
    "status": [
        {
            "users": 37,
            "users_capacity": 3000,
            "users_free": 2963,
            "last_error": {
                "code": "device_timeout",
                "error": "Connection timeout to device 192.168.1.205:4370",
                "at": "2030-01-31T13:00:00+00:00",
            },
            "last_user": {"user_id": "123", "at": "2030-01-31T13:00:00+00:00"},
        },
        dict.fromkeys(answers.Status.model_fields),
    ],
    "bridgeState": [{"state": "online", "instance": "9f86d081"}, {"state": "offline", "instance": "9f86d081"}],
    "bridgeInfo": [],
    "bridgeHealth": [],
}


def _messages(site: Site) -> Json:
    messages: Json = {}
    for name, command in site.offered.items():
        request, success = camel(name, "request"), camel(name, "success")
        messages[request] = {
            "name": request,
            "title": f"{name}: the request",
            "payload": {"$ref": _SCHEMAS + request},
            "correlationId": _CORRELATION,
            "bindings": {"mqtt": _asked(site)},
            "examples": [{"name": "all", "summary": "Every field.", "payload": example_request(command)}],
        }
        messages[success] = _reply_message(
            success, f"{name}: success", [example_success(command, site)], status=200, code=command.code
        )
        messages[success]["headers"]["properties"]["command"]["const"] = name
        if name in answers.PROGRESS:
            progress = camel(name, "progress")
            messages[progress] = {
                "name": progress,
                "title": f"{name}: the progress",
                "payload": {"$ref": _SCHEMAS + progress},
                "correlationId": _CORRELATION,
                "bindings": {"mqtt": _BODY},
                "examples": [{"name": each["step"], "payload": each} for each in example_progress(command, site)],
            }
    if site.groups:
        whole = example_together(site)
        code = whole["code"]
        messages[_TOGETHER] = _reply_message(_TOGETHER, "200 a group's success", [whole], status=200, code=code)
        messages[_TOGETHER]["headers"]["properties"]["code"] = {"type": "string"}
    for code, examples in example_failures(site).items():
        status = examples[0]["status"]
        messages[camel(code)] = _reply_message(camel(code), f"{status} {code}", examples, status=status, code=code)
    for name, model in _STATES.items():
        examples = _STATE_EXAMPLES[name] or [_info_example(site) if name == "bridgeInfo" else _sample(model)]
        messages[name] = {
            "name": name,
            "title": _first_line(model),
            "payload": {"$ref": _SCHEMAS + name},
            "bindings": {"mqtt": _BODY},
            "examples": [{"name": f"example{place}", "payload": each} for place, each in enumerate(examples, 1)],
        }
    return messages


_CORRELATION = {
    "description": "Comes back in the reply; MQTT 5 callers may use Correlation Data as well, or instead.",
    "location": "$message.payload#/request_id",
}
_BODY: Json = {"payloadFormatIndicator": 1, "contentType": "application/json", "bindingVersion": _MQTT}
_BYTES = {"type": "string", "description": "Any bytes; they come back as they were."}


def _asked(site: Site) -> Json:
    where = {
        "type": "string",
        "description": f"Below {site.topics.base}/replies/ or {site.topics.base}/<device>/replies/.",
    }
    return {"correlationData": _BYTES, "responseTopic": where, "bindingVersion": _MQTT}


def _reply_message(name: str, title: str, examples: list[Json], *, status: int, code: str) -> Json:
    properties: Json = {"status": {"type": "string", "const": str(status)}, "code": {"type": "string", "const": code}}
    command = {"type": "string", "description": "The command that is answered, for example users/create."}
    return {
        "name": name,
        "title": title,
        "headers": {
            "type": "object",
            "description": "User properties, MQTT 5 only.",
            "properties": {**properties, "command": command},
            "required": list(properties),
        },
        "payload": {"$ref": _SCHEMAS + name},
        "correlationId": _CORRELATION,
        "bindings": {"mqtt": {**_BODY, "correlationData": _BYTES}},
        "examples": [
            {"name": f"{code}{place}", "headers": {"status": str(status), "code": code}, "payload": each}
            for place, each in enumerate(examples, 1)
        ],
    }


def _info_example(site: Site) -> Json:
    return {
        "version": zkbridge.__version__,
        "protocol": "5",
        "devices": list(site.devices),
        "groups": site.groups,
        "commands": list(site.offered),
        "instance": "9f86d081",
    }


# -- schemas -------------------------------------------------------------------------------------------------------

_FLAGS: Json = {
    "request_id": {"type": "string", "description": "The request's, if it had one that could be read."},
    "replayed": {"const": True, "description": "The request was carried out before; this is its reply of then."},
    "response_topic_refused": {"const": True, "description": "The Response Topic is not allowed; this one is used."},
}


def _schemas(site: Site) -> Json:
    schemas: Json = {}
    for name, command in site.offered.items():
        schemas[camel(name, "request")] = _request_schema(command, schemas)
        schemas[camel(name, "success")] = _success_schema(command, site, schemas)
        if (model := answers.PROGRESS.get(name)) is not None:
            schemas[camel(name, "progress")] = _schema(model, schemas)
    if site.groups:
        schemas[_TOGETHER] = _together_schema(schemas)
    for code, examples in example_failures(site).items():
        schemas[camel(code)] = _failure_schema(code, examples, schemas)
    for name, model in _STATES.items():
        schemas[name] = _schema(model, schemas)
    return schemas


def _request_schema(command: Command, schemas: Json) -> Json:
    schema = _schema(command.params, schemas)
    for name, place in schema["properties"].items():
        if name not in schema.get("required", ()):
            schema["properties"][name] = _or_null(place)
    # The fields that commands share come last, for a command's own are what a reader looks for.
    properties = schema["properties"]
    shared = {name: properties.pop(name) for name in _SHARED if name in properties}
    return {**schema, "properties": properties | shared}


def _or_null(schema: Json) -> Json:
    """Null means absent, so whatever may be absent may be null."""
    kinds = schema.get("type")
    if "anyOf" in schema:
        own: Json = next((each for each in schema["anyOf"] if each != {"type": "null"}), {})
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _or_null({**rest, **own}) if len(schema["anyOf"]) == 2 else schema
    if "enum" in schema and None not in schema["enum"]:
        schema = {**schema, "enum": [*schema["enum"], None]}
    if kinds is None or "null" in kinds:
        return schema
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def _success_schema(command: Command, site: Site, schemas: Json) -> Json:
    properties: Json = {"success": {"const": True}}
    if command.name in TEXTS:
        properties["message"] = {"type": "string", "description": "One sentence for people."}
    for name, meaning in answers.COUNTS.get(command.name, {}).items():
        properties[name] = {"type": "integer", "minimum": 0, "description": meaning}
    model = answers.DATA.get(command.name)
    if isinstance(model, list):
        properties["data"] = {"type": "array", "items": _schema(model[0], schemas)}
    elif model is not None:
        properties["data"] = _schema(model, schemas)
    properties |= {"status": {"const": 200}, "code": {"const": command.code}}
    required = [name for name in properties if name in example_success(command, site)]
    return _object(properties | _FLAGS, required)


def _together_schema(schemas: Json) -> Json:
    results = _schema(answers.Failure, schemas)["properties"]["results"]
    properties = {
        "success": {"const": True},
        "message": {"type": "string", "description": "One sentence for people."},
        "results": results,
        "status": {"const": 200},
        "code": {"type": "string", "description": "As a single device has it."},
    }
    return _object(properties | _FLAGS, list(properties))


def _failure_schema(code: str, examples: list[Json], schemas: Json) -> Json:
    kind = next(each for each in _error_classes() if each.code == code)
    known = _schema(answers.Failure, schemas)["properties"]
    properties: Json = {
        "success": {"const": False},
        "error": {"type": "string", "description": "What went wrong, in one sentence for people."},
        "status": {"const": examples[0]["status"]},
        "code": {"const": code},
    }
    more = [name for name in examples[0] if name not in properties and name not in _FLAGS]
    properties |= {name: known[name] for name in more}
    rare = {"old_finger_lost": known["old_finger_lost"]} if issubclass(kind, EnrolmentError) else {}
    return {"description": _first_line(kind), **_object(properties | rare | _FLAGS, list(properties))}


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema(model: type[BaseModel], schemas: Json) -> Json:
    """A model's schema; what it refers to is put beside it, for a document has one place for schemas."""
    schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
    schemas.update({name: _untitled(each) for name, each in schema.pop("$defs", {}).items()})
    return _untitled(schema)


def _untitled(schema: Json) -> Json:
    """Without the titles that pydantic makes up from the names."""
    fields = {name: {key: v for key, v in place.items() if key != "title"} for name, place in _fields(schema)}
    rest = {key: value for key, value in schema.items() if key not in ("title", "properties")}
    return {**rest, "properties": fields} if fields else rest


def _fields(schema: Json) -> Iterator[tuple[str, Json]]:
    yield from schema.get("properties", {}).items()


# -- examples ------------------------------------------------------------------------------------------------------


def _error_classes() -> list[type[BridgeError]]:
    """One class for each code: what inherits its code only sorts others."""

    def below(kind: type[BridgeError]) -> Iterator[type[BridgeError]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    return [kind for kind in below(BridgeError) if "code" in vars(kind) or kind is Internal]


def _samples(kind: type[BridgeError], site: Site) -> Iterator[BridgeError]:
    """An error for each sentence that it has."""
    if kind is MissingFields:
        yield from _missing(site)
    elif kind is InvalidField:
        wrong = FieldFault("privilege", "privilege"), FieldFault("nombre", "unknown_like", {"like": "name"})
        yield InvalidField(*wrong)
    elif kind is Internal:
        yield Internal("5f3a9c01")
    elif kind is Expired:
        yield Expired.at(1_893_484_800)
    else:
        for key in TEXTS:
            code, _, reason = key.partition(".")
            if code == kind.code:
                yield _sample_error(kind, reason, key, site)


def _missing(site: Site) -> Iterator[BridgeError]:
    """As each command says it itself."""
    for command in site.offered.values():
        try:
            command.parse({}, strict=True)
        except MissingFields as error:
            yield error


def _sample_error(kind: type[BridgeError], reason: str, key: str, site: Site) -> BridgeError:
    named = [name for _, name, _, _ in string.Formatter().parse(TEXTS[key][0]) if name]
    facts: Json = {name: _FACTS[name] for name in named}
    if key == "forbidden.group":
        facts |= {"command": "door/unlock", "device": "planta"}
    if kind is Busy:
        return Busy(reason, **{**facts, "retry_after_s": 10})
    if kind.code == "device_not_found":
        return kind(reason, more={"disponibles": [*site.devices, *(site.groups if site.known else ())]}, **facts)
    return kind(reason, **facts)


def _can_answer(command: Command, kind: type[BridgeError]) -> bool:
    code = kind.code
    if kind is MissingFields:
        return any(each.is_required() for each in command.params.model_fields.values())
    if command.ends is not None and issubclass(kind, (TerminalError, OutcomeUnknown)):
        return False
    if kind is OutcomeUnknown:
        return not command.repeatable or issubclass(command.params, Lasting)
    if code in _OF_GROUPS:
        return command.for_groups
    return all(re.fullmatch(who, command.name) for what, who in _ONLY.items() if re.fullmatch(what, code))


def _sample(model: type[BaseModel]) -> Json:
    properties: Json = {}
    for name, place in model.model_fields.items():
        inner = place.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        properties[name] = _sample(inner) if nested else (place.examples or [place.get_default()])[0]  # type: ignore[arg-type] # `nested` says that it is a model
    return properties


def _example(schema: Json) -> Any:
    for place in (schema, *schema.get("anyOf", ())):
        if "examples" in place:
            return place["examples"][0]
    return schema.get("default")


def _read(reply: Reply) -> Json:
    body: Json = json.loads(reply.body)
    return body


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]


def _text(text: str) -> str:
    return textwrap.dedent(text).strip()
