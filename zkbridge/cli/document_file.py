"""A document of desired users from a file, and the messages that it is published as."""

from __future__ import annotations

import codecs
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from zkbridge.cli.people_file import WrongFile, read_people
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import encode, parse_object
from zkbridge.contract.plans import DESIRED, MAX_PARTS, PART

#: Of a message's bytes, those for what a document or a part has beside its users.
_ENVELOPE = 512


class DocumentFile(NamedTuple):
    """The users of a file, each with the fields that it names, and what a JSON document says beside them."""

    users: list[JsonObject]
    fields: JsonObject

    @property
    def has_pins(self) -> bool:
        """Whether a user has a PIN."""
        return any(isinstance(user, dict) and user.get("password") for user in self.users)


def read_document_file(path: Path, encoding: str | None = None) -> DocumentFile:
    """A JSON document with `users`, or people as `users import` takes them. Raises WrongFile, OSError."""
    if path.suffix != ".json":
        return DocumentFile(read_people(path, encoding), {})
    payload = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        parse_object(payload)
    except BridgeError as error:
        raise WrongFile(f"is no JSON object: {error.details('en').get('detail', 'it is empty')}") from None
    fields: JsonObject = json.loads(payload)
    users = fields.pop("users", None)
    if not isinstance(users, list) or not users:
        raise WrongFile("has no list of users in it (users)")
    return DocumentFile(users, fields)


def messages_of(users: list[JsonObject], fields: JsonObject, *, most_bytes: int) -> list[tuple[str, bytes]]:
    """The ends of topics and the payloads that the document is published as, in order: parts come before the manifest.

    One message, or parts of at most so many bytes. Raises WrongFile where those are too many.
    """
    whole = encode({**fields, "users": users})
    if len(whole) <= most_bytes:
        return [(DESIRED, whole)]
    parts: list[list[JsonObject]] = [[]]
    room = most_bytes - _ENVELOPE
    for user in users:
        size = len(encode(user)) + 1
        if size > room and parts[-1]:
            parts.append([])
            room = most_bytes - _ENVELOPE
        parts[-1].append(user)
        room -= size
    if len(parts) > MAX_PARTS:
        raise WrongFile(f"has too many users for {MAX_PARTS} messages of {most_bytes} bytes")
    payloads = [encode({"users": part}) for part in parts]
    manifest = {**fields, "parts": [hashlib.sha256(payload).hexdigest() for payload in payloads]}
    numbered = [(f"{PART}/{number}", payload) for number, payload in enumerate(payloads, start=1)]
    return [*numbered, (DESIRED, encode(manifest))]
