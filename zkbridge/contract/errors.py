"""Every way in which a request can fail, one class for each thing a caller would do differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from zkbridge.contract.bodies import Details
from zkbridge.contract.moments import moment
from zkbridge.contract.texts import TEXTS, Language, add_texts, say

Effect = Literal["none", "unknown"]
#: A reply names no more wrong fields than this: a message of 64 KiB has room for thousands.
MAX_FAULTS = 20


class BridgeError(Exception):
    """A request's failure. `status` and `code` never change; the sentence follows the language.

    `facts` fill the sentence; `reason` picks one of several sentences of the same code;
    `more` are the keys that this error adds to its reply. A class outside this file brings its `sentences` along,
    (Spanish, English) by reason, "" being that without one, and an `example` of the facts that only it has, and a
    TypedDict of the keys that only it `adds`; `rare` names the keys that only some of its replies have.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    sentences: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({})
    rare: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[Mapping[str, object]] = MappingProxyType({})
    adds: ClassVar[type | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = vars(cls).get("sentences", {})
        add_texts({f"{cls.code}.{reason}" if reason else cls.code: text for reason, text in own.items()})

    def __init__(self, reason: str = "", *, more: Details | None = None, **facts: object) -> None:
        super().__init__(reason, facts)
        self.reason = reason
        self.facts = facts
        self.more = more or {}

    def sentence(self, language: Language) -> str:
        """What went wrong, in one sentence for the caller."""
        return say(f"{self.code}.{self.reason}" if self.reason else self.code, language, **self.facts)

    def details(self, _language: Language) -> Details:
        """The keys that this error adds to its reply."""
        return self.more

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence('en')}"


class BodyRequired(BridgeError):
    """The payload is not a JSON object; `detail` describes the fault."""

    status, code = 400, "body_required"
    rare: ClassVar = ("detail",)

    def __init__(self, why: str = "", **facts: object) -> None:
        super().__init__()
        self.why = why  # a key of the texts below `detail.`; empty: there is no payload at all
        self.facts = facts

    def details(self, language: Language) -> Details:
        """`detail`, unless there is no payload at all."""
        return {"detail": say(f"detail.{self.why}", language, **self.facts)} if self.why else {}


class FieldFault(NamedTuple):
    """One field and the rule it breaks (a key of the texts below `field.`)."""

    name: str
    rule: str
    facts: Mapping[str, object] = MappingProxyType({})

    def message(self, language: Language) -> str:
        """The rule, as a sentence without the field's name."""
        return say(f"field.{self.rule}", language, **self.facts)

    def sentence(self, language: Language) -> str:
        """The field's name with the rule."""
        if (whole := f"whole.{self.rule}") in TEXTS:
            return say(whole, language, field=self.name, **self.facts)
        return f"{self.name}: {self.message(language)}"


class MissingFields(BridgeError):
    """A required field is absent or blank; the sentence names all fields that the command requires.

    `names` are those fields. `faults` are the other faults of the request; `more` is as for InvalidField.
    """

    status, code = 400, "missing_fields"
    rare: ClassVar = ("errors", "more_errors")

    def __init__(self, *names: str, faults: Sequence[FieldFault] = (), more: int = 0) -> None:
        super().__init__()
        self.names = names
        self.faults = faults
        self.more_errors = more

    def sentence(self, language: Language) -> str:
        """Every field that the command requires."""
        several = "" if len(self.names) > 1 else ".one"
        return say(f"missing_fields{several}", language, fields=say("and", language).join(self.names))

    def details(self, language: Language) -> Details:
        """`errors`, where there are any beside what is absent."""
        return _errors(self.faults, self.more_errors, language) if self.faults else {}


class InvalidField(BridgeError):
    """One or more fields break a rule; one answer names up to 20 of them.

    `more` is how many others are wrong that are not among `faults`.
    """

    status, code = 400, "invalid_field"
    rare: ClassVar = ("more_errors",)

    def __init__(self, *faults: FieldFault, more: int = 0) -> None:
        super().__init__()
        self.faults = faults[:MAX_FAULTS]
        self.more_errors = more + len(faults) - len(self.faults)

    def sentence(self, language: Language) -> str:
        """Each field with its rule."""
        sentences = [fault.sentence(language) for fault in self.faults]
        if self.more_errors:
            sentences.append(say("more_errors", language, count=self.more_errors))
        return "; ".join(sentences)

    def details(self, language: Language) -> Details:
        """`errors`: a list of field and message; `more_errors`, where some are left out."""
        return _errors(self.faults, self.more_errors, language)


def _errors(faults: Sequence[FieldFault], more: int, language: Language) -> Details:
    errors = [{"field": fault.name, "message": fault.message(language)} for fault in faults]
    return {"errors": errors} | ({"more_errors": more} if more else {})


class DeviceNotFound(BridgeError):
    """The configuration has no such device; `disponibles` lists the devices that it has."""

    status, code = 404, "device_not_found"


class UserNotFound(BridgeError):
    """The terminal has no such user."""

    status, code = 404, "user_not_found"


class UserExists(BridgeError):
    """The terminal already has a user with this user_id."""

    status, code = 409, "user_exists"


class RequestIdReused(BridgeError):
    """An earlier request with other content had the same request_id."""

    status, code = 409, "request_id_reused"


class RetainedRefused(BridgeError):
    """The message was retained, so the bridge cannot know when it was sent."""

    status, code = 409, "retained_refused"


class Expired(BridgeError):
    """The request arrived, or would have been executed, after its `expires_at`."""

    status, code = 408, "expired"

    @classmethod
    def at(cls, timestamp: float) -> Expired:
        """The error for a request that had to be executed before a moment, in seconds since 1970."""
        return cls(expires_at=moment(timestamp))


class OutcomeUnknown(BridgeError):
    """The bridge sent a command that must not be repeated, and cannot know whether the terminal carried it out."""

    code = "outcome_unknown"

    def details(self, _language: Language) -> Details:
        """`retryable` and `effect`."""
        return {"retryable": False, "effect": "unknown"}


class PayloadTooLarge(BridgeError):
    """The payload is larger than `mqtt.max_payload` and was not read."""

    status, code = 413, "payload_too_large"


class ReplyTooLarge(BridgeError):
    """The broker does not accept a reply as large as this one; `reply` has the result of the request."""

    status, code = 500, "reply_too_large"

    def details(self, _language: Language) -> Details:
        """`reply`: `success`, `status` and `code` of the reply that was too large."""
        return self.more or {"reply": {"success": True, "status": 200, "code": "ok"}}


class Forbidden(BridgeError):
    """The configuration does not allow this request."""

    status, code = 403, "forbidden"


class Busy(BridgeError):
    """Too many requests wait for this device, or the bridge is stopping; nothing was done."""

    status, code = 503, "busy"

    def __init__(self, reason: str, *, retry_after_s: int, **facts: object) -> None:
        more = {"retryable": True, "retry_after_s": retry_after_s}
        super().__init__(reason, more=more, retry_after_s=retry_after_s, **facts)


class ClockUntrusted(BridgeError):
    """The request needs the correct time, and the clock of the bridge's machine may be wrong; nothing is done."""

    status, code = 503, "clock_untrusted"

    def __init__(self, reason: str, **facts: object) -> None:
        super().__init__(reason, more={"retryable": True, "effect": "none"}, **facts)


class Internal(BridgeError):
    """A fault in the bridge itself; the log has the same `error_id`."""

    def __init__(self, error_id: str) -> None:
        super().__init__(more={"error_id": error_id}, error_id=error_id)


class Partial(BridgeError):
    """Some devices of the group, or users of the list, succeeded; others failed or wait. `results` has each answer."""

    status, code = 207, "partial"


class AllFailed(BridgeError):
    """No device of the group, or no user of the list, succeeded; `results` has each answer."""

    status, code = 207, "all_failed"


class TerminalError(BridgeError):
    """The terminal did not carry out a command: the base of all errors of terminals.

    `effect` says whether anything can have been written: the worker knows, and sets it before the reply is made.
    `ends_session`: no further command may be sent on this connection, for the terminal may have carried out the last
    one.
    """

    effect: Effect = "none"
    ends_session: bool = False

    def details(self, _language: Language) -> Details:
        """`effect`, where an earlier attempt of the request may have written what the terminal now refuses to show."""
        return {"effect": self.effect} if self.effect == "unknown" else {}


class ConnectionFailure(TerminalError):
    """The connection to the terminal broke: the request may be tried again on a new one."""

    ends_session = True

    def details(self, _language: Language) -> Details:
        """`retryable` and `effect`."""
        return {"retryable": True, "effect": self.effect}


class DeviceTimeout(ConnectionFailure):
    """The terminal did not answer in time. Facts: host, port."""

    code = "device_timeout"


class DeviceUnreachable(ConnectionFailure):
    """The connection cannot be made, or was reset, closed or garbled. Facts: host, port (and detail)."""

    code = "device_unreachable"


class DeviceAuthFailed(TerminalError):
    """The terminal refused the comm key. Facts: host, port."""

    code = "device_auth_failed"
    ends_session = True


class DeviceRejected(TerminalError):
    """The terminal refused, or sent data that cannot be right. Facts: host, port, operation, answer or detail."""

    code = "device_rejected"


class Unsupported(TerminalError):
    """The terminal, or its protocol, does not have this command. Facts: host, port, operation."""

    status, code = 501, "unsupported"


class DeviceFull(TerminalError):
    """The terminal has no room for another user or finger. Facts: host, port."""

    code = "device_full"
