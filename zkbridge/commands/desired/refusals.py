"""Why a document changes nothing, beside what may be wrong with any request."""

from __future__ import annotations

from typing import Any

from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import Language, add_texts, say

add_texts(
    {
        "desired.document_outdated": (
            "El documento tiene la versión {version}; ya se recibió la {kept}.",
            "The document has version {version}; {kept} was received already.",
        ),
        "desired.document_changed": (
            "La versión {version} ya se recibió con otro contenido.",
            "Version {version} was received already with other content.",
        ),
        "desired.document_empty": (
            "El documento no nombra a nadie; no se cambia nada.",
            "The document names nobody; nothing is changed.",
        ),
        "desired.document_ambiguous": (
            "Dos filas son el mismo usuario: {rows}.",
            "Two rows are the same user: {rows}.",
        ),
        "desired.document_secret": (
            "Un documento retenido no lleva contraseñas (desired.secrets).",
            "A retained document has no passwords (desired.secrets).",
        ),
        "desired.delete_limit": (
            "Faltan {absent} de {claimed} usuarios; delete_limit permite {limit}.",
            "{absent} of {claimed} users are absent; delete_limit allows {limit}.",
        ),
        "field.choice": ("debe ser uno de: {choices}", "must be one of: {choices}"),
        "field.object": ("debe ser un objeto", "must be an object"),
    }
)


#: What does not go together with what the bridge has; all others are wrong by themselves.
_CONFLICTS = {"document_outdated", "document_changed", "delete_limit"}


class Refused(BridgeError):
    """A document that changes nothing; `why` is the code that the plan has."""

    def __init__(self, why: str, **facts: object) -> None:
        super().__init__(why)
        self.facts = facts
        self.why = why
        # Not a class of its own for each: those are listed as what any command may be answered.
        self.__dict__.update(code=why, status=409 if why in _CONFLICTS else 400)

    def sentence(self, language: Language) -> str:
        """As the plan says it."""
        return say(f"desired.{self.why}", language, **self.facts)

    def details(self, _language: Language) -> dict[str, Any]:
        """That the plan is refused."""
        return {"state": "refused"}
