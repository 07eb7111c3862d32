"""What arrives by MQTT: payloads of commands and documents, PUBLISH packets, topics."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from functools import cache

from tests.fuzz.parsers.target import Target, holds
from zkbridge.commands import Command, commands
from zkbridge.commands.backup_content import parsed
from zkbridge.commands.desired.document import document_of, part_number, read_fields, read_part
from zkbridge.commands.desired.refusals import Refused
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import failed, parse_object
from zkbridge.contract.publish_packets import Published, Unreadable, read_packet
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics, is_publishable, matches
from zkbridge.intake.addressing import Addressing
from zkbridge.mqtt.publish_packets import as_paho, message_of

_ROW = {"user_id": "7", "name": "Ana", "password": "1234", "card": 77, "valid_until": "2030-01-01T00:00:00Z"}


@cache
def _config() -> Config:
    return Config.model_validate({"mqtt": {"host": "localhost"}, "devices": {"p": {"host": "127.0.0.1"}}})


def _device() -> Device:
    return _config().devices["p"]


@cache
def _commands() -> list[Command]:
    return [commands()[name] for name in sorted(commands())]


def _answered(error: BridgeError) -> None:
    """What is refused is answered in both languages; commands bring some of the sentences with them."""
    _commands()
    for reply in (failed(error, "es"), failed(error, "en")):
        holds(json.loads(reply.body)["code"] == error.code, f"an answer of another code: {reply}")


# -- payloads of commands ------------------------------------------------------------------------------------------


def request(data: bytes) -> None:
    """The first byte chooses the command, the second whether unknown fields are refused; the rest is the payload."""
    command = _commands()[data[0] % len(_commands())] if data else _commands()[0]
    strict, payload = bool(data[1:2] and data[1] & 1), data[2:]
    try:
        params = command.parse(parse_object(payload), strict=strict)
        params.check_policy(_config().policy)
        wrong = params.surely_wrong(_device())
    except BridgeError as error:
        return _answered(error)
    if not wrong and command.each is None:
        stored = params.stored()
        holds(command.load(stored).stored() == stored, "what is stored is read as something else")
    return None


def _request_seeds() -> Iterator[bytes]:
    bodies = (b"", b"{}", json.dumps(_ROW | {"request_id": "r1"}).encode(), b'{"users":[{"user_id":"1"}]}')
    for number in range(len(_commands())):
        for body in bodies:
            yield bytes((number, 1)) + body


def _fields() -> Iterator[str]:
    yield from sorted({name for command in _commands() for name in command.params.model_fields})
    yield from ("true", "false", "null", "1e9", "2030-01-01T00:00:00Z", "\\u0000", "\\ud800", "never", "block", "named")


# -- documents of desired users ------------------------------------------------------------------------------------


def document(data: bytes) -> None:
    """The first byte says whether unknown fields are refused and PINs allowed, and whether it is a part."""
    flags, payload = data[:1] or b"\0", data[1:]
    strict, secrets, part = (bool(flags[0] & bit) for bit in (1, 2, 4))
    device, policy = _device(), _config().policy
    try:
        if part:
            read_part(payload, [device], policy, number=1, strict=strict)
            return
        fields = read_fields(payload, strict=strict)
        rows = getattr(fields, "users", None)
        if rows is not None:
            document_of(fields, rows, device, policy, strict=strict, secrets=secrets)
    except Refused:
        return
    except BridgeError as error:
        _answered(error)


def _document_seeds() -> Iterator[bytes]:
    whole = {"version": 3, "users": [_ROW, {"user_id": "8", "name": "Eva"}], "apply": True, "delete": "block"}
    manifest = {"version": 4, "parts": ["0" * 64], "delete_limit": 20, "claim": "all", "repair_interval": 60}
    for flags in range(8):
        for body in (whole, manifest, {"users": [_ROW]}):
            yield bytes((flags,)) + json.dumps(body).encode()


# -- backups -------------------------------------------------------------------------------------------------------


def backup(data: bytes) -> None:
    """A file in the folder of backups."""
    try:
        parsed("b", data)
    except BridgeError as error:
        _answered(error)


def _backup_seeds() -> Iterator[bytes]:
    head = {"format": 1, "device_id": "p", "serial_number": "A1", "made_at": "2026-01-01T00:00:00Z", "algorithm": "10"}
    yield json.dumps(head | {"users": []}).encode()
    person = {"user": {"user_id": "7", "name": "Ana"}, "fingers": [{"index": 1, "flag": 1, "template": "AAAA"}]}
    yield json.dumps(head | {"users": [person], "left_out": ["8"]}).encode()


# -- packets and topics --------------------------------------------------------------------------------------------


def publish(data: bytes) -> None:
    """The first byte is the packet's, bit 0 of the second says MQTT 5; the rest is what follows the length."""
    header, five, body = (data[0], bool(data[1] & 1), data[2:]) if len(data) > 1 else (0x30, True, b"")
    found = read_packet(header, body, five=five, reason="refused")
    if isinstance(found, Published):
        message = message_of(as_paho(found, five=five), connection=1, waited_s=0.0)
        if isinstance(message, Unreadable):
            found.topic.decode("utf-8", "replace")
            return
        holds((message.payload, message.mid, message.qos) == (found.payload, found.mid, found.qos), "another message")
        for text in (message.topic, message.response_topic):
            topic(b"" if text is None else text.encode("utf-8", "surrogatepass"))


def _publish_seeds() -> Iterator[bytes]:
    name = b"zk/p/ping"
    properties = [
        b"",
        b"\x02\x00\x00\x00\x3c",
        b"\x08\x00\x04zk/r\x09\x00\x02ab",
        b"\x26\x00\x01a\x00\x01b\x01\x01\x23\x00\x05\x0b\x81\x01\x03\x00\x03\xef\xbb\xbf",
    ]
    for region in properties:
        yield b"\x32\x01" + struct.pack("!H", len(name)) + name + b"\0\7" + bytes((len(region),)) + region + b"{}"
    yield b"\x30\x00" + struct.pack("!H", len(name)) + name + b"{}"


@cache
def _addressing() -> Addressing:
    return Addressing(_config(), commands(), ("zk/+/#",))


def topic(data: bytes) -> None:
    """A topic of a message or of a reply; where there is a line break, a filter before it."""
    text = data.decode("utf-8", "surrogateescape")
    pattern, _, name = text.rpartition("\n")
    topics = Topics("zk")
    found = topics.parse(name)
    holds(found is None or topics.command(*found) == name, "a topic that is not put together again")
    if found is not None:
        part_number(found[1])
    topics.replied_command(name)
    shown(name)
    if is_publishable(name):
        holds(matches(name, name) and matches("#", name), f"{name!r} does not match itself")
    matches(pattern, name)
    _addressing().allows(name, "p")


def _topic_seeds() -> Iterator[bytes]:
    names = ("zk/p/users/create", "zk/p/users/create/reply", "zk/replies/a", "zk/p/users/desired/part/3", "$SYS/a", "")
    for name in names:
        yield name.encode()
        yield f"zk/+/users/#\n{name}".encode()


TARGETS = (
    Target("request", request, _request_seeds, _fields),
    Target("document", document, _document_seeds, _fields, longest=16_384),
    Target("backup", backup, _backup_seeds, _fields),
    Target("publish", publish, _publish_seeds),
    Target("topic", topic, _topic_seeds),
)
