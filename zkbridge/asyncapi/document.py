"""The contract as data: an AsyncAPI 3 document made from the commands, the models and the errors themselves.

Structure after the AsyncAPI 3.0.0 specification and its MQTT bindings 0.2.0.
"""

from __future__ import annotations

import json

import zkbridge
from zkbridge.asyncapi.channels import all_channels, all_operations
from zkbridge.asyncapi.messages import all_messages
from zkbridge.asyncapi.parts import MQTT, Json, dedented
from zkbridge.asyncapi.schemas import all_schemas
from zkbridge.asyncapi.site import Site


def document(site: Site | None = None) -> Json:
    """The whole document, as plain values."""
    site = site or Site()
    made = {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": {"broker": _server(site)},
        "channels": all_channels(site),
        "operations": all_operations(site),
        "components": {"messages": all_messages(site), "schemas": all_schemas(site)},
    }
    plain: Json = json.loads(json.dumps(made))  # nothing shared: a YAML file with anchors is hard to read
    return plain


def _info() -> Json:
    return {
        "title": "zkbridge",
        "version": zkbridge.__version__,
        "description": dedented(
            """
            The MQTT way into ZKTeco terminals: publish one message, get one honest answer.

            A request goes to `<base>/<device>/<command>`, its one reply comes on `…/reply`. An MQTT 5 caller may set
            Response Topic (below `<base>/replies/` or `<base>/<device>/`) and Correlation Data, which comes back byte
            for byte; an MQTT 3.1.1 caller distinguishes replies by `request_id`.

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
                "bindingVersion": MQTT,
            }
        },
    }
