"""Documents that say who is to be on a terminal, and their parts, as they are kept between two messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from zkbridge.ledger.facts import Facts

#: Where the manifest of a device stands that waits for its parts.
MANIFEST = "document manifest"
_PARTS, _LAST = "document parts", "desired"
#: In how many users a device's terminal differed.
DRIFT = "desired drift"
_CONTENT = "desired document"


class KeptPart(NamedTuple):
    """What is known of a part without reading it: the SHA-256 of its payload (hexadecimal), its bytes and its rows."""

    sha256: str
    size: int
    rows: int


class LastDocument(NamedTuple):
    """The last document of a device: its version, and a keyed digest of its content; version 0: there was none.

    `apply` and `repair_interval` (seconds; 0: never) are as it says.
    """

    version: int = 0
    digest: bytes = b""
    apply: bool = False
    repair_interval: int = 0


class Documents:
    """What is kept of documents. `source` is the device or the group on whose topic a part came.

    Parts, manifests and last documents do not wait for the disk: the message or file from which they come stays there
    until a later commit. Each method raises LedgerUnavailable.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def last(self, device: str) -> LastDocument:
        """The last document that was taken on for a device."""
        kept = json.loads(self._facts.recall(device, _LAST) or "{}")
        digest = bytes.fromhex(kept.pop("digest", ""))
        return LastDocument(digest=digest, **kept)

    def content(self, device: str) -> bytes | None:
        """The last document of a device, without PINs; None where there was none."""
        kept = self._facts.recall(device, _CONTENT)
        return None if kept is None else kept.encode()

    def keep_last(self, device: str, last: LastDocument, content: bytes) -> None:
        """Have this be the last one from now on; `content` is kept of it. How a terminal differs is not known then."""
        kept = json.dumps({**last._asdict(), "digest": last.digest.hex()})
        self._facts.write(device, {_CONTENT: content.decode(), DRIFT: None, _LAST: kept}, urgent=False)

    def drift(self, device: str) -> int | None:
        """In how many users the terminal differed when it was last compared; None: it was not, since the document."""
        kept = self._facts.recall(device, DRIFT)
        return None if kept is None else int(kept)

    def keep_drift(self, device: str, users: int | None) -> None:
        """Have the terminal differ in so many users from now on."""
        if users == self.drift(device):
            return
        if users is None:
            self._facts.forget(device, DRIFT)
        else:
            self._facts.remember(device, DRIFT, str(users))

    def parts(self, source: str) -> dict[int, KeptPart]:
        """The parts that are kept, by number."""
        kept = json.loads(self._facts.recall(source, _PARTS) or "{}")
        return {int(number): KeptPart(*values) for number, values in kept.items()}

    def keep_part(self, source: str, number: int, part: KeptPart, rows: Sequence[Any]) -> None:
        """Keep a part in place of the one of this number."""
        # A number with a fraction is a Decimal, which is kept as text, as in a whole document.
        content = json.dumps(rows, separators=(",", ":"), default=str)
        self._write_part(source, self.parts(source) | {number: part}, number, content)

    def drop_part(self, source: str, number: int) -> None:
        """Let go of a part, if it is kept."""
        kept = self.parts(source)
        if kept.pop(number, None) is not None:
            self._write_part(source, kept, number, None)

    def missing(self, source: str, parts: Sequence[str]) -> list[int]:
        """The numbers of those parts that are not kept, or are kept with other content. `parts` are their SHA-256."""
        kept = self.parts(source)
        return [n for n, sha256 in enumerate(parts, start=1) if n not in kept or kept[n].sha256 != sha256]

    def rows(self, source: str, parts: Sequence[str]) -> list[Any] | None:
        """The rows of all these parts, in order; None where one is not kept any more."""
        found: list[Any] = []
        for number in range(1, len(parts) + 1):
            found += json.loads(self._facts.recall(source, _part(number)) or "[]")
        return None if self.missing(source, parts) else found

    def manifest(self, device: str) -> bytes | None:
        """The manifest that waits for parts."""
        kept = self._facts.recall(device, MANIFEST)
        return None if kept is None else kept.encode()

    def keep_manifest(self, device: str, payload: bytes) -> None:
        """Have this manifest wait for its parts, in place of any other."""
        self._facts.write(device, {MANIFEST: payload.decode()}, urgent=False)

    def _write_part(self, source: str, parts: dict[int, KeptPart], number: int, content: str | None) -> None:
        self._facts.write(source, {_PARTS: json.dumps(parts), _part(number): content}, urgent=False)


def _part(number: int) -> str:
    return f"document part {number}"
