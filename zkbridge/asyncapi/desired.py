"""Documents of desired users and their plans: channels, operations, messages and schemas."""

from __future__ import annotations

from zkbridge.asyncapi.parts import BODY, MQTT, SCHEMAS, Json, camel, first_line
from zkbridge.asyncapi.site import Site
from zkbridge.contract.plan_models import MESSAGES
from zkbridge.contract.plans import DESIRED, PART

#: The end of the topic, by the name of channel and message. The bridge publishes the last and receives the others.
_TOPICS = {"usersDesired": DESIRED, "usersDesiredPart": f"{PART}/{{part}}", "usersDesiredPlan": f"{DESIRED}/plan"}


def desired_channels(site: Site, device: Json) -> Json:
    """The topics; `device` is the parameter that names the device or group."""
    channels: Json = {}
    for name, topic in _TOPICS.items():
        parameters = {"device": device}
        if "{part}" in topic:
            parameters["part"] = {"description": "The number of the part, 1 to 500.", "examples": ["1"]}
        channels[name] = {
            "address": site.topics.command("{device}", topic),
            "title": topic,
            "description": first_line(MESSAGES[name][0]) + " With `desired.enabled: true`.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "parameters": parameters,
            "tags": [{"name": "state"}],
        }
    return channels


def desired_operations() -> Json:
    """What the bridge does on each: it receives documents and parts, and sends plans."""
    operations: Json = {}
    for name, topic in _TOPICS.items():
        sends = name == "usersDesiredPlan"
        operations[camel("publish" if sends else "receive", name)] = {
            "action": "send" if sends else "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "title": topic,
            "summary": first_line(MESSAGES[name][0]),
            "tags": [{"name": "state"}],
            "bindings": {"mqtt": {"qos": 1, "retain": not sends, "bindingVersion": MQTT}},
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        }
    return operations


def desired_messages() -> Json:
    """The messages with their examples."""
    return {
        name: {
            "name": name,
            "title": first_line(model),
            "payload": {"$ref": SCHEMAS + name},
            "bindings": {"mqtt": BODY},
            "examples": [{"name": f"example{place}", "payload": each} for place, each in enumerate(examples, 1)],
        }
        for name, (model, examples) in MESSAGES.items()
    }
