"""The document's messages: each with its payload's schema, its MQTT properties and examples."""

from __future__ import annotations

from zkbridge.asyncapi.desired import desired_messages
from zkbridge.asyncapi.examples import (
    STATE_EXAMPLES,
    example_failures,
    example_progress,
    example_request,
    example_success,
    example_together,
    info_example,
    sample,
)
from zkbridge.asyncapi.parts import BODY, BYTES, CORRELATION, MQTT, SCHEMAS, STATES, TOGETHER, Json, camel, first_line
from zkbridge.asyncapi.site import Site


def all_messages(site: Site) -> Json:
    """Every message, by its name."""
    messages: Json = {}
    for name, command in site.offered.items():
        request, success = camel(name, "request"), camel(name, "success")
        messages[request] = {
            "name": request,
            "title": f"{name}: the request",
            "payload": {"$ref": SCHEMAS + request},
            "correlationId": CORRELATION,
            "bindings": {"mqtt": _asked(site)},
            "examples": [{"name": "all", "summary": "Every field.", "payload": example_request(command)}],
        }
        messages[success] = _reply_message(
            success, f"{name}: success", [example_success(command, site)], status=200, code=command.code
        )
        messages[success]["headers"]["properties"]["command"]["const"] = name
        if command.answer.progress is not None:
            progress = camel(name, "progress")
            messages[progress] = {
                "name": progress,
                "title": f"{name}: the progress",
                "payload": {"$ref": SCHEMAS + progress},
                "correlationId": CORRELATION,
                "bindings": {"mqtt": BODY},
                "examples": [{"name": each["step"], "payload": each} for each in example_progress(command, site)],
            }
    if site.groups:
        whole = example_together(site)
        code = whole["code"]
        messages[TOGETHER] = _reply_message(TOGETHER, "200 a group's success", [whole], status=200, code=code)
        messages[TOGETHER]["headers"]["properties"]["code"] = {"type": "string"}
    for code, examples in example_failures(site).items():
        status = examples[0]["status"]
        messages[camel(code)] = _reply_message(camel(code), f"{status} {code}", examples, status=status, code=code)
    for name, model in STATES.items():
        examples = STATE_EXAMPLES[name] or [info_example(site) if name == "bridgeInfo" else sample(model)]
        messages[name] = {
            "name": name,
            "title": first_line(model),
            "payload": {"$ref": SCHEMAS + name},
            "bindings": {"mqtt": BODY},
            "examples": [{"name": f"example{place}", "payload": each} for place, each in enumerate(examples, 1)],
        }
    return messages | desired_messages()


def _asked(site: Site) -> Json:
    where = {
        "type": "string",
        "description": f"Below {site.topics.base}/replies/ or {site.topics.base}/<device>/replies/.",
    }
    return {"correlationData": BYTES, "responseTopic": where, "bindingVersion": MQTT}


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
        "payload": {"$ref": SCHEMAS + name},
        "correlationId": CORRELATION,
        "bindings": {"mqtt": {**BODY, "correlationData": BYTES}},
        "examples": [
            {"name": f"{code}{place}", "headers": {"status": str(status), "code": code}, "payload": each}
            for place, each in enumerate(examples, 1)
        ],
    }
