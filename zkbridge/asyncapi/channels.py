"""The document's channels (topics) and what is done on each."""

from __future__ import annotations

from collections.abc import Iterable

from zkbridge.asyncapi.desired import desired_channels, desired_operations
from zkbridge.asyncapi.examples import example_failures
from zkbridge.asyncapi.parts import MQTT, PASSING, STATES, TITLES, TOGETHER, Json, camel, first_line
from zkbridge.asyncapi.site import Site, summary
from zkbridge.commands import Command
from zkbridge.contract import answers
from zkbridge.contract.topics import DEVICE_ID


def all_channels(site: Site) -> Json:
    """Every topic, by the name of its channel."""
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
        if (model := command.answer.progress) is not None:
            channels[camel(name, "progress")] = {
                "address": topics.progress("{device}", name),
                "title": f"{name}: the progress",
                "description": first_line(model),
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
        "title": TITLES["attendanceEvent"],
        "description": first_line(answers.PunchEvent),
        "messages": _references(["attendanceEvent"]),
        "parameters": {"device": _device(site)},
        "tags": [{"name": "state"}],
    }
    channels["usersEvent"] = {
        "address": topics.user_events("{device}"),
        "title": TITLES["usersEvent"],
        "description": first_line(answers.UserEvent),
        "messages": _references(["usersEvent"]),
        "parameters": {"device": _device(site)},
        "tags": [{"name": "state"}],
    }
    channels["status"] = {
        "address": topics.status("{device}"),
        "title": "status",
        "description": first_line(answers.Status),
        "messages": _references(["status"]),
        "parameters": {"device": _device(site)},
        "tags": [{"name": "state"}],
    }
    for name, address in (("bridgeState", topics.state), ("bridgeInfo", topics.info), ("bridgeHealth", topics.health)):
        channels[name] = {
            "address": address,
            "title": TITLES[name],
            "description": first_line(STATES[name]),
            "messages": _references([name]),
            "tags": [{"name": "state"}],
        }
    return channels | desired_channels(site, _device(site))


def all_operations(site: Site) -> Json:
    """What the bridge does on each channel: receive requests, send the rest."""
    operations: Json = {}
    for name, command in site.offered.items():
        channel, reply = f"#/channels/{camel(name)}", f"#/channels/{camel(name, 'reply')}"
        operations[camel("answer", name)] = {
            "action": "receive",
            "channel": {"$ref": channel},
            "title": name,
            "summary": summary(command),
            "tags": [{"name": "command"}],
            "bindings": {"mqtt": {"qos": 1, "bindingVersion": MQTT}},
            "messages": [{"$ref": f"{channel}/messages/{camel(name, 'request')}"}],
            "reply": {
                "channel": {"$ref": reply},
                "messages": [{"$ref": f"{reply}/messages/{message}"} for message in _replies(command, site)],
            },
        }
        if (told := command.answer.progress) is not None:
            progress = camel(name, "progress")
            operations[camel("publish", progress)] = {
                "action": "send",
                "channel": {"$ref": f"#/channels/{progress}"},
                "title": f"{name}/progress",
                "summary": first_line(told),
                "tags": [{"name": "command"}],
                "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": MQTT}},
                "messages": [{"$ref": f"#/channels/{progress}/messages/{progress}"}],
            }
    for name, model in STATES.items():
        retain = name not in PASSING
        operations[camel("publish", name)] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "title": TITLES.get(name, name),
            "summary": first_line(model),
            "tags": [{"name": "state"}],
            "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": MQTT}},
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        }
    return operations | desired_operations()


def _device(site: Site, command: Command | None = None) -> Json:
    groups = list(site.groups) if command is not None and command.for_groups else []
    said = f"The id of a device{' or a group' if groups else ''} in the bridge's configuration"
    if site.known:
        return {"description": f"{said}.", "enum": [*site.devices, *groups]}
    rule = f"matches `^{DEVICE_ID.pattern}$`, never `bridge`"
    return {"description": f"{said}; {rule}.", "examples": [*site.devices, *groups]}


def _replies(command: Command, site: Site) -> list[str]:
    whole = [TOGETHER] if (site.groups and command.for_groups) or command.hands_over else []
    failures = example_failures(site, command=command)
    return [camel(command.name, "success"), *whole, *(camel(code) for code in failures)]


def _references(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}
