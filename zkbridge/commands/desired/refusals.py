"""Why a document changes nothing, beside what may be wrong with any request."""

from __future__ import annotations

from zkbridge.contract.bodies import Details
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import Language, add_texts, say

add_texts(
    {
        "desired.document_outdated": (
            "El documento tiene la versión {version}; ya se recibió la versión {kept}.",
            "The document has version {version}; version {kept} was already received.",
        ),
        "desired.document_changed": (
            "La versión {version} ya se recibió con otro contenido.",
            "Version {version} was already received with other content.",
        ),
        "desired.document_empty": (
            "El documento no tiene usuarios; no se cambia nada.",
            "The document has no users; nothing is changed.",
        ),
        "desired.document_incomplete": (
            "Faltan partes del documento: {parts}.",
            "Parts of the document are missing: {parts}.",
        ),
        "desired.document_replaced": (
            "Las partes ya son de otro documento; el puente espera el siguiente.",
            "The parts now belong to another document; the bridge waits for the next one.",
        ),
        "desired.document_too_large": (
            "Un documento tiene como mucho {users} usuarios y {bytes} bytes en sus partes.",
            "A document has at most {users} users, and {bytes} bytes in its parts.",
        ),
        "desired.document_in_file": (
            "El documento de este dispositivo está en un archivo del puente ({file}).",
            "The document of this device is in a file of the bridge ({file}).",
        ),
        "desired.file_unreadable": (
            "No se puede leer el archivo {file}: {reason}.",
            "The file {file} cannot be read: {reason}.",
        ),
        "desired.file_cut_off": (
            "El archivo no termina con un fin de línea: puede estar cortado.",
            "The file does not end with a line end: it may be cut off.",
        ),
        "desired.file_no_table": (
            "El archivo no es una tabla CSV en UTF-8.",
            "The file is not a CSV table in UTF-8.",
        ),
        "desired.file_row": (
            "La línea {line} tiene {cells} celdas; la primera, {columns}.",
            "Line {line} has {cells} cells, the first one {columns}.",
        ),
        "desired.document_no_room": (
            "Hay {added} usuarios por añadir, y en el dispositivo caben {left} más.",
            "{added} users are to be added, and the terminal has room for {left} more.",
        ),
        "desired.part_unknown": (
            "Las partes se numeran de 1 a {limit}.",
            "Parts are numbered from 1 to {limit}.",
        ),
        "desired.document_ambiguous": (
            "Dos filas son el mismo usuario: {rows}.",
            "Two rows are the same user: {rows}.",
        ),
        "desired.document_secret": (
            "Un documento retenido no puede tener contraseñas (desired.secrets).",
            "A retained document must not have passwords (desired.secrets).",
        ),
        "desired.delete_limit": (
            "Faltan {absent} de {claimed} usuarios; delete_limit permite {limit}.",
            "{absent} of {claimed} users are absent; delete_limit allows {limit}.",
        ),
        "field.parts": (
            "debe ser una lista de 1 a {limit} SHA-256 en hexadecimal (64 cifras, minúsculas)",
            "must be a list of 1 to {limit} SHA-256 in hexadecimal (64 digits, lower case)",
        ),
        "field.choice": ("debe ser uno de: {choices}", "must be one of: {choices}"),
        "field.object": ("debe ser un objeto", "must be an object"),
    }
)


#: What does not go together with what the bridge has; all others are wrong by themselves.
_CONFLICTS = {
    *("document_outdated", "document_changed", "document_incomplete", "document_replaced", "document_in_file"),
    "delete_limit",
    "document_no_room",
}
#: What is not refused for good: it goes on when its parts are there.
_WAITING = {"document_incomplete"}
#: As the plan names missing parts, so many at most.
_NAMED_PARTS = 20


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

    def details(self, _language: Language) -> Details:
        """Whether the document waits for its parts, or is refused; and what `more` says."""
        return {"state": "waiting" if self.why in _WAITING else "refused", **self.more}


def incomplete(parts: list[int]) -> Refused:
    """The refusal of a document that lacks these parts, 20 of which it names."""
    named = ", ".join(map(str, parts[:_NAMED_PARTS])) + (", …" if len(parts) > _NAMED_PARTS else "")
    return Refused("document_incomplete", parts=named)


class RefusedAtTerminal(BridgeError):
    """The same as another refusal, found out only when the document's turn had come: the plan says `refused`."""

    def __init__(self, refusal: BridgeError) -> None:
        super().__init__(refusal.code)
        self._refusal = refusal
        self.__dict__.update(code=refusal.code, status=refusal.status)

    def sentence(self, language: Language) -> str:
        """That of the refusal."""
        return self._refusal.sentence(language)

    def details(self, language: Language) -> Details:
        """Those of the refusal, and the state."""
        return {**self._refusal.details(language), "state": "refused", **self.more}
