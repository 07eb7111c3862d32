"""Why there is no connection to the broker, in sentences that name what an operator can change."""

from __future__ import annotations

from paho.mqtt.reasoncodes import ReasonCode

UNSUPPORTED_VERSION, RETAIN_NOT_SUPPORTED, QOS_NOT_SUPPORTED = 0x84, 0x9A, 0x9B
QOS_0_ONLY = "it takes messages at QoS 0 only, and the bridge must know that its answers have arrived (QoS 1)"
NO_RETAIN = "it keeps no retained messages, so it refuses the bridge's last will"
SILENT = (
    "it closed the connection without an answer to CONNECT (is there a broker behind this port? "
    "some close like that on a wrong user name or password, too)"
)
MUTE = (
    "it accepted the connection and did not answer CONNECT (is there a broker behind this port? "
    "where mqtt.tls is not set, a port for TLS may be as silent)"
)
EXPECTS_TLS = "the port expects TLS and mqtt.tls is not set: set it, or name the broker's port without TLS"
EXPECTS_PLAIN = "the port speaks MQTT without TLS and mqtt.tls is set: remove it, or name the broker's TLS port"
CLOSED = "it was closed without a reason"
#: CONNACK codes of MQTT 5 section 3.2.2.2; paho translates those of 3.1.1 (section 3.2.2.3 there) into them.
_REFUSALS = {
    0x84: "it does not speak this version of MQTT (mqtt.protocol)",
    0x85: "it does not allow the client id {client_id!r}",
    0x86: "it does not accept the user name or the password (mqtt.username, mqtt.password_file)",
    0x87: "it does not let this user in: user name, password, client certificate or its access list",
    0x88: "it is not available now",
    0x89: "it is too busy",
    0x8A: "it has banned this client",
    0x90: "it does not allow the last will on the base topic (mqtt.base_topic)",
    0x97: "its limit for this user is reached",
    0x9A: NO_RETAIN,
    0x9B: QOS_0_ONLY,
    0x9C: "it names another broker to use",
    0x9D: "it has moved to another address",
    0x9F: "it is connected to too often",
}


def refusal(reason: ReasonCode, *, client_id: str) -> str:
    """What a CONNACK's refusal means; the broker's own words stand first."""
    meaning = _REFUSALS.get(reason.value)
    return f"refused: {reason}" + (f": {meaning.format(client_id=client_id)}" if meaning else "")


def refuses_version(reason: ReasonCode) -> bool:
    """Whether a CONNACK says that the version is not spoken; paho has no code for that of 3.1.1, only the words."""
    return reason.value == UNSUPPORTED_VERSION or str(reason) == "Unsupported protocol version"


def ending(reason: ReasonCode, *, from_broker: bool) -> str:
    """Why an accepted connection ended: in the broker's words if it sent any."""
    if not from_broker and str(reason) == "Unspecified error":  # what paho says of any connection that is just gone
        return CLOSED
    return str(reason)
