"""Requests, replies and errors as the bridge itself makes them, for the document and for the pages."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

import zkbridge
from zkbridge.asyncapi.parts import EXCLUSIVE, OF_GROUPS, REQUEST_ID, SHARED, UNREAD, Json
from zkbridge.asyncapi.site import Site
from zkbridge.commands import Command, Lasting, commands
from zkbridge.contract import (
    answers,
    wrong_device,  # noqa: F401 - its error is one of those below BridgeError
)
from zkbridge.contract.errors import (
    BridgeError,
    Busy,
    DeviceTimeout,
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
from zkbridge.contract.texts import TEXTS, say

#: The facts that fill the sentences of the examples.
_FACTS: dict[str, object] = {
    "device": "bodega",
    "user_id": "123",
    "request_id": REQUEST_ID,
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
    "uid": 12,
    "records": 2,
    "shown": "1970-01-01",
}

#: Keys of a list that not every reply has.
_SOMETIMES = {"next_offset", "counted"}


def example_request(command: Command) -> Json:
    """A request with every field of the command, with its models' examples, without fields that exclude each other."""
    properties = command.params.model_json_schema()["properties"]
    own = {name: _example(schema) for name, schema in properties.items() if name not in {*SHARED, *EXCLUSIVE}}
    if command.each is not None:
        row = example_request(commands()[command.each])
        own = {"users": [{name: value for name, value in row.items() if name != "request_id"}]}
    return {**own, "request_id": REQUEST_ID}


def example_success(command: Command, site: Site) -> Json:
    """The success reply to the example, made by the bridge's own code."""
    answer = command.answer
    one = sample(answer.data)
    body: Json = {name: 1 for name in answer.counts if name not in _SOMETIMES}
    if answer.says is not None:
        body = {"message": say(command.name, site.language, **one, total=1), **body}
    body[answer.under] = [one] if answer.rows else one
    return _read(succeeded(body, code=command.code, request_id=REQUEST_ID))


def example_progress(command: Command, site: Site) -> list[Json]:
    """The progress messages of an attended command for its example."""
    return [
        {
            "message": say(f"{command.name}.{name}", site.language, **step.facts),
            "step": name,
            **step.facts,
            "device_id": "principal",
            "request_id": REQUEST_ID,
        }
        for name, step in command.answer.steps.items()
    ]


def example_failures(site: Site, *, command: Command | None = None) -> dict[str, list[Json]]:
    """Every error by its code, each with an example of each of its sentences; of one command, or of all."""
    found: dict[str, list[Json]] = {}
    for kind in error_classes():
        if command is not None and not _can_answer(command, kind):
            continue
        if kind.code in OF_GROUPS:
            found[kind.code] = list(_group_failures(kind.code, site)) if site.groups else []
            if command is None or command.each is not None:
                found[kind.code].append(_list_failure(kind.code, site))
            continue
        for error in _samples(kind, site):
            request_id = None if kind.code in UNREAD else REQUEST_ID
            example = _read(failed(error, site.language, request_id=request_id))
            if example not in found.setdefault(kind.code, []):
                found[kind.code].append(example)
    found = {code: examples for code, examples in found.items() if examples}
    return dict(sorted(found.items(), key=lambda pair: (pair[1][0]["status"], pair[0])))


def _said(site: Site, group: str) -> list[Said]:
    """The members' answers when each has created the user."""
    command = site.offered.get("users/create") or next(iter(site.offered.values()))
    return [
        Said(device, succeeded(_without_id(example_success(command, site), device), code=command.code, request_id=None))
        for device in site.groups[group]
    ]


def _without_id(example: Json, device: str) -> Json:
    body = {key: value for key, value in example.items() if key in ("message", "data", "total")}
    return body | ({"data": {**body["data"], "device_id": device}} if isinstance(body.get("data"), dict) else {})


def example_together(site: Site) -> Json:
    """A group's answer when every member succeeded."""
    group = next(iter(site.groups))
    return _read(together(group, _said(site, group), request_id=REQUEST_ID, language=site.language))


def _group_failures(code: str, site: Site) -> Iterator[Json]:
    """A group's answer when not every member succeeded, made by the bridge's own code."""
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
        yield _read(together(group, each, request_id=REQUEST_ID, language=site.language))


def _list_failure(code: str, site: Site) -> Json:
    """The answer to a list when not every row succeeded, made by the bridge's own code."""
    exists = Said("principal", failed(UserExists(user_id="124"), site.language), "124")
    created = Reply(200, "created", json.dumps({"data": {"user_id": "123", "name": "Juan Perez"}}).encode())
    said = [Said("principal", created, "123"), exists] if code == "partial" else [exists]
    return _read(together("principal", said, request_id=REQUEST_ID, language=site.language))


_PUNCH: Json = {
    "user_id": "123",
    "name": "Juan Perez",
    "timestamp": "2030-01-31T08:00:00",
    "status": 1,
    "punch": 0,
    "device_id": "principal",
    "id": "principal/2030-01-31T08:00:00/123/1/0/0",
}

_USER_EVENT: Json = {
    "event": "blocked",
    "user_id": "123",
    "reason": "valid_until",
    "moment": "2030-01-31T18:00:00",
    "device_id": "principal",
    "id": "principal/123/valid_until/2030-01-31T18:00:00",
}
_AWAY = "Connection timeout to device 192.168.1.205:4370"

STATE_EXAMPLES: dict[str, list[Json]] = {
    "availability": [
        {"state": "online"},
        {"state": "offline", "reason": _AWAY},
        {"state": "online", "address": "192.168.1.57"},
    ],
    "attendanceEvent": [_PUNCH, {**_PUNCH, "late": True}],
    "usersEvent": [_USER_EVENT, {**_USER_EVENT, "late": True}],
    "status": [
        {
            "users": 37,
            "users_capacity": 3000,
            "users_free": 2963,
            "last_error": {"code": "device_timeout", "error": _AWAY, "at": "2030-01-31T13:00:00+00:00"},
            "last_user": {"user_id": "123", "at": "2030-01-31T13:00:00+00:00"},
            "device_name": "K40/ID",
            "serialnumber": "DGD9190019050335743",
            "firmware_version": "Ver 6.60 Apr 28 2017",
            "clock_drift_s": 2,
            "lock": "locked",
        },
        dict.fromkeys(answers.Status.model_fields),
    ],
    "bridgeState": [{"state": "online", "instance": "9f86d081"}, {"state": "offline", "instance": "9f86d081"}],
    "bridgeInfo": [],
    "bridgeHealth": [],
}


def info_example(site: Site) -> Json:
    """What `<base>/bridge/info` holds, for the site."""
    return {
        "version": zkbridge.__version__,
        "protocol": "5",
        "devices": list(site.devices),
        "groups": site.groups,
        "commands": list(site.offered),
        "instance": "9f86d081",
    }


def error_classes() -> list[type[BridgeError]]:
    """One class for each code, with the commands' own. A class that inherits its code only groups others."""
    commands()

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
    facts: Json = {name: _FACTS[name] for name in named if name not in kind.example} | dict(kind.example)
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
        return not command.repeatable or issubclass(command.params, Lasting) or kind in command.errors
    if code in OF_GROUPS:
        return command.answers_together or command.each is not None
    return kind in command.errors or kind not in _declared()


def _declared() -> set[type[BridgeError]]:
    """The errors that only the commands have that declare them; any command can be answered with the others."""
    return {kind for each in commands().values() for kind in each.errors}


def sample(model: type) -> Json:
    """A value of a model or a TypedDict, made from the examples of its fields."""
    schema = TypeAdapter(model).json_schema()
    return {name: _sampled(place, schema.get("$defs", {})) for name, place in schema["properties"].items()}


def _sampled(place: Json, known: Json) -> Any:
    if "$ref" in place:
        inner = known[place["$ref"].rpartition("/")[2]]
        return {name: _sampled(each, known) for name, each in inner["properties"].items()}
    return place["examples"][0] if "examples" in place else place.get("default")


def _example(schema: Json) -> Any:
    for place in (schema, *schema.get("anyOf", ())):
        if "examples" in place:
            return place["examples"][0]
    return schema.get("default")


def _read(reply: Reply) -> Json:
    body: Json = json.loads(reply.body)
    return body
