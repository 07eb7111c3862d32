"""JSON schemas of requests, replies and retained messages, made from the models."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, TypeAdapter

from zkbridge.asyncapi.examples import error_classes, example_failures, example_success
from zkbridge.asyncapi.parts import FLAGS, SCHEMAS, SHARED, STATES, TOGETHER, Json, camel, first_line
from zkbridge.asyncapi.site import Site
from zkbridge.commands import Command
from zkbridge.contract import answers
from zkbridge.contract.plan_models import MESSAGES


def request_fields(command: Command) -> Json:
    """The schema of each field of the command's payload, its own ones first."""
    fields: Json = _request_schema(command, {})["properties"]
    return fields


def all_schemas(site: Site) -> Json:
    """Every schema that the document refers to, by its name."""
    schemas: Json = {}
    for name, command in site.offered.items():
        schemas[camel(name, "request")] = _request_schema(command, schemas)
        schemas[camel(name, "success")] = _success_schema(command, site, schemas)
        if command.answer.progress is not None:
            schemas[camel(name, "progress")] = _schema(command.answer.progress, schemas)
    if site.groups:
        schemas[TOGETHER] = _together_schema(schemas)
    for code, examples in example_failures(site).items():
        schemas[camel(code)] = _failure_schema(code, examples, schemas)
    for name, model in STATES.items():
        schemas[name] = _schema(model, schemas)
    for name, (model, _) in MESSAGES.items():
        schemas[name] = _schema(model, schemas)
    return schemas


def _request_schema(command: Command, schemas: Json) -> Json:
    schema = _schema(command.params, schemas)
    for name, place in schema["properties"].items():
        if name not in schema.get("required", ()):
            schema["properties"][name] = _or_null(place)
    # The fields that commands share come last, for a command's own are what a reader looks for.
    properties = schema["properties"]
    shared = {name: properties.pop(name) for name in SHARED if name in properties}
    return {**schema, "properties": properties | shared}


def _or_null(schema: Json) -> Json:
    """Allow null for every optional field, for null means absent."""
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
    answer = command.answer
    if answer.says is not None:
        properties["message"] = {"type": "string", "description": "One sentence for people."}
    for name, meaning in answer.counts.items():
        properties[name] = {"type": "integer", "minimum": 0, "description": meaning}
    one = _schema(answer.data, schemas)
    properties[answer.under] = {"type": "array", "items": one} if answer.rows else one
    properties |= {"status": {"const": 200}, "code": {"const": command.code}}
    required = [name for name in properties if name in example_success(command, site)]
    return _object(properties | FLAGS, required)


def _together_schema(schemas: Json) -> Json:
    results = _schema(answers.Failure, schemas)["properties"]["results"]
    properties = {
        "success": {"const": True},
        "message": {"type": "string", "description": "One sentence for people."},
        "results": results,
        "status": {"const": 200},
        "code": {"type": "string", "description": "As a single device has it."},
    }
    return _object(properties | FLAGS, list(properties))


def _failure_schema(code: str, examples: list[Json], schemas: Json) -> Json:
    kind = next(each for each in error_classes() if each.code == code)
    known = _schema(answers.Failure, schemas)["properties"]
    known |= _schema(kind.adds, schemas)["properties"] if kind.adds is not None else {}
    properties: Json = {
        "success": {"const": False},
        "error": {"type": "string", "description": "What went wrong, in one sentence for people."},
        "status": {"const": examples[0]["status"]},
        "code": {"const": code},
    }
    more = [name for name in examples[0] if name not in properties and name not in FLAGS]
    properties |= {name: known[name] for name in more}
    rare = {name: known[name] for name in kind.rare}
    return {"description": first_line(kind), **_object(properties | rare | FLAGS, list(properties))}


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema(model: type, schemas: Json) -> Json:
    """The schema of a model or a TypedDict; what it refers to is put beside it, where a document has all schemas."""
    schema = TypeAdapter(model).json_schema(ref_template=SCHEMAS + "{model}")
    closed = {} if issubclass(model, BaseModel) else {"additionalProperties": False}  # a TypedDict cannot say so
    schemas.update({name: _untitled(closed | each) for name, each in schema.pop("$defs", {}).items()})
    return _untitled(closed | schema)


def _untitled(schema: Json) -> Json:
    """Without the titles that pydantic makes up from the names."""
    fields = {name: {key: v for key, v in place.items() if key != "title"} for name, place in _fields(schema)}
    rest = {key: value for key, value in schema.items() if key not in ("title", "properties")}
    return {**rest, "properties": fields} if fields else rest


def _fields(schema: Json) -> Iterator[tuple[str, Json]]:
    yield from schema.get("properties", {}).items()
