"""Whether the broker lets us in: one connection, made and ended at once."""

from __future__ import annotations

import ssl
import time
from typing import Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from zkbridge.config.models import Mqtt as Settings

ProtocolName = Literal["5", "3.1.1"]
#: How long a connection to the broker, and then its CONNACK, is waited for (seconds).
CONNECT_TIMEOUT_S = 5.0


def try_out(settings: Settings) -> tuple[str | None, str]:
    """Connect once, as a stranger without a session, and leave: what is wrong (None: nothing), and what was found."""
    protocols: tuple[ProtocolName, ...] = ("5", "3.1.1") if settings.protocol == "auto" else (settings.protocol,)
    problem = ""
    for protocol in protocols:
        try:
            reason = _greet(settings, protocol)
        except (OSError, ValueError) as error:
            return str(error.strerror if isinstance(error, OSError) and error.strerror else error), ""
        if reason == "":
            return None, f"MQTT {protocol}"
        problem = reason or "the broker hung up without an answer"
    return problem, ""


def _greet(settings: Settings, protocol: ProtocolName) -> str | None:
    """`""` if the broker accepts us, its reason if it refuses us, None if it says nothing."""
    answers: list[ReasonCode] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        protocol=MQTTProtocolVersion.MQTTv5 if protocol == "5" else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls is not None:
        client.tls_set_context(tls_context(settings))
    client.connect(settings.host, settings.port)
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    while not answers and time.monotonic() < deadline and client.loop(timeout=0.2) == MQTTErrorCode.MQTT_ERR_SUCCESS:
        pass
    client.disconnect()
    if not answers:
        return None
    return str(answers[0]) if answers[0].is_failure else ""


def tls_context(settings: Settings) -> ssl.SSLContext:
    """The settings below `mqtt.tls` for the ssl module. Raises OSError for a file that is missing or no certificate."""
    tls = settings.tls
    context = ssl.create_default_context(cafile=str(tls.ca_file) if tls and tls.ca_file else None)
    if tls and tls.cert_file:
        context.load_cert_chain(str(tls.cert_file), str(tls.key_file) if tls.key_file else None)
    return context
